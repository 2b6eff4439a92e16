"""The run folder: what a crash leaves can be read, and a run goes on where it was."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from auror_server import checkpoint
from auror_server.hosts import SyntheticHost
from auror_server.store import JOURNAL, Store, read_lines
from auror_server.uploads import SpooledUploads

from auror.crypto.entropy import system_entropy
from auror.errors import ConfigError
from auror.ids import ClientId, Digest
from auror.params import RoundParams
from auror.round.campaign import Campaign, CampaignConfig
from auror.round.description import Roster
from auror.round.evidence import PlanChoice


def campaign() -> Campaign:
    config = CampaignConfig(
        params=RoundParams(group_size=2, colluders=0),
        rounds=5,
        plan=PlanChoice(confusion=False, sketch_rows=4),
        defend=False,
    )
    return Campaign(config, SyntheticHost(7), Roster("house", {}, b""), system_entropy)


def test_a_checkpoint_gives_the_same_state_back(tmp_path: Path) -> None:
    made = campaign()
    made.state.previous = np.arange(7, dtype=np.float32)
    made.state.flagged = {ClientId(3): 2}
    made.state.openings = {Digest(b"m" * 32): 2}
    made.state.totals = {Digest(b"t" * 32)}
    made.state.counter, made.state.index = 9, 8
    checkpoint.save(tmp_path, made, "hash", finished=False)
    loaded = checkpoint.load(tmp_path, "hash")
    assert loaded is not None
    state, ledger = loaded
    for field in dataclasses.fields(state):
        expected, got = getattr(made.state, field.name), getattr(state, field.name)
        if isinstance(expected, np.ndarray):
            assert expected.tobytes() == got.tobytes()
        else:
            assert expected == got
    assert ledger.to_dict() == made.ledger.to_dict()


def test_checkpoints_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path, "hash") is None
    checkpoint.save(tmp_path, campaign(), "hash", finished=False)
    with pytest.raises(ConfigError, match="other settings"):
        checkpoint.load(tmp_path, "another")
    checkpoint.save(tmp_path, campaign(), "hash", finished=True)
    with pytest.raises(ConfigError, match="finished run"):
        checkpoint.load(tmp_path, "hash")
    (tmp_path / checkpoint.FILE).write_bytes(b"half a file")
    with pytest.raises(ConfigError, match="cannot be read"):
        checkpoint.load(tmp_path, "hash")


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([], None),
        (["round", "ended"], None),
        (["round"], (4, False, False)),
        (["round", "opened"], (4, True, False)),
        (["round", "opened", "unmasking"], (4, True, True)),
        (["round", "opened", "unmasking", "ended", "round"], (4, False, False)),
    ],
)
def test_the_journal_names_the_interrupted_round(
    tmp_path: Path, kinds: list[str], expected: tuple[int, bool, bool] | None
) -> None:
    store = Store(tmp_path)
    for kind in kinds:
        store.note(kind, {"counter": 4})
    store.close()
    found = Store(tmp_path).interrupted()
    assert (None if found is None else dataclasses.astuple(found)) == expected


def test_a_line_cut_short_does_not_spoil_the_next(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_text('{"kind": "round", "counter": 1}\n{"kind": "op')
    store = Store(tmp_path)
    store.note("ended", {})
    store.close()
    assert [line["kind"] for line in read_lines(tmp_path / JOURNAL)] == ["round", "ended"]


def test_an_unusable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"server\.run_dir"):
        Store(tmp_path / "file")


def test_uploads_live_on_disk_and_leave_nothing(tmp_path: Path) -> None:
    uploads = SpooledUploads(tmp_path / "spool")
    uploads[ClientId(2)] = b"two"
    uploads[ClientId(1)] = b"one"
    assert dict(uploads) == {1: b"one", 2: b"two"}
    del uploads[ClientId(1)]
    assert list(uploads) == [2]
    with pytest.raises(KeyError):
        uploads[ClientId(1)]
    uploads.close()
    assert not (tmp_path / "spool").exists()
    assert not uploads


def test_a_verdict_is_replaced_as_a_whole(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for value in (1, 2):
        store.keep_verdict({"value": value})
    assert json.loads((tmp_path / "verdict.json").read_text()) == {"value": 2}
    assert not list(tmp_path.glob(".*"))
