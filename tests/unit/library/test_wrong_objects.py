"""Objects of one's own that are written wrongly: one line with the object and what to change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from own_tasks import Rows, rows
from torch import nn

import auror
from auror.errors import ConfigError, DataError, UserError

SMALL: dict[str, Any] = {
    "dataset": "digits", "clients": 6, "malicious": 2, "group_size": 2, "colluders": 1,
    "rounds": 3, "runs": "defended", "aggregation": "plain",
}  # fmt: skip
RULED = {name: SMALL[name] for name in ("dataset", "clients", "malicious", "rounds", "runs")}


def attack(**members: object) -> type[auror.Attack]:
    return type("Bad", (auror.Attack,), members)


def task(**members: object) -> type[auror.Task]:
    """A task on rows with loaders of its own."""
    whole = {
        "client_data": lambda self, path, client: rows(30, client),
        "server_data": lambda self, path: auror.ServerData(*rows(30, 100), *rows(30, 101)),
    }
    return type("Bad", (Rows,), {**whole, **members})


def raises(*_values: object) -> Any:
    raise KeyError("mine")


class ThirdRound:
    """Goes wrong in the third round only."""

    def __init__(self) -> None:
        self.rounds = 0

    def __call__(self, updates: Any, root: Any) -> auror.Aggregate:
        self.rounds += 1
        change = updates.mean(axis=0)
        return auror.Aggregate(change[None] if self.rounds == 3 else change)


def third(ledger: auror.Ledger, invited: tuple[int, ...]) -> auror.PlainVerdict:
    if len(ledger.rounds) == 2:
        raise IndexError("of the third round")
    return auror.PlainVerdict()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (attack(poison=lambda self, x, y: (x, y)), r"poison is a function \(x, y\): write po"),
        (attack(forge=lambda self: {}), r"forge is a function \(\): write forge\(self, known\)"),
        (attack(check=lambda self: None), r"check is a function \(\): write check\(self, classes"),
        (attack(poison=raises), r"poison failed: test_wrong_objects.py, line \d+: KeyError"),
        (attack(poison=lambda self, x, y, rng: x), "poison must return two arrays, x and y"),
        (attack(poison=lambda self, x, y, rng: (x, ["a"] * len(y))), "poison must return numbers"),
        (attack(forge=lambda self, known: [1]), "forge must return a dict from client to update"),
        (attack(forge=lambda self, known: {c: u * np.nan for c, u in known.own.items()}),
         "entries that are not finite"),
        (attack(forge=lambda self, known: dict.fromkeys(known.own, "x")), "forge returned failed"),
        (attack(aim=(4, 9), poison=lambda self, x, y, rng: (x, y)), "aim is tuple: write aim = "),
        (attack(aim=auror.Aim(target=2, trigger=lambda: 3)), r"trigger is a function \(\): write"),
        (attack(aim=auror.Aim(target=2, trigger=lambda x: x[:1]),
                poison=lambda self, x, y, rng: (x, y)), "trigger made samples"),
        (attack(on=lambda self, classes: None, poison=lambda self, x, y, rng: (x, y)),
         "on must return an auror.Attack, not None"),
        (attack(__init__=raises), "failed: test_wrong_objects.py"),
    ],
)  # fmt: skip
def test_attacks(wrong: object, words: str) -> None:
    with pytest.raises(ConfigError, match=f"^attack .*{words}"):
        auror.simulate(attack=wrong, **SMALL)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"build": lambda self, width: nn.Linear(6, 3)}, r"build\(\) failed: TypeError: .*width"),
        ({"build": raises}, r"build\(\) failed: test_wrong_objects.py, line \d+: KeyError"),
        ({"loss": lambda self, outputs: outputs.mean()}, "positional arguments but 3 were given"),
        (
            {"loss": raises},
            r"samples of shape \(2, 6\): .* failed: test_wrong_objects.py, line",
        ),
        ({"metrics": raises}, r"metrics\(\) failed: test_wrong_objects.py, line \d+: KeyError"),
        (
            {"metrics": lambda self, outputs, targets: None},
            r"metrics\(\) failed: TypeError: 'NoneType'",
        ),
        ({"class_names": "ab"}, "class_names or feature_names: 3 classes need as many"),
    ],
)
def test_tasks(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=f"^task .*{words}"):
        auror.simulate(task=task(**wrong), attack="none", clients=6, rounds=1, runs="clean")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"client_data": lambda self, path: rows(30, 1)}, "client_data failed: TypeError"),
        ({"client_data": raises}, r"client_data failed: test_wrong_objects.py, line \d+: KeyError"),
        ({"client_data": lambda self, path, client: rows(30, 1)[0]}, r"must return two arrays \(x"),
        ({"client_data": lambda self, path, client: (rows(30, 1)[0], 3)}, "and y as long, not"),
        ({"server_data": lambda self, path: rows(30, 1)}, r"must return auror.ServerData\(test_x"),
        ({"server_data": lambda self, path: auror.ServerData(*rows(30, 1), rows(30, 2)[0])},
         "give clean_x and clean_y, or neither"),
    ],
)  # fmt: skip
def test_loaders(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=f"^task .*{words}"):
        auror.simulate(task=task(**wrong), attack="none", clients=6, rounds=1, runs="clean")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"rule": ThirdRound, **RULED}, r"^rule .*change must be 4810 finite entries \(d,\)"),
        ({"rule": raises, **RULED}, r"^rule .*raises' failed: test_wrong_objects.py, line \d+"),
        ({"detector": third, **SMALL}, r"^detector .*third' failed: .*of the third round"),
    ],
)
def test_rules_and_detectors_that_fail_in_the_middle(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        auror.simulate(**wrong)
