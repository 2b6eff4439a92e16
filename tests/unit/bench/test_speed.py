"""``auror bench`` measures what it says, on sums that come out; how fast is nobody's promise."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from script_kit import load_script

from auror.bench import speed
from auror.bench.speed import as_text, defence, floors, peers, secagg, train
from auror.bench.speed.cast import SumCast, make_cast
from auror.bench.speed.clock import cheapest
from auror.bench.speed.floors import CoreRates, FloorWork, MachineFloors
from auror.bench.speed.round import run as round_rows
from auror.bench.speed.rows import SpeedRow, SumSize
from auror.bench.speed.tape import record
from auror.bench.speed.train import TrainingSize
from auror.bench.verdict_cost import Size, least_squares, made_up
from auror.cli import main
from auror.errors import ConfigError
from auror.learn.architectures import Cnn, Mlp
from auror.learn.cohort_training import faster_at_once

SIZE = SumSize(12, 500, 6, 4)
RATES = CoreRates(1e9, 1e4, 1e4, 1e10)
FLOORS = MachineFloors(RATES, CoreRates(2e9, 2e4, 2e4, 2e10))


@pytest.fixture(scope="module")
def cast() -> SumCast:
    return make_cast(SIZE)


@pytest.fixture(scope="module")
def rows() -> list[SpeedRow]:
    return secagg.run({SIZE: (0.0, 0.25)}, FLOORS, lambda _progress: None)


def test_every_step_has_a_row_with_its_floor(rows: list[SpeedRow]) -> None:
    assert [row.name.partition(":")[0] for row in rows] == ["client"] * 4 + ["server"] * 12
    assert {row.dropout for row in rows} == {0.0, 0.25}
    whole = [row for row in rows if row.name == "server: all"]
    nobody_lost, some_lost = whole
    # twelve self masks of 500 words of four bytes; then nine, and of three lost ones the masks
    # against all six neighbours, none of whom is lost
    assert nobody_lost.floor_seconds == pytest.approx(12 * 2000 / 1e9, abs=1e-6)
    assert some_lost.floor_seconds == pytest.approx((9 + 18) * 2000 / 1e9 + 18 / 1e4, abs=1e-6)
    assert some_lost.floor_seconds_two_cores == pytest.approx(some_lost.floor_seconds / 2, abs=1e-6)
    for row in rows:
        assert row.ratio_to_floor == pytest.approx(
            row.cpu_seconds / row.floor_seconds, rel=0.1, abs=0.006
        )


def test_bytes_are_those_of_the_wire(rows: list[SpeedRow]) -> None:
    by_name = {row.name: row.bytes for row in rows if row.dropout == 0.0}
    # sums of twelve 16-bit entries need 20 bits; a share is 33 bytes and a salt of 16
    assert by_name["server: take uploads"] == 12 * 500 * 20 / 8
    assert by_name["server: take shares"] == 12 * 7 * 49
    assert by_name["client: deal shares"] == 6 * (3 * 49 + 16)


def test_dropouts_leave_every_secret_its_holders(cast: SumCast) -> None:
    gone = set(cast.dropped(0.25))
    assert len(gone) == 3
    for client in cast.cohort:
        assert len(set(cast.graph.holders(client, frozenset(cast.cohort))) - gone) >= 4


def test_a_total_that_is_wrong_is_no_row(cast: SumCast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        SumCast, "plain_sum", lambda self, _clients: self.context.ring.zeros(self.size.d)
    )
    with pytest.raises(AssertionError, match="not the plain sum"):
        secagg._server_rows(cast, 0.0, FLOORS, map)


def test_a_whole_round_is_heard_again_by_another_server() -> None:
    size = SumSize(10, 60, 9, 6)
    rows = {row.name: row for row in round_rows({size: (0.2,)}, FLOORS, lambda _progress: None)}
    phases = ["advertise", "share keys", "receipts", "upload", "consistency", "draw", "statistics",
              "agree", "unmask", "whole round"]  # fmt: skip
    assert list(rows) == [f"{side}: {name}" for side in ("server", "client") for name in phases]
    for side in ("server", "client"):
        parts = [rows[f"{side}: {name}"] for name in phases[:-1]]
        whole = rows[f"{side}: whole round"]
        assert whole.cpu_seconds == pytest.approx(sum(row.cpu_seconds for row in parts), abs=1e-4)
        assert whole.dropout == 0.2
    # of eight uploads 60 entries of 20 bits, digests and frames
    assert 8 * 150 < rows["server: upload"].bytes < 8 * 400
    assert rows["client: upload"].bytes == pytest.approx(rows["server: upload"].bytes / 10, abs=1)


def test_a_round_whose_total_is_wrong_is_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    tape = record(SumSize(6, 20, 5, 4), 0.0, lambda _progress: None)
    monkeypatch.setattr("auror.bench.speed.tape.some_update", lambda dim: np.ones(dim, np.float32))
    with pytest.raises(AssertionError, match="not the plain sum"):
        tape.played()


def test_training_is_measured_both_ways_and_the_chosen_one_is_compared_with_the_better() -> None:
    size = TrainingSize(Mlp((1, 4, 4), 10), 3, 5)
    (row,) = [
        row for row in train.run({size: None}, FLOORS, lambda _p: None) if row.device == "cpu"
    ]
    better = min(row.at_once_seconds, row.one_by_one_seconds)
    assert row.at_once
    assert row.ratio_to_better == pytest.approx(row.at_once_seconds / better, abs=0.01)
    assert row.ratio_to_floor == pytest.approx(row.at_once_seconds / row.floor_seconds, rel=0.02)
    assert row.floor_seconds > 0.0
    assert len(row.cells()) == len(row.HEAD)
    assert row.name == "mlp-1x4x4"


def test_large_images_and_large_models_are_trained_one_by_one_on_a_cpu_only() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda", 0)
    for task, expected in (
        (Mlp((1, 28, 28), 10), True),
        (Cnn((1, 8, 8), 10), True),
        (Cnn((1, 28, 28), 10), False),
        (Mlp((3, 32, 32), 43), False),
    ):
        assert faster_at_once(task, cpu) is expected
        assert faster_at_once(task, gpu)


def test_a_verdict_is_compared_with_least_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        "CPU seconds of a verdict": 0.5,
        "CPU seconds of least squares": 0.002,
        "MB added": 1.5,
    }
    monkeypatch.setattr(defence, "measured", lambda _size, _seed: found)
    rows = defence.run(defence.sizes(reduced=False), FLOORS, lambda _p: None)
    assert [row.name for row in rows][:2] == ["30x10", "30x43"]
    assert all(row.ratio_to_floor == 250 for row in rows)
    assert all(len(row.cells()) == len(row.HEAD) for row in rows)
    assert 0.0 < least_squares(made_up(Size(20, 4, 0), 1, rounds=12)) < 60.0


def test_a_peer_is_installed_once_and_measured_by_its_own_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def ran(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        told = json.dumps({"server: unmask": [2.0, 1.0]})
        return subprocess.CompletedProcess(command, 0, told, "")

    monkeypatch.setattr(peers.subprocess, "run", ran)
    monkeypatch.setattr(peers.venv, "create", lambda folder, **_options: folder.mkdir(parents=True))
    for _ in range(2):
        (row,) = peers.measure_peer("flwr", {SIZE: (0.25,)}, FLOORS, lambda _p: None, tmp_path)
    assert [command[1:3] == ["-m", "pip"] for command in commands] == [True, False, False]
    python, program, asked = commands[-1]
    assert Path(python).is_relative_to(tmp_path)
    assert Path(program).is_file()
    assert json.loads(asked) == {"n": 12, "d": 500, "degree": 6, "threshold": 4, "dropout": 0.25}
    assert (row.name, row.cpu_seconds) == ("flwr: server: unmask", 1.0)
    # as test_every_step_has_a_row_with_its_floor counts it
    assert row.floor_seconds == pytest.approx((9 + 18) * 2000 / 1e9 + 18 / 1e4, abs=1e-6)
    assert len(row.cells()) == len(row.HEAD)


def test_a_peer_that_cannot_be_installed_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "warned\nno such version")

    monkeypatch.setattr(peers.subprocess, "run", failed)
    monkeypatch.setattr(peers.venv, "create", lambda folder, **_options: folder.mkdir(parents=True))
    with pytest.raises(ConfigError, match="no such version"):
        peers.measure_peer("flwr", {SIZE: (0.25,)}, FLOORS, lambda _p: None, tmp_path)


def test_floors_are_work_over_rates() -> None:
    work = FloorWork(stream_bytes=10**9, agreements=10**4, verifications=10**4, copied_bytes=10**10)
    assert RATES.seconds(work) == pytest.approx(4.0)
    assert RATES.seconds(FloorWork()) == 0.0


def test_kernels_say_how_much_they_have_done() -> None:
    done = {name: make()() for name, make in floors.KERNELS.items()}
    assert done["stream_bytes"] == 400_000
    assert done["agreements"] == done["verifications"] == 200
    assert done["copied_bytes"] == 64 << 20


def test_the_cheapest_of_five_counts() -> None:
    made = iter(range(10))
    spent = cheapest(lambda: next(made))
    assert spent.made == 4
    assert spent.cpu_seconds >= 0.0
    assert 0.0 < spent.seconds < 1.0


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "measure_floors", lambda: FLOORS)
    monkeypatch.setattr(secagg, "sizes", lambda reduced: {SIZE: (0.25,)})
    monkeypatch.setattr(speed, "SECTIONS", {"secagg": speed.SECTIONS["secagg"]})


@pytest.mark.usefixtures("quick")
def test_json_goes_to_standard_output_and_to_the_file(tmp_path: Path) -> None:
    out = tmp_path / "made" / "rows.json"
    done = CliRunner().invoke(main, ["bench", "secagg", "--format", "json", "--out", str(out)])
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert printed == json.loads(out.read_text(encoding="utf-8"))
    assert set(printed["rows"]["secagg"][0]) >= {
        "name", "n", "d", "degree", "threshold", "dropout", "graph", "seconds", "cpu_seconds",
        "bytes", "ratio_to_floor",
    }  # fmt: skip
    assert printed["hardware"]["cores"] >= 1
    assert "secagg" in done.stderr


def test_a_section_without_the_size_asked_for_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "measure_floors", lambda: FLOORS)
    report = speed.run_speed(["secagg", "round"], ["30x1000"], True, lambda _p: None)
    assert report.rows.keys() == {"round"}


@pytest.mark.usefixtures("quick")
def test_text_is_a_table_with_the_floors_above() -> None:
    done = CliRunner().invoke(main, ["bench"])
    assert done.exit_code == 0, done.output
    assert "10.0    20.0  thousand X25519/s" in done.stdout
    assert "server: all" in done.stdout
    assert as_text(speed.run_speed(["secagg"], [], True, lambda _p: None)).count("25%") == 6


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["secaggg"], "choose of secagg, round, train, defence"),
        (["--only", "7x7"], "--only 7x7: choose of"),
        (["--peer", "nobody"], "choose of flwr"),
        (["train", "--peer", "flwr"], "name that section"),
    ],
)
def test_what_does_not_exist_is_named(words: list[str], said: str) -> None:
    done = CliRunner().invoke(main, ["bench", *words])
    assert done.exit_code == 2
    assert said in done.stderr


@pytest.mark.usefixtures("quick")
def test_a_pipe_in_the_place_of_the_rows_is_refused_beforehand(tmp_path: Path) -> None:
    os.mkfifo(out := tmp_path / "rows.json")
    done = CliRunner().invoke(main, ["bench", "--out", str(out)])
    assert (done.exit_code, out.is_fifo()) == (2, True)
    assert done.stderr == f"auror: --out {out} is no regular file: name one, or a new one\n"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("scripts/performance_page.py")


def test_the_committed_page_is_that_of_the_committed_rows(script: ModuleType) -> None:
    assert script.PAGE.read_text(encoding="utf-8") == script.committed()


def test_a_row_that_was_not_measured_before_has_dashes(script: ModuleType) -> None:
    after, thousand = script.read(script.AFTER), script.read(script.THOUSAND[1])
    peer = script.read(script.PEER)
    made = script.page({**after, "rows": {}}, after, (thousand, thousand), peer)
    rows = [line for line in made.splitlines() if line.startswith("| server: all | 100 |")]
    assert {line.count("| – |") for line in rows} == {0, 2}  # the goals have no such columns
    known = script.page(after, after, (thousand, thousand), peer)
    assert "–" not in "".join(line for line in known.splitlines() if line.startswith("| server"))


def test_the_size_that_help_names_can_be_asked_for() -> None:
    text = CliRunner().invoke(main, ["bench", "--help"]).stdout
    named = re.search(r"such as\s+(\S+)\s+of secagg", text)
    assert named is not None
    assert named[1] in {size.name for size in secagg.sizes(False)}
    assert "a wrong name is answered with all of them" in " ".join(text.split())
