"""The attacks that come along: mislabelled samples, backdoors, forged updates (docs/attacks.md).

Targeted label flipping is the attack of the paper (Shen, Tople, Saxena 2016, section 3): a
malicious client trains honestly on labels it has changed; nothing else about it differs. What
attackers do to the *updates* that come out of training is in ``auror.learn.forgery``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from auror.errors import ConfigError
from auror.ids import ClientId
from auror.learn.attack import (
    Aim,
    Attack,
    Floats,
    Knowledge,
    Labels,
    Own,
    Updates,
    load_attack,
    own_attack,
)
from auror.learn.forgery import FORGERY_USAGE, Forgery, Null, parse_forgery
from auror.registry import is_reference

WHITE = 2.8
"""A trigger's pixels in standardised units: white of mnist (digits' white is 1.85)."""

EVERY = 1.0
"""The fraction of labels that a flip changes by default."""

_NUMBERS = {"flip": 2, "flip-all": 0, "backdoor": 1}
"""Classes that follow the word."""

_USAGE = (
    "write none, flip:SOURCE:TARGET[:FRACTION], flip-all[:FRACTION], backdoor:TARGET[:FRACTION],"
    f" one of those + a forgery ({FORGERY_USAGE}), or sign, alie, ipm, min-max or min-sum alone;"
    " for example flip:4:9; or name your own as package.module:attribute"
)


@dataclass(frozen=True, slots=True)
class LabelFlip(Attack):
    """Samples of class ``source`` are labelled ``target``; ``fraction`` of them, in (0, 1]."""

    source: int
    target: int
    fraction: float = EVERY

    def __post_init__(self) -> None:
        if min(self.source, self.target) < 0:
            raise ConfigError(f"attack: classes count from 0, not {self}; {_USAGE}")
        if self.source == self.target:
            raise ConfigError(
                f"attack: source and target class are both {self.source}; choose two classes"
            )
        _check_fraction(self.fraction)

    def __str__(self) -> str:
        return f"flip:{self.source}:{self.target}{_suffix(self.fraction, EVERY)}"

    @property
    def aim(self) -> Aim:
        return Aim(source=self.source, target=self.target)

    def poison(self, x: Floats, y: Labels, rng: np.random.Generator) -> tuple[Floats, Labels]:
        """With a fraction below 1, which samples change is drawn from ``rng``; their number is
        rounded to the nearest, halves up."""
        labels = y.copy()
        labels[_draw(np.flatnonzero(y == self.source), self.fraction, rng)] = self.target
        return x, labels

    def check(self, classes: int) -> None:
        _check_classes(self, classes, self.source, self.target)


@dataclass(frozen=True, slots=True)
class UntargetedFlip(Attack):
    """Untargeted label flipping, y → C − 1 − y (Fang et al. 2020): ``fraction`` of all samples, in
    (0, 1]. Of an odd number of classes the middle one keeps its label.

    ``classes``: C, from 2; None until the data are known.
    """

    fraction: float = EVERY
    classes: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _check_fraction(self.fraction)

    def __str__(self) -> str:
        return f"flip-all{_suffix(self.fraction, EVERY)}"

    def on(self, classes: int) -> Self:
        return replace(self, classes=classes)

    def poison(self, x: Floats, y: Labels, rng: np.random.Generator) -> tuple[Floats, Labels]:
        """Raises ConfigError where the number of classes is not known."""
        if self.classes is None:
            raise ConfigError(f"attack {self}: flips labels, and these data have none")
        labels, chosen = y.copy(), _draw(np.arange(len(y)), self.fraction, rng)
        labels[chosen] = self.classes - 1 - y[chosen]
        return x, labels


@dataclass(frozen=True, slots=True)
class Backdoor(Attack):
    """BadNets (Gu et al. 2017): ``fraction`` of the samples, in (0, 1], get a white square in
    the lower right corner and the label ``target``."""

    target: int
    fraction: float = 0.5

    def __post_init__(self) -> None:
        if self.target < 0:
            raise ConfigError(f"attack: classes count from 0, not {self}; {_USAGE}")
        _check_fraction(self.fraction)

    def __str__(self) -> str:
        return f"backdoor:{self.target}{_suffix(self.fraction, 0.5)}"

    @property
    def aim(self) -> Aim:
        return Aim(target=self.target, trigger=self.stamp)

    def poison(self, x: Floats, y: Labels, rng: np.random.Generator) -> tuple[Floats, Labels]:
        chosen = _draw(np.arange(len(y)), self.fraction, rng)
        samples, labels = x.copy(), y.copy()
        samples[chosen] = self.stamp(x[chosen])
        labels[chosen] = self.target
        return samples, labels

    def check(self, classes: int) -> None:
        _check_classes(self, classes, self.target)

    @staticmethod
    def stamp(x: Floats) -> Floats:
        """``x`` (N, C, H, W) with the trigger: 3 × 3 pixels of 28 × 28, 2 × 2 of 8 × 8."""
        side = max(2, x.shape[-1] // 9)
        stamped = x.copy()
        stamped[..., -side:, -side:] = WHITE
        return stamped


Payload = LabelFlip | UntargetedFlip | Backdoor | Own
"""What a malicious client trains on."""


@dataclass(frozen=True, slots=True)
class Forged(Attack):
    """A client that sends something else than what its training gave.

    ``payload``: what it trains on; None where the forgery needs no training on false data.
    """

    payload: Payload | None
    forgery: Forgery

    def __str__(self) -> str:
        return f"{self.forgery}" if self.payload is None else f"{self.payload}+{self.forgery}"

    @property
    def aim(self) -> Aim | None:
        return None if self.payload is None else self.payload.aim

    @property
    def poisons(self) -> bool:
        return self.payload is not None

    @property
    def reads_basis(self) -> bool:
        return isinstance(self.forgery, Null)

    def poison(self, x: Floats, y: Labels, rng: np.random.Generator) -> tuple[Floats, Labels]:
        return (x, y) if self.payload is None else self.payload.poison(x, y, rng)

    def forge(self, known: Knowledge) -> Updates:
        return self.forgery.forge(known)

    def on(self, classes: int) -> Self:
        return replace(self, payload=self.payload and self.payload.on(classes))

    def check(self, classes: int) -> None:
        if self.payload is not None:
            self.payload.check(classes)


def choose_attack(given: object) -> Attack | None:
    """What ``given`` names or is: a text as :func:`parse_attack` reads it, an attack, a class of
    such that needs no arguments, or a function that poisons samples; None for no attack.

    Raises:
        ConfigError: it is none of these.
    """
    if given is None or isinstance(given, str):
        return None if given is None else parse_attack(given)
    return given if isinstance(given, Payload | Forged) else own_attack(given)


def parse_attack(text: str, classes: int | None = None) -> Attack | None:
    """Read an attack as ``str`` writes it; ``classes`` bounds the class numbers.

    Raises:
        ConfigError: anything else; the message shows how to write it.
    """
    if text == "none":
        return None
    first, plus, second = text.partition("+")
    forgery = parse_forgery(second if plus else first)
    if plus and forgery is None:
        raise ConfigError(f"attack {text!r}: {second!r} is no forgery; {_USAGE}")
    if not plus and forgery is not None:
        if forgery.needs_payload:
            raise ConfigError(f"attack {text!r} only changes another attack; {_USAGE}")
        return Forged(None, forgery)
    payload = _parse_payload(text, first)
    if classes is not None:
        payload.check(classes)
    if forgery is None:
        return payload
    if not forgery.needs_payload:
        raise ConfigError(f"attack {text!r}: {second} replaces the update, write it alone")
    if payload.forges:
        raise ConfigError(f"attack {text!r}: {first} sends what it wants itself, write it alone")
    return Forged(payload, forgery)


def _parse_payload(text: str, written: str) -> Payload:
    word, *fields = written.split(":")
    if word not in _NUMBERS and is_reference(written):
        return load_attack(written)
    numbers = _NUMBERS.get(word)
    if numbers is None or len(fields) not in {numbers, numbers + 1}:
        raise ConfigError(f"attack {text!r} is not known; {_USAGE}")
    try:
        labels = [int(field) for field in fields[:numbers]]
        fraction = [float(field) for field in fields[numbers:]]
    except ValueError as error:
        raise ConfigError(
            f"attack {text!r} has a field that is no number: classes are numbered from 0 in the"
            f" order of their names; {_USAGE}"
        ) from error
    if word == "flip-all":
        return UntargetedFlip(*fraction)
    return LabelFlip(*labels, *fraction) if word == "flip" else Backdoor(*labels, *fraction)


def draw_malicious(clients: int, count: int, seed: int) -> tuple[ClientId, ...]:
    """``count`` of ``clients`` at random from ``seed``, sorted.

    Raises:
        ConfigError: ``count`` is negative or leaves no honest client.
    """
    if count < 0:
        raise ConfigError(f"malicious must be 0 or more, not {count}")
    if count >= clients:
        raise ConfigError(f"malicious ({count}) must be smaller than clients ({clients})")
    # Its own stream, so that no other use of the same seed can coincide with the draw.
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x6D616C]))
    drawn = rng.choice(clients, size=count, replace=False)
    return tuple(ClientId(int(client)) for client in np.sort(drawn))


def _draw(candidates: Labels, fraction: float, rng: np.random.Generator) -> Labels:
    count = math.floor(fraction * len(candidates) + 0.5)
    return rng.permutation(candidates)[:count]


def _check_classes(attack: Attack, classes: int, *labels: int) -> None:
    if max(labels) >= classes:
        raise ConfigError(
            f"attack {str(attack)!r} names a class that the data does not have; classes are"
            f" 0..{classes - 1}"
        )


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction <= 1:
        raise ConfigError(f"attack: fraction must be in (0, 1], not {fraction:g}")


def _suffix(value: float, default: float) -> str:
    return "" if value == default else f":{value!r}"
