from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers_result import DATA, TASK, result

from auror.errors import DataError
from auror.experiments.config import Medium, RunName
from auror.experiments.files import read_json, write_bytes
from auror.experiments.runfolder import read_run, write_run
from auror.round.record_json import record_to_json


def test_a_run_folder_reads_back_as_it_was_written(tmp_path: Path) -> None:
    written = result()
    write_run(tmp_path, written, TASK, DATA)
    read = read_run(tmp_path)
    assert np.array_equal(read.model, written.model)
    assert read.summary == {**written.summary(), "run": str(tmp_path)}
    again = read.result
    assert again.config == written.config
    assert again.malicious == written.malicious
    assert again.rates() == written.rates()
    for run in RunName:
        assert again.outcomes[run].history == written.outcomes[run].history
    assert again.defended is not None
    assert written.defended is not None
    assert again.defended.suspicion == written.defended.suspicion
    assert [record_to_json(r) for r in again.defended.records] == [
        record_to_json(r) for r in written.defended.records
    ]
    assert again.defended.evidence is not None
    assert again.defended.evidence.pairs == ((4, 9), (9, 4), (0, 6))


def test_the_transport_of_a_network_run_is_kept(tmp_path: Path) -> None:
    write_run(tmp_path, result(transport=Medium.GRPC), TASK, DATA)
    read = read_run(tmp_path)
    assert read.summary["transport"] == "grpc+mtls"
    assert read.result.transport is Medium.GRPC


def test_a_run_without_defence_reads_back(tmp_path: Path) -> None:
    write_run(tmp_path, result(defended=None), TASK, DATA)
    assert read_run(tmp_path).result.defended is None


@pytest.mark.parametrize(
    "name",
    [
        "summary.json",
        "verdict.json",
        "rounds.jsonl",
        "task.json",
        "model.safetensors",
        "config.json",
    ],
)
def test_a_changed_or_missing_file_is_named(tmp_path: Path, name: str) -> None:
    write_run(tmp_path, result(), TASK, DATA)
    path = tmp_path / name
    path.write_bytes(path.read_bytes().replace(b"0", b"1", 1))
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        read_run(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        read_run(tmp_path)


def test_another_folder_is_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a run folder"):
        read_run(tmp_path)


def test_folders_are_made_where_they_are_missing(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "kept.json"
    write_bytes(target, b"new")
    assert target.read_bytes() == b"new"


def test_json_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        read_json(path)
