"""``auror defend-bench`` and the recordings that it replays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from auror.bench.defence import BenchReport, as_text, noniid, run_bench, write_rows
from auror.bench.defence.calibration import Cell, cell_rows, recorded, summarise
from auror.bench.defence.frontier import Dial, fewest_rounds
from auror.bench.defence.rows import cached_row
from auror.bench.recordings import RecordedTraining, record
from auror.bench.replays import replay
from auror.cli import main
from auror.experiments.config import ExperimentConfig, RunName
from auror.ids import ClientId
from auror.learn.attacks import parse_attack
from auror.params import RoundParams
from auror.training.observations import PlanChoice


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def recording(cache: Path) -> RecordedTraining:
    config = ExperimentConfig(
        clients=12, malicious=3, attack=parse_attack("flip:4:9"), rounds=8, seed=1001,
        device="cpu", runs=(RunName.UNDEFENDED,),
        round_params=RoundParams(group_size=1, colluders=0),
    )  # fmt: skip
    made = record(config, PlanChoice(), cache)
    again = record(config, PlanChoice(), cache)  # from the file
    assert np.array_equal(made.sums, again.sums)
    assert made.labels == again.labels
    assert (made.choice, made.dim, made.output) == (again.choice, again.dim, again.output)
    assert made.malicious == again.malicious
    return made


def test_a_replay_finds_the_attackers_of_a_recording(recording: RecordedTraining) -> None:
    found = replay(recording, 1, seed=3, audits=None)
    assert found.malicious == set(recording.malicious)
    assert found.tpr == 1.0
    assert found.fpr == 0.0
    assert found.first is not None
    assert found.first >= 5  # nobody is judged earlier
    assert found.group_sums <= 12 * 8


def test_flags_fall_after_three_audited_rounds(recording: RecordedTraining) -> None:
    alone, audited = (replay(recording, 1, seed=3, audits=audits) for audits in (None, 0.0))
    assert audited.flagged == {client: at + 3 for client, at in alone.flagged.items()}


def test_nobody_is_judged_before_there_are_enough_sums(recording: RecordedTraining) -> None:
    assert replay(recording, 6, seed=3).flagged == {}


def test_a_lie_that_changes_the_sum_is_no_evidence(recording: RecordedTraining) -> None:
    def shout(at: int, sent: np.ndarray, groups: list[list[int]]) -> np.ndarray:
        sent[0] += 1
        return sent

    assert replay(recording, 1, seed=3, lie=shout).flagged == {}


def test_evidence_moved_onto_somebody_else_flags_it_only_without_audits(
    recording: RecordedTraining,
) -> None:
    honest = next(c for c in range(12) if ClientId(c) not in recording.malicious)

    def swap(at: int, sent: np.ndarray, groups: list[list[int]]) -> np.ndarray:
        bad = [int(c) for c in recording.malicious]
        sent[honest], sent[bad[0]] = sent[bad[0]].copy(), sent[honest].copy()
        return sent

    assert honest in replay(recording, 1, seed=3, lie=swap, audits=None).flagged
    assert honest not in replay(recording, 1, seed=3, lie=swap, audits=0.0).flagged


def test_rows_are_cached_and_folded_with_an_exact_interval(cache: Path) -> None:
    cell = Cell("digits", 15, 0, 3, 6, 6)
    said: list[str] = []
    rows = cell_rows("calibration", [cell], cache, range(1000, 1003), said.append)
    assert len(said) == 3
    assert cell_rows("calibration", [cell], cache, range(1000, 1003), said.append) == rows
    assert len(said) == 3
    (line,) = summarise(rows)
    assert (line["runs"], line["runs with a false flag"]) == (3, 0)
    assert line["interval"] == [0.0, pytest.approx(0.7076, abs=1e-4)]
    assert summarise([{**rows[0], "reason": "broken"}]) == []


def test_a_row_of_another_defence_is_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = [cached_row(tmp_path, "s", {"a": 1}, print, lambda v=v: {"v": v}) for v in (1, 2)]  # type: ignore[misc]
    assert [row["v"] for row in kept] == [1, 1]
    monkeypatch.setattr("auror.bench.defence.rows._defence", lambda: "other")
    assert cached_row(tmp_path, "s", {"a": 1}, print, lambda: {"v": 3})["v"] == 3


def test_without_clean_samples_the_same_training_is_read_otherwise(cache: Path) -> None:
    cell = Cell("digits", 15, 4, 3, 2, 2, "shards:2")
    usual, bare = (recorded(c, cache, 1000) for c in (cell, replace(cell, clean_samples=0)))
    assert bare.metrics == usual.metrics
    assert bare.changed == usual.changed
    assert not np.allclose(bare.statistics, usual.statistics)


def test_label_skew_is_measured_with_and_without_clean_samples() -> None:
    cells = noniid.decoded_cells(reduced=False)
    bare = [cell for cell in cells if not cell.clean_samples]
    assert {(c.partition, c.malicious, c.group_size) for c in bare} == {
        (partition, malicious, 5) for partition in ("iid", "dirichlet:1.0") for malicious in (0, 9)
    }
    assert all(replace(cell, clean_samples=100) in cells for cell in bare)
    assert "shards:2" in {c.partition for c in cells} & {
        c.partition for c in noniid.published_cells(reduced=False)
    }
    few = noniid.decoded_cells(reduced=True) + noniid.published_cells(reduced=True)
    assert {c.partition for c in few} == {"dirichlet:1.0"}


@pytest.mark.parametrize(("size", "expected"), [(5, 6), (10, 15), (15, 29), (30, None)])
def test_the_fewest_rounds_count_equations_against_clients(size: int, expected: int | None) -> None:
    assert fewest_rounds(Dial(30, 9, size, 1.0, 1)) == expected
    twice = fewest_rounds(replace(Dial(30, 9, size, 1.0, 1), partitions=2))
    assert twice is None if expected is None else twice == -(-29 // (2 * (30 // size - 1)))


def test_raw_rows_and_tables_are_written(tmp_path: Path) -> None:
    report = BenchReport(
        (1,), True, {"frontier": [{"a": 1, "reason": None}, {"a": 2, "reason": "no"}]},
        {"frontier": [{"a": 1.5, "b": None, "c": [0.0, 0.1]}]}, {"frontier": 0.1},
    )  # fmt: skip
    paths = write_rows(report, tmp_path)
    assert [path.name for path in paths] == ["frontier.csv", "frontier.md", "tables.json"]
    assert paths[1].read_text().splitlines()[-3:] == [
        "| a | b | c |", "|---|---|---|", "| 1.5 | – | 0 … 0.1 |"
    ]  # fmt: skip
    assert json.loads(paths[2].read_text())["failures"] == 1
    assert "0 … 0.1" in as_text(report)
    assert "–" in as_text(report)


def test_unknown_sections_and_no_seeds_are_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["defend-bench", "--only", "magic", "--cache", str(tmp_path)])
    assert result.exit_code == 2
    assert "choose of calibration" in result.output
    result = CliRunner().invoke(main, ["defend-bench", "--seeds", "0", "--cache", str(tmp_path)])
    assert result.exit_code == 2
    assert run_bench([], tmp_path, [1], True, print).rows == {}
