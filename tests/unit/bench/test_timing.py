"""Seconds and memory of a verdict: the ledgers hold attackers, the numbers are of one process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from auror.bench import verdict_cost
from auror.bench.defence import timing
from auror.bench.defence.rows import Bench
from auror.bench.verdict_cost import Size, made_up
from auror.errors import DataError


def test_a_made_up_ledger_has_attackers_whom_the_verdict_finds(tmp_path: Path) -> None:
    said: list[str] = []
    bench = Bench(tmp_path, [1000, 1001], True, said.append)
    size = Size(30, 10, 9)
    row = timing.timed(size, bench)
    assert row["reason"] is None
    assert (row["found"], row["honest flagged"]) == (9, 0)
    assert row["indications"] >= 1
    assert 0.0 < row["CPU seconds of a verdict"] < row["seconds"]
    assert 0.0 <= row["MB added"] < row["MB in all"]
    assert timing.timed(size, bench) == row
    assert len([line for line in said if line.endswith(" s")]) == 1  # others say that it goes on
    (line,) = timing.summarise([row])
    assert "defence" not in line
    assert line["classes"] == 10


def test_without_attackers_nobody_is_found() -> None:
    assert verdict_cost.measure(Size(20, 10, 0), 1)["honest flagged"] == 0


def test_ledgers_are_of_the_size_asked_for() -> None:
    ledger = made_up(Size(12, 3, 4), 7, rounds=4)
    assert len(ledger.rounds) == 4
    assert {len(group.members) for entry in ledger.rounds for group in entry.groups} == {6}
    assert ledger.width == 9


def test_small_and_large_cohorts_are_timed() -> None:
    assert {(s.clients, s.classes) for s in timing.sizes(reduced=True)} == {
        (30, 10), (30, 43), (30, 100),
    }  # fmt: skip
    assert {(s.clients, s.classes) for s in timing.sizes(reduced=False)} == {
        (30, 10), (30, 43), (30, 100), (1000, 10), (1000, 43),
    }  # fmt: skip
    assert all(size.malicious for size in timing.sizes(reduced=False))


def test_a_measurement_that_breaks_off_is_a_row_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_command: object, **_options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([sys.executable], 9, "", "warned\nMemoryError: gone")

    monkeypatch.setattr(timing.subprocess, "run", broken)
    row = timing.timed(Size(20, 10, 5), Bench(tmp_path, [1], True, print))
    assert "MemoryError: gone" in row["reason"]
    with pytest.raises(DataError, match="was not measured"):
        timing.measured(Size(20, 10, 5), 1)
