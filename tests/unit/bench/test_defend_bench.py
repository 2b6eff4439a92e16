"""``auror defend-bench`` and the recordings that it replays."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from auror.bench.defence import BenchReport, as_text, noniid, run_bench, write_rows
from auror.bench.defence.cells import Cell, cell_rows, recorded, summarise
from auror.bench.defence.frontier import Dial, fewest_rounds
from auror.bench.defence.rows import NOT_COMPUTED, Bench, cached_row, forget_damaged
from auror.cli import main
from auror.errors import ConfigError


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


def test_rows_are_cached_and_folded_with_an_exact_interval(cache: Path) -> None:
    cell = Cell("digits", 15, 0, 3, 6, 6)
    said: list[str] = []
    bench = Bench(cache, range(1000, 1003), False, said.append)
    rows = cell_rows("false_flags", [cell], bench)
    assert sum(line.endswith(" s") for line in said) == 3
    said.clear()
    assert cell_rows("false_flags", [cell], bench) == rows
    assert said == []
    (line,) = summarise(rows)
    assert (line["runs"], line["runs with a false flag"]) == (3, 0)
    assert line["interval"] == [0.0, pytest.approx(0.7076, abs=1e-4)]
    assert summarise([{**rows[0], "reason": "broken"}]) == []


def test_a_row_that_takes_long_says_that_it_goes_on(tmp_path: Path) -> None:
    said: list[str] = []
    goes_on = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        goes_on.set()

    def compute() -> dict[str, bool]:
        return {"heard": goes_on.wait(20)}

    assert cached_row(Bench(tmp_path, [1], False, say), "s", {"a": 1}, compute)["heard"]
    assert said[0].startswith("s 1 ")
    assert said[0].endswith(" s …")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["defend-bench", "--out"], "--out"),
        (["defend-bench", "--cache"], "--cache"),
        (["bench", "--out"], "--out"),
    ],
)
def test_what_cannot_be_written_is_found_before_anything_is_measured(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for runs in ("auror.bench.defence.run_bench", "auror.bench.speed.run_speed"):
        monkeypatch.setattr(runs, lambda *_: pytest.fail("something was measured"))
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    done = CliRunner().invoke(main, [*words, "file/inside/rows.json"])
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"auror: {said} file/inside")
    assert "no folder can be made or written there" in line


def test_a_row_of_another_defence_is_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, [1], False, print)
    kept = [cached_row(bench, "s", {"a": 1}, lambda v=v: {"v": v}) for v in (1, 2)]  # type: ignore[misc]
    assert [row["v"] for row in kept] == [1, 1]
    monkeypatch.setattr("auror.bench.defence.rows._defence", lambda: "other")
    assert cached_row(bench, "s", {"a": 1}, lambda: {"v": 3})["v"] == 3


def test_what_is_not_in_the_cache_is_left_out_of_collected_tables(tmp_path: Path) -> None:
    cell = Cell("digits", 15, 0, 3, 2, 2)
    bench = Bench(tmp_path, [1], False, lambda _line: None)
    (kept,) = cell_rows("false_flags", [cell], bench)
    collecting = replace(bench, seeds=[1, 2], collect=True)
    rows = cell_rows("false_flags", [cell], collecting)
    assert rows[0] == kept
    assert rows[1]["reason"] == NOT_COMPUTED
    with pytest.raises(ConfigError, match="holds no row of this code and these seeds"):
        run_bench(["false_flags"], collecting)  # its cells are others


def test_collected_tables_say_how_much_they_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, lacking = ({"seed": seed, "reason": reason} for seed, reason in
                     ((1, None), (2, NOT_COMPUTED)))  # fmt: skip
    monkeypatch.setattr(noniid, "run", lambda _: [kept, lacking, lacking])
    monkeypatch.setattr(noniid, "summarise", lambda rows: [{"runs": len(rows)}])
    words = ["defend-bench", "--only", "noniid", "--collect", "--cache", str(tmp_path)]
    out = tmp_path / "out"
    told = CliRunner().invoke(main, [*words, "--format", "json", "--out", str(out)])
    assert (told.exit_code, json.loads(told.stdout)["missing"]) == (0, {"noniid": 2})
    assert "; 2 rows are not computed yet." in (out / "noniid.md").read_text()
    assert "; 2 rows are not computed yet\n" in CliRunner().invoke(main, words).stdout
    monkeypatch.setattr(noniid, "run", lambda _: [kept])
    told = CliRunner().invoke(main, [*words, "--out", str(out)])
    assert "not computed" not in told.stdout + (out / "noniid.md").read_text()


def test_without_clean_samples_the_same_training_is_read_otherwise(cache: Path) -> None:
    cell = Cell("digits", 15, 4, 3, 2, 2, "shards:2")
    usual, bare = (recorded(c, cache, 1000) for c in (cell, replace(cell, clean_per_class=0)))
    assert bare.metrics == usual.metrics
    assert bare.changed == usual.changed
    assert not np.allclose(bare.statistics, usual.statistics)


def test_label_skew_is_measured_with_and_without_clean_samples() -> None:
    cells = noniid.decoded_cells(reduced=False)
    bare = [cell for cell in cells if not cell.clean_per_class]
    assert {(c.partition, c.malicious, c.group_size) for c in bare} == {
        (partition, malicious, 5) for partition in ("iid", "dirichlet:1.0") for malicious in (0, 9)
    }
    assert all(replace(cell, clean_per_class=10) in cells for cell in bare)
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
    assert run_bench([], Bench(tmp_path, [1], True, print)).rows == {}
    nowhere = ["defend-bench", "--data-dir", str(tmp_path), "--cache", str(tmp_path)]
    result = CliRunner().invoke(main, nowhere)
    assert result.exit_code == 2
    assert "holds no gtsrb/GTSRB" in result.output


def test_sections_may_be_named_in_one_word_or_in_several(tmp_path: Path) -> None:
    words = ["defend-bench", "--cache", str(tmp_path)]
    for only in (["--only", "nonesuch, noniid"], ["--only", "nonesuch", "--only", "noniid"]):
        done = CliRunner().invoke(main, [*words, *only])
        assert done.exit_code == 2
        assert "--only nonesuch: choose of" in done.stderr


@pytest.mark.parametrize("program", ["bench", "defend-bench"])
@pytest.mark.parametrize("only", ["", " , "])
def test_an_empty_choice_is_not_all(
    program: str, only: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, [program, "--only", only])
    assert done.exit_code == 2
    assert done.stderr == "auror: --only '' names nothing: leave it out, or name some\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words", [["--only", "magic"], ["--data-dir", "nowhere"], ["--device", "abacus"]]
)
def test_what_is_refused_leaves_no_folder(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["defend-bench", *words, "--out", "tables"])
    assert done.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_section_named_twice_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def run(sections: object, _: Bench) -> BenchReport:
        asked.append(sections)
        return BenchReport((1,), True, {}, {}, {})

    monkeypatch.setattr("auror.bench.defence.run_bench", run)
    words = ["defend-bench", "--only", "noniid,noniid", "--only", "noniid"]
    done = CliRunner().invoke(main, [*words, "--cache", str(tmp_path)])
    assert (done.exit_code, asked) == (0, [["noniid"]])


def test_what_was_cut_off_in_the_cache_is_computed_again(tmp_path: Path) -> None:
    cell = Cell("digits", 15, 0, 3, 2, 2)
    said: list[str] = []
    bench = Bench(tmp_path, [1], False, said.append)
    (kept,) = cell_rows("false_flags", [cell], bench)
    (row,), (recording,) = tmp_path.glob("false_flags/*.json"), tmp_path.glob("recordings/*.npz")
    underway = recording.with_suffix(".77.npz")
    underway.touch()
    for broken in ("{}", "[]", "{"):
        row.write_text(broken)
        recording.write_bytes(recording.read_bytes()[:5000] if broken == "{}" else b"")
        forget_damaged(bench)
        assert said[-1] == f"{recording} was cut off: it is made again"
        (again,) = cell_rows("false_flags", [cell], bench)
        assert {**again, "seconds": 0} == {**kept, "seconds": 0}
    assert underway.exists()


def test_nothing_to_collect_is_an_error_that_leaves_tables_alone(tmp_path: Path) -> None:
    words = ["defend-bench", "--only", "noniid", "--collect", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(main, [*words, "--cache", str(tmp_path / "nosuch")])
    assert done.exit_code == 2
    assert "nosuch holds no row of this code and these seeds" in done.stderr
    assert not list((tmp_path / "out").iterdir())
    assert not (tmp_path / "nosuch").exists()


def test_a_row_that_cannot_be_computed_is_said_and_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ConfigError("seed = 5 is broken")

    monkeypatch.setattr("auror.bench.defence.cells.recorded", broken)
    words = ["defend-bench", "--only", "detection", "--reduced", "--first-seed", "5"]
    done = CliRunner().invoke(main, [*words, "--cache", str(tmp_path)])
    assert done.exit_code == 1
    assert "cannot be computed: seed = 5 is broken" in done.stderr
    assert done.stderr.splitlines()[-1] == "auror: 1 rows could not be computed: see above"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seeds", "-1"], "--seeds -1: choose 1 or more"),
        (["--first-seed", "-5"], "--first-seed -5: choose 0 or more"),
    ],
)
def test_seeds_that_are_none_are_refused(words: list[str], said: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["defend-bench", "--cache", str(tmp_path), *words])
    assert done.exit_code == 2
    assert said in done.stderr
