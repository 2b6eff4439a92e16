"""Verdicts on ledgers that somebody else filled."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import client_statistics, grouped

from auror import Ledger, PlainVerdict, judge
from auror.errors import ConfigError

BAD = (1, 4, 7)


def ledger() -> Ledger:
    rng = np.random.default_rng(1)
    return grouped(client_statistics(25, 12, rng, malicious=BAD), 3, rng)


def test_the_default_finds_who_lies() -> None:
    verdict = judge(ledger())
    assert verdict.flagged == set(BAD)
    assert judge(Ledger.from_dict(ledger().to_dict()), range(12)).scores == verdict.scores


def test_a_detector_of_ones_own_is_asked() -> None:
    seen = []

    def mine(found: Ledger, invited: tuple[int, ...]) -> PlainVerdict:
        seen.append((len(found.rounds), invited))
        return PlainVerdict()

    assert judge(ledger(), [3, 1, 2], detector=mine).flagged == frozenset()
    assert seen == [(25, (1, 2, 3))]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"detector": "direction"}, "cannot read this ledger"),
        ({"detector": "published"}, "needs alpha"),
        ({"detector": "published", "alpha": 0.1}, "cannot read this ledger"),
        ({"detector": "decodet"}, "did you mean decoded"),
    ],
)
def test_what_cannot_be_judged(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        judge(ledger(), **options)  # type: ignore[arg-type]


def test_an_error_inside_ones_own_detector_is_not_hidden() -> None:
    def broken(found: Ledger, invited: tuple[int, ...]) -> PlainVerdict:
        raise ValueError("mine")

    with pytest.raises(
        ConfigError, match=r"broken' failed: test_judging.py, line \d+: .*mine"
    ) as said:
        judge(ledger(), detector=broken)
    assert isinstance(said.value.__cause__, ValueError)
