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


def test_an_unknown_detector_says_which_there_are() -> None:
    with pytest.raises(ConfigError, match="did you mean decoded"):
        choose_detector("decode")
    with pytest.raises(ConfigError, match="is int, not a function"):
        choose_detector(3)
