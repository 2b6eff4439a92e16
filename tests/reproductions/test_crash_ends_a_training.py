"""A server killed at the wrong moments offered steps that its clients counted as spent.

91.1 % became 10.2 %: what a kill broke off was booked on the model of the checkpoint, not on the
one that the round had used, and of several such rounds only the last was looked at.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from killed_server import Killed, KilledServer

from auror.deployment.model_file import read_model
from auror.deployment.run_reader import RunReader
from auror.privacy.account import account_of
from auror.round.messages import (
    AcceptedSet,
    AgreementList,
    DealerList,
    RandomnessList,
    RoundStart,
    ServerMessage,
    UploadList,
)
from auror.round.record import RoundRecord
from auror.round.record_json import record_from_json


def kill(server: KilledServer, *moments: type[ServerMessage]) -> None:
    for moment in moments:
        with pytest.raises(Killed):
            server.round(kill_at=moment)
        server.start()
        told_apart(server)


def told_apart(server: KilledServer) -> None:
    """The server knows at least what every client counted at the step that comes next."""
    models = server.campaign.state.models
    for machine in server.machines.values():
        memory = machine.memory
        assert (models.era, models.step) >= (memory.era, memory.step)
        if (models.era, models.step) == (memory.era, memory.step):
            assert models.attempts >= memory.attempts
            assert models.spent >= memory.total_helped


def to_the_end(server: KilledServer) -> None:
    while (record := server.round()) is not None:
        assert record.aborted is None, record.aborted
        assert not record.dropped


def records(server: KilledServer) -> list[RoundRecord]:
    lines = RunReader(server.folder).rounds()
    assert [line["index"] for line in lines] == list(range(len(lines)))
    return [record_from_json(line) for line in lines]


def check_account(server: KilledServer) -> None:
    """What the record says of every client covers what that client counted."""
    found = records(server)
    counters = [record.round_id.counter for record in found]
    assert counters == sorted(set(counters))
    for client, machine in server.machines.items():
        mine = [record for record in found if client in record.cohort]
        memory = machine.memory
        assert len(mine) >= memory.rounds
        assert sum(record.attempted for record in mine) >= memory.all_attempts
        assert sum(record.statistics_asked for record in mine) >= memory.openings
        assert sum(record.shares_asked for record in mine) >= memory.totals
    told = account_of(found, server.house.policy.params)
    assert told.rounds_opened >= max(m.memory.openings for m in server.machines.values())
    assert told.totals_per_model == 1


def test_in_unmasking_of_the_first_round_after_a_restart_that_follows_a_flag(
    tmp_path: Path,
) -> None:
    server = KilledServer(tmp_path, rounds=4, flags={2: {4}})
    for _ in range(4):
        assert server.round() is not None
    kill(server, AgreementList)
    assert (server.campaign.state.models.era, server.campaign.state.models.spent) == (1, True)
    to_the_end(server)
    check_account(server)
    state = server.campaign.state.models
    assert (state.era, state.step, state.trained) == (1, 5, True)  # one of them half a step
    assert sum(r.aborted is None and r.era == 1 for r in records(server)) == 4
    kept = read_model(server.folder / "model.safetensors")
    np.testing.assert_array_equal(kept, state.model)


def test_three_times_in_a_row_after_the_list_of_uploads(tmp_path: Path) -> None:
    server = KilledServer(tmp_path, rounds=8)
    assert server.round() is not None
    kill(server, UploadList, UploadList, UploadList)
    assert server.campaign.state.models.attempts == server.house.policy.params.max_attempts
    to_the_end(server)
    check_account(server)
    found = records(server)
    assert [record.interrupted for record in found] == [False] + [True] * 3 + [False] * 7
    assert all(record.attempted for record in found)


@pytest.mark.parametrize(
    "seed", [0, 3, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
)
def test_in_rounds_in_a_row(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    moments = (RoundStart, DealerList, UploadList, RandomnessList, AcceptedSet, AgreementList)
    server = KilledServer(tmp_path, rounds=5, flags={2: {4}})
    for _ in range(4):
        kill(server, *(moments[k] for k in rng.integers(len(moments), size=rng.integers(1, 5))))
        assert server.round() is not None
    to_the_end(server)
    check_account(server)
    trained = [record for record in records(server) if record.aborted is None]
    assert [record.era for record in trained] == [0] * 5 + [1] * 5
    assert server.campaign.state.models.trained
