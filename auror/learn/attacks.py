"""Targeted label flipping: the attack of the paper (Shen, Tople, Saxena 2016, section 3).

A malicious client trains honestly on labels it has changed; nothing else about it differs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.errors import ConfigError
from auror.ids import ClientId

Labels = NDArray[np.int64]

_USAGE = "write none, flip:SOURCE:TARGET or flip:SOURCE:TARGET:FRACTION, for example flip:4:9"


@dataclass(frozen=True, slots=True)
class LabelFlip:
    """Samples of class ``source`` are labelled ``target``; ``fraction`` of them, in (0, 1]."""

    source: int
    target: int
    fraction: float = 1.0

    def __post_init__(self) -> None:
        if min(self.source, self.target) < 0:
            raise ConfigError(f"attack: classes count from 0, not {self}; {_USAGE}")
        if self.source == self.target:
            raise ConfigError(
                f"attack: source and target class are both {self.source}; choose two classes"
            )
        if not 0 < self.fraction <= 1:
            raise ConfigError(f"attack: fraction must be in (0, 1], not {self.fraction:g}")

    def __str__(self) -> str:
        suffix = "" if self.fraction == 1.0 else f":{self.fraction!r}"
        return f"flip:{self.source}:{self.target}{suffix}"


def parse_attack(text: str, classes: int | None = None) -> LabelFlip | None:
    """Read ``none``, ``flip:4:9`` or ``flip:4:9:0.5``; ``classes`` bounds the class numbers.

    Raises:
        ConfigError: anything else; the message shows how to write it.
    """
    if text == "none":
        return None
    word, *fields = text.split(":")
    if word != "flip" or len(fields) not in {2, 3}:
        raise ConfigError(f"attack {text!r} is not known; {_USAGE}")
    try:
        source, target = int(fields[0]), int(fields[1])
        fraction = float(fields[2]) if len(fields) == 3 else 1.0
    except ValueError as error:
        raise ConfigError(f"attack {text!r} has a field that is no number; {_USAGE}") from error
    attack = LabelFlip(source, target, fraction)
    if classes is not None and max(source, target) >= classes:
        raise ConfigError(
            f"attack {text!r} names a class that the data does not have; classes are "
            f"0..{classes - 1}"
        )
    return attack


def poison(
    labels: Labels, attack: LabelFlip | None, rng: np.random.Generator
) -> tuple[Labels, int]:
    """The labels (N,) a malicious client trains on, and how many of them were changed.

    The input is left as it is. With a fraction below 1, which samples change is drawn from
    ``rng``; their number is rounded to the nearest, halves up.
    """
    poisoned = labels.copy()
    if attack is None:
        return poisoned, 0
    candidates = np.flatnonzero(labels == attack.source)
    count = math.floor(attack.fraction * len(candidates) + 0.5)
    changed = rng.permutation(candidates)[:count]
    poisoned[changed] = attack.target
    return poisoned, count


def draw_malicious(clients: int, count: int, seed: int) -> tuple[ClientId, ...]:
    """``count`` of ``clients`` at random from ``seed``, sorted.

    Raises:
        ConfigError: ``count`` is negative or leaves no honest client.
    """
    if count < 0:
        raise ConfigError(f"malicious must be 0 or more, not {count}")
    if count >= clients:
        raise ConfigError(
            f"malicious ({count}) must be smaller than clients ({clients}); lower --malicious"
        )
    # Its own stream, so that no other use of the same seed can coincide with the draw.
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x6D616C]))
    drawn = rng.choice(clients, size=count, replace=False)
    return tuple(ClientId(int(client)) for client in np.sort(drawn))
