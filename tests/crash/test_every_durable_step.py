"""A server killed before and after every durable step, one to three times in a row.

In one process: what a kill leaves is a copy of the folder as it is, logs of SQLite included. The
steps are transactions and files that are replaced; clients live on and must refuse nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from auror_server import store
from auror_server.state import blobs, database
from killed_server import Killed, KilledServer

from auror.deployment.run_reader import RunReader

ROUNDS = 4
POINTS = 43
"""Steps of a training from its first round on, eleven a round: 258 points in all."""


class Countdown:
    """Kills at a step; every kill arms the next of a row at the step after it."""

    def __init__(self, step: int, after: bool, kills: int) -> None:
        self._left, self._after, self.kills = step, after, kills

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            due = self.kills > 0 and self._left == 0
            self._left -= 1
            if due and not self._after:
                self._kill()
            done = work(*args, **kwargs)
            if due and self._after:
                self._kill()
            return done

        return step

    def _kill(self) -> None:
        self.kills, self._left = self.kills - 1, 1
        raise Killed


@pytest.fixture
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.mark.slow
@pytest.mark.parametrize("kills", [1, 2, 3])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(POINTS))
def test_the_training_goes_on(
    tmp_path: Path, patch: pytest.MonkeyPatch, step: int, after: bool, kills: int
) -> None:
    server = KilledServer(tmp_path, rounds=ROUNDS)
    countdown = Countdown(step, after, kills)
    patch.setattr(database.Database, "write", countdown.around(database.Database.write))
    for module in (blobs, store):
        patch.setattr(module, "replace_file", countdown.around(module.replace_file))
    trained, starting = [], False
    while True:
        try:
            if starting:
                server.start()
                starting = False
            record = server.round()
            if record is None:
                break
            trained.append(record)
        except Killed:
            starting = True
    assert countdown.kills < kills, "there is no such step"
    check(server)


def check(server: KilledServer) -> None:
    lines = RunReader(server.folder).rounds()
    assert [line["index"] for line in lines] == list(range(len(lines)))
    counters = [line["round_id"]["counter"] for line in lines]
    assert counters == sorted(set(counters))
    assert {line["aborted"] for line in lines if not line["interrupted"]} == {None}
    assert [line["dropped"] for line in lines] == [{}] * len(lines)
    whole = [line for line in lines if not line["interrupted"]]
    assert len(whole) == ROUNDS
    found = server.verified()
    assert (found.rounds, found.unaudited) == (len(lines), 0)
    assert found.without_messages == tuple(k["index"] + 1 for k in lines if k["interrupted"])
    # evidence: what was bound, once, and nothing else
    evidence = server.campaign.ledger.rounds
    assert [entry.round_index for entry in evidence] == [line["index"] for line in whole]
    # totals: the sums of what the clients quantised, so the same in every round
    reader = RunReader(server.folder)
    totals = [reader.total(line["index"]) for line in whole]
    assert all(np.abs(total - totals[0]).max() <= len(server.machines) for total in totals)
    # a half step only where a total may have been opened and its model was not kept
    models = server.campaign.state.models
    assert models.trained
    lost = sum(line["shares_asked"] for line in lines if line["interrupted"])
    tried = sum(line["attempted"] for line in lines if line["interrupted"]) // 3
    assert ROUNDS <= models.step <= ROUNDS + lost + tried
    for client, machine in server.machines.items():
        mine = [line for line in lines if client in line["cohort"]]
        memory = machine.memory
        assert sum(line["attempted"] for line in mine) >= memory.all_attempts
        assert sum(line["statistics_asked"] for line in mine) >= memory.openings
        assert sum(line["shares_asked"] for line in mine) >= memory.totals
