"""Detectors by name and one's own."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import client_statistics, cohort, grouped

from auror.defence.ledger import Ledger
from auror.errors import ConfigError
from auror.ids import ClientId
from auror.training.detectors import (
    DETECTORS,
    OUTPUT_LAYER,
    DetectorDials,
    DetectorKind,
    PlainVerdict,
    choose_detector,
)
from auror.training.observations import PlanChoice

BAD = (1, 4, 7)


def ledger() -> Ledger:
    rng = np.random.default_rng(1)
    return grouped(client_statistics(25, 12, rng, malicious=BAD), 3, rng)


def last(ledger: Ledger, invited: tuple[ClientId, ...]) -> PlainVerdict:
    return PlainVerdict(frozenset(invited[-1:]), {invited[-1]: 1.0})


def test_the_default_finds_who_lies_in_a_ledger() -> None:
    detector = choose_detector("decoded").kind.make(DetectorDials())
    assert detector(ledger(), cohort(12)).flagged == set(BAD)


def test_what_each_reads_is_opened_for_it() -> None:
    plans = {name: choose_detector(name).kind.plan for name in DETECTORS}
    assert plans == {
        "decoded": PlanChoice(),
        "published": OUTPUT_LAYER,
        "direction": OUTPUT_LAYER,
    }
    assert choose_detector("published").kind.single


def test_a_function_of_ones_own() -> None:
    found = choose_detector(last)
    assert str(found) == f"{__name__}:last"
    verdict = found.kind.make(DetectorDials())(ledger(), cohort(12))
    assert verdict.flagged == {11}
    assert verdict.to_dict() == {"flagged": [11], "doubted": [], "scores": {"11": 1.0}}


def test_one_that_reads_the_output_layer_says_so() -> None:
    kind = DetectorKind(lambda _dials: last, OUTPUT_LAYER)
    assert choose_detector(kind).kind.plan == OUTPUT_LAYER


def test_what_a_detector_returns_is_checked() -> None:
    wrong = choose_detector(lambda _ledger, _invited: frozenset({ClientId(1)}))
    with pytest.raises(ConfigError, match=r"returned frozenset without flagged: return auror\."):
        wrong.kind.make(DetectorDials())(ledger(), cohort(12))


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (PlainVerdict(frozenset({"3"})), r"names client '3': clients are whole numbers"),  # type: ignore[arg-type]
        (PlainVerdict([3]), r"whose flagged is \[3\]: .*; flagged is a frozenset of clients"),  # type: ignore[arg-type]
        (None, "returned NoneType without flagged"),
    ],
)
def test_parts_of_a_verdict_are_checked(returned: object, words: str) -> None:
    wrong = choose_detector(lambda _ledger, _invited: returned)
    with pytest.raises(ConfigError, match=words):
        wrong.kind.make(DetectorDials())(ledger(), cohort(12))


class Needy:
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, ledger: Ledger, invited: tuple[ClientId, ...]) -> PlainVerdict:
        return PlainVerdict()


class Deaf:
    def __call__(self, ledger: Ledger) -> PlainVerdict:
        return PlainVerdict()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda ledger: PlainVerdict(), r"is a function \(ledger\), not a function \(ledger, inv"),
        (Needy, r"is the class Needy\(factor\), whose objects take \(ledger, invited\), not"),
        (Deaf, r"is the class Deaf\(\), whose objects take \(ledger\), not a function"),
        (Deaf(), r"is Deaf, called with \(ledger\), not a function"),
        (DetectorKind(lambda: last), r"write auror.DetectorKind\(make, plan\)"),  # type: ignore[arg-type]
        (DetectorKind(lambda _dials: last, "output"), "plan an auror.PlanChoice"),  # type: ignore[arg-type]
    ],
)
def test_one_with_other_parameters_is_refused_before_the_run(given: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        choose_detector(given)


def test_what_a_kind_makes_is_checked_as_it_is_made() -> None:
    wrong = choose_detector(DetectorKind(lambda _dials: Deaf()))
    with pytest.raises(ConfigError, match=r"is Deaf, called with \(ledger\), not a function"):
        wrong.kind.make(DetectorDials())
    broken = choose_detector(DetectorKind(lambda _dials: {}["factor"]))
    with pytest.raises(ConfigError, match=r"failed: test_detectors.py, line \d+: KeyError"):
        broken.kind.make(DetectorDials())


def test_an_unknown_detector_says_which_there_are() -> None:
    with pytest.raises(ConfigError, match="did you mean decoded"):
        choose_detector("decode")
    with pytest.raises(ConfigError, match="is int, not a function"):
        choose_detector(3)
