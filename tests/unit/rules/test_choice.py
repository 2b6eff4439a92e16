"""Rules by name and one's own: what they are told, and what is said when they are none."""

from __future__ import annotations

import numpy as np
import pytest

from auror.errors import ConfigError
from auror.rules.choice import RULES, ChosenRule, choose_rule
from auror.rules.robust import Aggregate, Floats

UPDATES = np.arange(12, dtype=np.float32).reshape(4, 3)


def first(updates: Floats, root: Floats | None) -> Aggregate:
    return Aggregate(updates[0].astype(np.float64), np.array([1.0, 0.0, 0.0, 0.0]))


class Growing:
    """Counts the rounds of one run."""

    def __init__(self) -> None:
        self.rounds = 0

    def __call__(self, updates: Floats, root: Floats | None) -> Aggregate:
        self.rounds += 1
        return Aggregate(np.full(updates.shape[1], float(self.rounds)))


def chosen(given: object) -> ChosenRule:
    found = choose_rule(given)
    assert found is not None
    return found


def test_auror_is_no_rule_of_these() -> None:
    assert choose_rule("auror") is choose_rule(None) is None
    assert "auror" not in RULES


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_name_makes_a_rule_that_says_its_name(name: str) -> None:
    rule = chosen(name)
    assert str(rule) == name
    assert rule.begin(1)(UPDATES, UPDATES[0]).change.shape == (3,)
    assert rule == chosen(name)


def test_a_function_of_ones_own_is_named_after_where_it_is() -> None:
    rule = chosen(first)
    assert str(rule) == f"{__name__}:first"
    found = rule.begin(1)(UPDATES, None)
    assert found.change.tolist() == [0.0, 1.0, 2.0]
    assert found.rejected is not None
    assert found.rejected.tolist() == [False, True, True, True]


def test_a_class_is_made_anew_for_every_run() -> None:
    rule = chosen(Growing)
    for _run in range(2):
        begun = rule.begin(0)
        assert [begun(UPDATES, None).change[0] for _round in range(3)] == [1.0, 2.0, 3.0]


def test_what_cannot_work_is_said_before_the_run() -> None:
    with pytest.raises(ConfigError, match="leave no majority"):
        chosen("krum").check(clients=4, malicious=2, clean_per_class=0)
    with pytest.raises(ConfigError, match="clean samples"):
        chosen("fltrust").check(clients=4, malicious=1, clean_per_class=0)
    chosen("median").check(clients=4, malicious=2, clean_per_class=0)


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (UPDATES[0], "returned ndarray, not auror.Aggregate"),
        (Aggregate(np.zeros(2)), "3 finite entries"),
        (Aggregate(np.array([0.0, np.nan, 0.0])), "3 finite entries"),
        (Aggregate(np.zeros(3), np.zeros(3)), "a finite part for each of 4 clients"),
    ],
)
def test_what_a_rule_returns_is_checked(returned: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        chosen(lambda _updates, _root: returned).begin(0)(UPDATES, None)


def test_an_unknown_rule_says_which_there_are() -> None:
    with pytest.raises(ConfigError, match="did you mean median"):
        choose_rule("medain")
    with pytest.raises(ConfigError, match=r"is a function \(x, y, rng\), not a function \(updates"):
        choose_rule(lambda x, y, rng: y)
    with pytest.raises(ConfigError, match="is int, not a function"):
        choose_rule(3)
