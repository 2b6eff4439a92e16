"""What an attack is: what malicious clients train on, what they send, and what they are after.

Those that come along are in ``auror.learn.attacks``; one's own is a subclass of :class:`Attack`, or
a function ``(x, y, rng) -> (x, y)`` that poisons samples.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from auror.errors import ConfigError
from auror.ids import ClientId
from auror.registry import (
    described,
    in_own_code,
    load_reference,
    makes,
    reference_to,
    takes,
)
from auror.round.output import OutputShape

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]
Updates = Mapping[ClientId, Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What success means: samples of class ``source`` are called ``target``.

    ``source``: None for all classes but the target. ``trigger``: what is done to test samples
    (N, …) before the model sees them; None for nothing.
    """

    source: int | None = None
    target: int
    trigger: Callable[[Floats], Floats] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Knowledge:
    """What the forgers of one round know.

    Attributes:
        attacking: u_i (d,) of every forger: trained on what :meth:`Attack.poison` made.
        own: v_i (d,): trained on its true samples.
        honest: the other clients' updates, (honest, d).
        counter: rounds before this one, in the whole run.
        output: where the output layer lies in an update; None where there is none.
        basis: M (C, h), what the statistics read of those weights; None: all of them.
    """

    attacking: Updates
    own: Updates
    honest: Floats
    counter: int
    output: OutputShape | None
    basis: NDArray[np.float64] | None


class Attack:
    """What malicious clients do; a subclass says it by :meth:`poison`, :meth:`forge` or both."""

    @property
    def aim(self) -> Aim | None:
        """What it wants the model to do, so that it can be measured; None when there is no class
        to name."""
        return None

    def poison(self, x: Floats, y: Labels, rng: np.random.Generator) -> tuple[Floats, Labels]:
        """What one malicious client trains on: samples (N, …) and labels (N,).

        The arguments must be left as they are. ``rng`` is the client's own and repeats by seed.
        """
        return x, y

    def forge(self, known: Knowledge) -> Updates:
        """What every malicious client of a round sends, float32 (d,)."""
        return known.attacking

    def check(self, classes: int) -> None:
        """Raises ConfigError when it cannot be made on data with so many classes."""

    def on(self, classes: int) -> Self:
        """The attack on data with so many classes, where it needs to know their number."""
        return self

    @property
    def poisons(self) -> bool:
        """Whether it changes samples or labels."""
        return type(self).poison is not Attack.poison

    @property
    def forges(self) -> bool:
        """Whether it changes updates: then it needs to know what others send, which clients that
        are programs of their own do not."""
        return type(self).forge is not Attack.forge

    @property
    def reads_basis(self) -> bool:
        """Whether it may look at ``Knowledge.basis`` to hide from the statistics."""
        return self.forges


@dataclass(frozen=True, slots=True)
class Own(Attack):
    """Somebody's own attack under the ``name`` that was given for it."""

    name: str
    attack: Attack = field(compare=False, repr=False)

    def __str__(self) -> str:
        return self.name

    @property
    def aim(self) -> Aim | None:
        return self.attack.aim

    @property
    def poisons(self) -> bool:
        return self.attack.poisons

    @property
    def forges(self) -> bool:
        return self.attack.forges

    @property
    def reads_basis(self) -> bool:
        return self.attack.reads_basis

    def on(self, classes: int) -> Self:
        with in_own_code(f"attack {self.name!r}: on"):
            made: object = self.attack.on(classes)
        if not isinstance(made, Attack):
            raise ConfigError(f"attack {self.name!r}: on must return an auror.Attack, not {made!r}")
        return replace(self, attack=made)

    def check(self, classes: int) -> None:
        aim = self.attack.aim
        named = [] if aim is None else [c for c in (aim.source, aim.target) if c is not None]
        if any(not 0 <= label < classes for label in named):
            raise ConfigError(
                f"attack {self.name!r} aims at a class that the data does not have; classes are"
                f" 0..{classes - 1}"
            )
        with in_own_code(f"attack {self.name!r}: check"):
            self.attack.check(classes)

    def poison(self, x: Floats, y: Labels, rng: np.random.Generator) -> tuple[Floats, Labels]:
        """Raises ConfigError when the attack returns something else than samples and labels."""
        with in_own_code(f"attack {self.name!r}: poison"):
            made = self.attack.poison(x, y, rng)
        if not isinstance(made, tuple) or len(made) != 2:
            raise ConfigError(f"attack {self.name!r}: poison must return two arrays, x and y")
        try:
            samples = np.ascontiguousarray(made[0], dtype=x.dtype)
            labels = np.ascontiguousarray(made[1], dtype=y.dtype)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"attack {self.name!r}: poison must return numbers, samples and labels: {error}"
            ) from error
        if samples.shape[1:] != x.shape[1:] or labels.shape[1:] != y.shape[1:]:
            raise ConfigError(
                f"attack {self.name!r}: poison made samples {samples.shape} and labels"
                f" {labels.shape} of {x.shape} and {y.shape}"
            )
        if len(samples) != len(labels) or not len(labels):
            raise ConfigError(
                f"attack {self.name!r}: poison made {len(samples)} samples, {len(labels)} labels"
            )
        return samples, labels

    def forge(self, known: Knowledge) -> Updates:
        """Raises ConfigError when the attack returns something else than updates."""
        with in_own_code(f"attack {self.name!r}: forge"):
            made: object = self.attack.forge(known)
        if not isinstance(made, Mapping):
            raise ConfigError(
                f"attack {self.name!r}: forge must return a dict from client to update (d,), not"
                f" {type(made).__name__}"
            )
        with in_own_code(f"attack {self.name!r}: what forge returned"):
            sent = {c: np.asarray(u, np.float32) for c, u in made.items()}
        for client, update in sent.items():
            if client not in known.own or update.shape != known.own[client].shape:
                raise ConfigError(
                    f"attack {self.name!r}: forge sent {update.shape} for client {client}; it may"
                    " send one update (d,) for each client in known.own"
                )
            if not np.isfinite(update).all():
                raise ConfigError(
                    f"attack {self.name!r}: forge sent client {client} entries that are not finite,"
                    " which nobody can mask: send numbers"
                )
        return {**known.attacking, **sent}


@dataclass(frozen=True, slots=True, eq=False)
class Poisoning(Attack):
    """A function ``(x, y, rng) -> (x, y)`` as an attack without a class to name."""

    function: Callable[[Floats, Labels, np.random.Generator], tuple[Floats, Labels]]

    def poison(self, x: Floats, y: Labels, rng: np.random.Generator) -> tuple[Floats, Labels]:
        return self.function(x, y, rng)


def own_attack(given: object, name: str | None = None) -> Own:
    """``given`` as an attack: an :class:`Attack`, a class of such that needs no arguments, or a
    function that poisons samples. ``name``: by default where ``given`` was defined.

    Raises:
        ConfigError: it is none of these.
    """
    name = name or reference_to(given)
    if isinstance(given, type) and issubclass(given, Attack):
        if not makes(given):
            raise ConfigError(
                f"attack {name!r} is {described(given)}: name an object that was made from it"
            )
        with in_own_code(f"attack {name!r}"):
            return own_attack(given(), name)
    if isinstance(given, Attack):
        _check_members(name, given)
        return Own(name, given)
    if inspect.isroutine(given) and takes(given, 3):
        return Own(name, Poisoning(given))
    raise ConfigError(
        f"attack {name!r} is {described(given)}: give a subclass of auror.Attack, an object of"
        " one, or a function (x, y, rng) -> (x, y)"
    )


def _check_members(name: str, attack: Attack) -> None:
    """Raises ConfigError where a subclass writes a member of :class:`Attack` in another way."""
    members = (
        ("poison", "(self, x, y, rng)"),
        ("forge", "(self, known)"),
        ("check", "(self, classes)"),
        ("on", "(self, classes)"),
    )
    for member, written in members:
        if not takes(getattr(attack, member), written.count(",")):
            raise ConfigError(
                f"attack {name!r}: {member} is {described(getattr(type(attack), member))}: write"
                f" {member}{written}"
            )
    with in_own_code(f"attack {name!r}: aim"):
        aim: object = attack.aim
    if aim is not None and not isinstance(aim, Aim):
        raise ConfigError(
            f"attack {name!r}: aim is {described(aim)}: write aim = auror.Aim(source=…, target=…),"
            " or a property that returns one"
        )
    trigger = None if aim is None else aim.trigger
    if trigger is not None and not takes(trigger, 1):
        raise ConfigError(
            f"attack {name!r}: trigger is {described(trigger)}: write a function of samples (N, …)"
        )


def load_attack(text: str) -> Own:
    """The attack that ``package.module:attribute`` names. Raises ConfigError when it is none."""
    return own_attack(load_reference("attack", text), text)


def poisoned_samples(
    attack: Attack, x: Floats, y: Labels, rng: np.random.Generator, classes: int | None
) -> tuple[Floats, Labels]:
    """What a client trains on that plays ``attack``; ``classes``: of the data, None without.

    Raises:
        ConfigError: the attack made a label that the data do not have.
    """
    made = attack.on(classes) if classes else attack
    samples, labels = made.poison(x, y, rng)
    if classes and len(wrong := labels[(labels < 0) | (labels >= classes)]):
        raise ConfigError(
            f"attack {str(attack)!r}: poison made the label {wrong.flat[0]}; classes are"
            f" 0..{classes - 1}"
        )
    return samples, labels


def changed_samples(before: tuple[Floats, Labels], after: tuple[Floats, Labels]) -> int:
    """How many samples or labels differ; all of ``after`` when samples came or went."""
    (x, y), (samples, labels) = before, after
    if len(y) != len(labels):
        return len(labels)
    differ = (y != labels).reshape(len(y), -1).any(axis=1)
    if samples is not x:
        differ |= (samples != x).reshape(len(y), -1).any(axis=1)
    return int(differ.sum())
