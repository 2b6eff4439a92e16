"""A training goes on with its clients after damage, also when a round was under way."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from killed_server import Killed, KilledServer

from auror.deployment.run_reader import RunReader
from auror.errors import ConfigError
from auror.round.messages import AgreementList, DealerList, RoundStart, ServerMessage


def model_of(folder: Path) -> Path:
    with sqlite3.connect(folder / "state.db") as raw:
        found = raw.execute("SELECT model FROM generations ORDER BY number DESC").fetchone()
    return folder / "blobs" / str(found[0])


def named_generation(server: KilledServer) -> int:
    with pytest.raises(ConfigError) as told:
        server.start()
    found = re.search(r"--set server\.generation=(\d+)`", str(told.value))
    assert found, told.value
    return int(found[1])


@pytest.mark.parametrize(
    ("trained", "moment"),
    [
        (1, RoundStart), (1, DealerList), (1, AgreementList), (3, AgreementList),
        *(pytest.param(3, moment, marks=pytest.mark.slow) for moment in (RoundStart, DealerList)),
    ],
)  # fmt: skip
def test_a_lost_model_costs_one_step_and_no_client_refuses(
    tmp_path: Path, moment: type[ServerMessage], trained: int
) -> None:
    server = KilledServer(tmp_path, rounds=5)
    for _ in range(trained):
        assert server.round() is not None
    with pytest.raises(Killed):
        server.round(kill_at=moment)
    model_of(server.folder).unlink()
    server.start(generation=named_generation(server))
    records = []
    while (record := server.round()) is not None:
        records.append(record)
    assert [(record.aborted, dict(record.dropped)) for record in records] == [(None, {})] * (
        5 - trained
    )
    lines = RunReader(server.folder).rounds()
    assert [line["interrupted"] for line in lines].count(True) == 1
    assert [line["index"] for line in lines] == list(range(6))
    assert len(server.campaign.ledger.rounds) == 5


def test_a_model_lost_after_a_restart_is_the_first_of_its_training_again(tmp_path: Path) -> None:
    server = KilledServer(tmp_path, rounds=3, flags={1: {4}})
    while server.campaign.state.models.era == 0:
        assert server.round() is not None
    model_of(server.folder).unlink()
    server.start(generation=named_generation(server))
    assert server.campaign.state.models.era == 1
    while (record := server.round()) is not None:
        assert (record.era, record.aborted, dict(record.dropped)) == (1, None, {})


def test_a_lost_database_costs_nothing(tmp_path: Path) -> None:
    server = KilledServer(tmp_path, rounds=3)
    assert server.round() is not None
    with pytest.raises(Killed):
        server.round(kill_at=AgreementList)
    (server.folder / "state.db").write_bytes(b"")
    server.start(generation=named_generation(server))
    assert server.campaign.state.models.spent
    while (record := server.round()) is not None:
        assert (record.aborted, dict(record.dropped)) == (None, {})
    lines = RunReader(server.folder).rounds()
    assert [line["interrupted"] for line in lines] == [False, True, False, False]
