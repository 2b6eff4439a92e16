"""A load test whose clients send garbage: whom the server excludes for it, and what is reported."""

from __future__ import annotations

import pytest

from auror.programs import load_watch
from auror.programs.load_text import as_text
from auror.programs.loadtest import LoadTest, run_loadtest


def test_a_cohort_that_shrinks_below_the_floor_ends_with_a_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(load_watch, "_FAREWELL_SECONDS", 1.0)
    said: list[str] = []
    test = LoadTest(clients=30, dim=100, rounds=12, dropout=0.0, malformed=0.15, workers=1)
    report = run_loadtest(test, said.append)
    assert not report.passed
    assert 0 < report.rounds_finished < 12
    assert report.exact
    left = 30 - len(report.excluded)
    assert report.gave_up == (
        f"{left} of 30 clients are left, and a round needs 20: {len(report.excluded)} were excluded"
        " for their conduct"
    )
    assert f"the server gave up: {report.gave_up}" in said
    assert "revoke" not in "".join(said) + as_text(report)
    counts = report.client_rounds
    assert counts.planned == 30 * report.rounds_finished
    told = counts.accepted + counts.dropped + counts.left_out + counts.excluded + counts.away
    assert counts.planned == told
    assert counts.excluded > 0
