"""Somebody's own attack: a function, a class or an object, and what is said when it is none."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

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
    own_attack,
    poisoned_samples,
)
from auror.learn.attacks import Forged, parse_attack
from auror.learn.forgery import Scale

X = np.arange(24, dtype=np.float32).reshape(6, 1, 2, 2)
Y = np.array([0, 1, 2, 0, 1, 2])
RNG = np.random.default_rng(1)


def shift(x: Floats, y: Labels, rng: np.random.Generator) -> tuple[Floats, Labels]:
    return x, (y + 1) % 3


def halve(updates, root):  # type: ignore[no-untyped-def]  # as people write a rule
    return updates.mean(axis=0) / 2


class Ones(Attack):
    def __init__(self, times: float = 1.0) -> None:
        self.times = times

    def forge(self, known: Knowledge) -> Updates:
        return {client: np.full_like(u, self.times) for client, u in known.own.items()}


class Aimed(Attack):
    aim = Aim(source=7, target=2)  # type: ignore[assignment]


class Needy(Attack):
    def __init__(self, factor: float) -> None:
        self.factor = factor


TWICE = Ones(2.0)


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch) -> str:
    """This module as a program would import it."""
    module = ModuleType("own_attack_of_a_test")
    vars(module).update(globals())
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.__name__


def knowledge() -> Knowledge:
    updates = {ClientId(c): np.full(4, c, dtype=np.float32) for c in (1, 2)}
    honest = np.zeros((3, 4), dtype=np.float32)
    return Knowledge(updates, updates, honest, 0, (0, 1, 2), None)


def test_a_function_poisons_and_forges_nothing(name: str) -> None:
    attack = parse_attack(f"{name}:shift", classes=3)
    assert attack is not None
    assert str(attack) == f"{name}:shift"
    assert (attack.poisons, attack.forges, attack.aim) == (True, False, None)
    x, y = attack.poison(X, Y, RNG)
    np.testing.assert_array_equal(x, X)
    assert y.tolist() == [1, 2, 0, 1, 2, 0]
    assert attack == parse_attack(str(attack))


def test_a_class_is_made_and_an_object_is_taken(name: str) -> None:
    for written, sent in (("Ones", 1.0), ("TWICE", 2.0)):
        attack = parse_attack(f"{name}:{written}")
        assert attack is not None
        assert (attack.poisons, attack.forges) == (False, True)
        assert {c: u.tolist() for c, u in attack.forge(knowledge()).items()} == {
            1: [sent] * 4,
            2: [sent] * 4,
        }


def test_forgeries_that_come_along_change_an_attack_of_ones_own(name: str) -> None:
    attack = parse_attack(f"{name}:shift+scale:5.0")
    assert isinstance(attack, Forged)
    assert attack.poison(X, Y, RNG)[1].tolist() == [1, 2, 0, 1, 2, 0]
    assert attack.forgery == Scale(5.0)
    assert str(attack) == f"{name}:shift+scale:5.0"
    with pytest.raises(ConfigError, match="write it alone"):
        parse_attack(f"{name}:Ones+scale:5.0")


def test_an_object_names_itself_where_its_module_names_it() -> None:
    assert own_attack(TWICE).name == f"{__name__}:TWICE"
    assert own_attack(shift).name == f"{__name__}:shift"
    assert own_attack(Ones(3.0)).name == f"{__name__}:Ones()"  # nobody can load that again


def test_an_aim_beyond_the_classes_is_refused(name: str) -> None:
    assert parse_attack(f"{name}:Aimed", classes=8) is not None
    with pytest.raises(ConfigError, match=r"does not have; classes are 0\.\.2"):
        parse_attack(f"{name}:Aimed", classes=3)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("X", "is ndarray: give a subclass of auror.Attack"),
        ("halve", r"is a function \(updates, root\): give .* a function \(x, y, rng\)"),
        ("Needy", "name an object that was made from it"),
        ("Absent", "has no Absent"),
    ],
)
def test_what_is_no_attack_is_refused(name: str, written: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse_attack(f"{name}:{written}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda x, y: y, "must return two arrays"),
        (lambda x, y: (x[:, 0], y), "made samples"),
        (lambda x, y: (x[:3], y), "3 samples, 6 labels"),
        (lambda x, y: (x[:0], y[:0]), "0 samples"),
    ],
)
def test_what_poison_returns_is_checked(
    made: Callable[[Floats, Labels], object], words: str
) -> None:
    attack = own_attack(lambda x, y, rng: made(x, y), "own:attack")
    with pytest.raises(ConfigError, match=words):
        attack.poison(X, Y, RNG)


def test_what_forge_sends_is_checked() -> None:
    class Short(Attack):
        def forge(self, known: Knowledge) -> Updates:
            return {client: u[:2] for client, u in known.own.items()}

    class Stranger(Attack):
        def forge(self, known: Knowledge) -> Updates:
            return {ClientId(9): np.zeros(4, dtype=np.float32)}

    for attack in (Short(), Stranger()):
        with pytest.raises(ConfigError, match="one update"):
            Own("own:attack", attack).forge(knowledge())


def test_an_attack_makes_labels_of_the_data() -> None:
    attack = own_attack(shift)
    x, y = poisoned_samples(attack, X, Y, RNG, 3)
    assert (x is X, y.tolist()) == (True, [1, 2, 0, 1, 2, 0])
    with pytest.raises(ConfigError, match=r"made the label 2; classes are 0\.\.1"):
        poisoned_samples(attack, X, Y, RNG, 2)
    with pytest.raises(ConfigError, match="made the label -1"):
        poisoned_samples(own_attack(lambda x, y, rng: (x, y - 1)), X, Y, RNG, 3)
