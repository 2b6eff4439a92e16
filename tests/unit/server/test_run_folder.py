"""The run folder: what a crash leaves can be read, and a run goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from auror_server import checkpoint
from auror_server.hosts import SyntheticHost
from auror_server.metrics import RoundMeter
from auror_server.recorder import Recorder
from auror_server.store import (
    JOURNAL,
    ROUNDS,
    TIMINGS,
    Store,
    append_line,
    lock_folder,
    read_facts,
    read_lines,
)
from auror_server.uploads import SpooledUploads
from rounds_kit import PARAMS, Deployment

from auror.crypto.entropy import system_entropy
from auror.errors import AbortReason, ConfigError
from auror.ids import ClientId, Digest, RoundId
from auror.round.description import model_digest
from auror.round.facts import (
    Attempted,
    RoundBegun,
    RoundEnded,
    encode,
)
from auror.round.policy import NO_DIGEST
from auror.round.record import RoundRecord
from auror.round.watch import Watch
from auror.training.campaign import Campaign
from auror.training.config import CampaignConfig
from auror.training.observations import PlanChoice


def campaign() -> Campaign:
    plan = PlanChoice(confusion=False, sketch_rows=4)
    config = CampaignConfig(rounds=5, plan=plan, defend=False)
    host = SyntheticHost(b"{}", 7)
    first = (model_digest(host.initial(0)),)
    kit = Deployment(4, params=replace(PARAMS, group_size=2), task=host.task, first_models=first)
    return Campaign(config, host, kit.policy, system_entropy)


def test_a_checkpoint_gives_the_same_state_back(tmp_path: Path) -> None:
    made = campaign()
    models, conduct = made.state.models, made.state.conduct
    models.previous = np.arange(7, dtype=np.float32)
    made.state.confirmation.flagged = {ClientId(3): 2}
    models.parent = Digest(b"p" * 32)
    models.step, models.attempts, conduct.disputed = 6, 2, 1
    models.spent = conduct.cautious = True
    made.state.counter, made.state.index = 9, 8
    checkpoint.save(tmp_path, made, "hash", finished=False)
    state = checkpoint.load(tmp_path, "hash")
    assert state is not None
    for name in ("confirmation", "conduct", "index", "counter"):
        assert getattr(state, name) == getattr(made.state, name)
    assert state.to_dict() == made.state.to_dict()
    assert state.tensors().keys() == {"model", "previous"}
    for name, expected in made.state.tensors().items():
        assert expected.tobytes() == state.tensors()[name].tobytes()


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


def test_an_initial_model_never_replaces_a_trained_one(tmp_path: Path) -> None:
    made = campaign()
    store = Store(tmp_path)
    recorder = Recorder(store, "hash", keep_totals=False)
    models = made.state.models
    record = record_of_round(models.model)

    def conclude(model: np.ndarray, previous: np.ndarray | None) -> None:
        models.model, models.previous = model, previous
        recorder.conclude(made, record, None, {}, RoundMeter(0.0), 1.0)

    initial, trained, fresh = (np.full(7, value, dtype=np.float32) for value in (0, 1, 2))
    conclude(initial, None)
    assert not (tmp_path / "model.safetensors").exists()
    conclude(trained, initial)
    conclude(fresh, None)  # begun anew after a flag, and nothing trained since
    kept = safetensors.numpy.load_file(tmp_path / "model.safetensors")["model"]
    assert kept.tobytes() == trained.tobytes()


def record_of_round(model: np.ndarray) -> RoundRecord:
    return RoundRecord(
        index=0, era=0, round_id=RoundId(0, bytes(16)), attempt=0, cohort=(), dealt=(),
        uploaded=(), sent=(), groups=(), opened=(), accepted_groups=(), accepted=(), left_out={},
        flagged=(), dropped={}, aborted=AbortReason.TOO_FEW_DEALT, total_opened=False,
        model=model_digest(model), public_seed=b"", watch=Watch.ALWAYS, watched=False,
    )  # fmt: skip


def test_a_crash_around_the_checkpoint_tells_every_round_once(tmp_path: Path) -> None:
    record = record_of_round(np.zeros(7, dtype=np.float32))

    def announced(index: int) -> Store:
        store = Store(tmp_path)
        store.announce_round(replace(record, index=index), {}, {"index": index})
        return store

    def told() -> list[list[int]]:
        names = (ROUNDS, TIMINGS)
        return [[line["index"] for line in read_lines(tmp_path / name)] for name in names]

    Store(tmp_path).complete(0)  # a run that crashed in its first round
    announced(0).keep_round()
    announced(1)
    Store(tmp_path).complete(1)  # the checkpoint does not hold round 1: it is played again
    assert told() == [[0], [0]]
    announced(1)
    Store(tmp_path).complete(2)  # it does, and the lines were missing
    assert told() == [[0, 1], [0, 1]]
    Store(tmp_path).complete(2)  # nothing was missing
    assert told() == [[0, 1], [0, 1]]
    append_line(tmp_path / TIMINGS, {"index": 2})
    announced(2)
    Store(tmp_path).complete(3)  # one of the two lines was missing
    assert told() == [[0, 1, 2], [0, 1, 2]]


@pytest.mark.parametrize(("counter", "attempts", "lines"), [(4, 1, 1), (5, 0, 0)])
def test_a_round_that_the_checkpoint_holds_was_not_interrupted(
    tmp_path: Path, counter: int, attempts: int, lines: int
) -> None:
    """Round 4 is open in the journal; the checkpoint names ``counter`` as the next."""
    made, store = campaign(), Store(tmp_path)
    made.state.counter = counter
    for fact in (
        replace(BEGUN, model=model_digest(made.state.models.model)),
        Attempted(False, True),
    ):
        store.note(fact)
    store.sync()
    Recorder(store, "hash", keep_totals=False).pass_interrupted(made)
    assert (made.state.counter, made.state.models.attempts) == (5, attempts)
    assert made.state.watching.attempts == attempts
    assert [record.interrupted for record in store.records()] == [True] * lines
    assert (made.state.index, made.state.models.era_round) == (lines, 0)


def test_a_round_begun_with_an_unknown_model_is_refused(tmp_path: Path) -> None:
    made, store = campaign(), Store(tmp_path)
    store.note(BEGUN)
    store.sync()
    with pytest.raises(ConfigError, match="round 4 was begun with another model"):
        Recorder(store, "hash", keep_totals=False).pass_interrupted(made)


BEGUN = RoundBegun(RoundId(4, bytes(16)), NO_DIGEST, (ClientId(0), ClientId(1)), 0, 0, 0, NO_DIGEST)
ENDED = RoundEnded(4)


def test_a_line_cut_short_does_not_spoil_the_next(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_text(encode(BEGUN) + '\n{"kind": "op')
    store = Store(tmp_path)
    store.note(ENDED)
    store.close()
    assert read_facts(tmp_path / JOURNAL) == [BEGUN, ENDED]


def test_an_unusable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError, match=r"server\.run_dir"):
            lock_folder(folder)
    with pytest.raises(ConfigError, match=r"server\.run_dir"):
        Store(tmp_path / "none")


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


@pytest.mark.parametrize("read", [read_lines, read_facts])
def test_bytes_that_are_no_text_are_named_with_their_place(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b'{"a": 1}\n{"b": "\xff"}\n')
    with pytest.raises(ConfigError, match=r"lines\.jsonl is damaged at byte 16: restore it"):
        read(path)
