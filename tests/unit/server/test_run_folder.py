"""The run folder: whose it is, and the files in it that people take."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from auror_server.hosts import SyntheticHost
from auror_server.metrics import RoundMeter
from auror_server.recorder import Recorder
from auror_server.state.identity import RunIdentity
from auror_server.state.opening import begin, resume
from auror_server.state.run import RunState
from auror_server.store import Store, lock_folder
from auror_server.uploads import SpooledUploads
from rounds_kit import PARAMS, Deployment

from auror.crypto.entropy import system_entropy
from auror.errors import AbortReason, ConfigError
from auror.ids import ClientId, RoundId
from auror.round.description import model_digest
from auror.round.facts import Attempted, RoundBegun
from auror.round.policy import NO_DIGEST
from auror.round.record import RoundRecord
from auror.round.watch import Watch
from auror.training.campaign import Campaign
from auror.training.config import CampaignConfig
from auror.training.observations import PlanChoice

HOST = SyntheticHost(b"{}", 7)


def campaign() -> Campaign:
    plan = PlanChoice(confusion=False, sketch_rows=4)
    config = CampaignConfig(rounds=5, plan=plan, defend=False)
    first = (model_digest(HOST.initial(0)),)
    kit = Deployment(4, params=replace(PARAMS, group_size=2), task=HOST.task, first_models=first)
    return Campaign(config, HOST, kit.policy, system_entropy)


def begun_run(folder: Path, made: Campaign) -> RunState:
    return begin(folder, RunIdentity(made.policy, "settings"), made.state)


def record_of_round(model: np.ndarray) -> RoundRecord:
    return RoundRecord(
        index=0, era=0, round_id=RoundId(0, bytes(16)), attempt=0, cohort=(), dealt=(),
        uploaded=(), sent=(), groups=(), opened=(), accepted_groups=(), accepted=(), left_out={},
        flagged=(), dropped={}, aborted=AbortReason.TOO_FEW_DEALT, total_opened=False,
        model=model_digest(model), public_seed=b"", watch=Watch.ALWAYS, watched=False,
    )  # fmt: skip


def begun(made: Campaign, counter: int = 4) -> RoundBegun:
    digest = model_digest(made.state.models.model)
    cohort = (ClientId(0), ClientId(1))
    return RoundBegun(RoundId(counter, bytes(16)), NO_DIGEST, cohort, 0, 0, 0, digest, NO_DIGEST)


def test_an_initial_model_never_replaces_a_trained_one(tmp_path: Path) -> None:
    made = campaign()
    recorder = Recorder(Store(tmp_path, begun_run(tmp_path, made)), keep_totals=False)
    models = made.state.models
    record = record_of_round(models.model)

    def conclude(model: np.ndarray, previous: np.ndarray | None) -> None:
        models.model, models.previous = model, previous
        models.step += 1
        recorder.conclude(made, record, None, {}, RoundMeter(0.0), 1.0)

    initial, trained, fresh = (np.full(7, value, dtype=np.float32) for value in (0, 1, 2))
    conclude(initial, None)
    assert not (tmp_path / "model.safetensors").exists()
    conclude(trained, initial)
    conclude(fresh, None)  # begun anew after a flag, and nothing trained since
    kept = safetensors.numpy.load_file(tmp_path / "model.safetensors")["model"]
    assert kept.tobytes() == trained.tobytes()


def test_an_interrupted_round_is_closed_once_and_is_none_of_the_training(tmp_path: Path) -> None:
    made = campaign()
    state = begun_run(tmp_path, made)
    state.note(begun(made))
    state.note(Attempted(True, True))
    state.sync()
    for attempts in (1, 1):
        state.close()
        resumed = resume(tmp_path, RunIdentity(made.policy, "settings"), None, HOST.initial)
        assert resumed is not None
        state, store = resumed.run, Store(tmp_path, resumed.run)
        again = Campaign(made.config, HOST, made.policy, system_entropy, resumed.state)
        Recorder(store, keep_totals=False).pass_interrupted(again)
        assert (again.state.counter, again.state.models.attempts) == (5, attempts)
        assert (again.state.index, again.state.models.era_round) == (1, 0)
        assert again.state.conduct.disputed == 1
        assert again.state.watching.attempts == 1
        assert [record.interrupted for record in store.state.records()] == [True]
    state.close()


def test_a_round_begun_with_an_unknown_model_is_refused(tmp_path: Path) -> None:
    made = campaign()
    state = begun_run(tmp_path, made)
    state.note(replace(begun(made), model=NO_DIGEST))
    state.sync()
    recorder = Recorder(Store(tmp_path, state), keep_totals=False)
    with pytest.raises(ConfigError, match="a round was begun with another model"):
        recorder.pass_interrupted(made)


def test_an_unusable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError, match=r"server\.run_dir"):
            lock_folder(folder)


def test_a_run_folder_is_for_one_user_only(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o755)
    with lock_folder(folder):
        made = campaign()
        store = Store(folder, begun_run(folder, made))
        store.keep_text("config.toml", "x")
        store.state.note(begun(made))
        store.state.sync()
        assert folder.stat().st_mode & 0o777 == 0o700
        modes = {path.name: path.stat().st_mode & 0o077 for path in folder.rglob("*")}
        assert {"state.db", "state.db-wal", "state-copy.db", "blobs"} <= modes.keys()
        assert not [name for name, mode in modes.items() if mode]
        store.close()


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
    store = Store(tmp_path, begun_run(tmp_path, campaign()))
    for value in (1, 2):
        store.keep_verdict({"value": value})
    assert json.loads((tmp_path / "verdict.json").read_text()) == {"value": 2}
    assert not list(tmp_path.glob(".*"))
