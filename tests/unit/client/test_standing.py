"""A client that stays for the next training, on a clock of the test."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest
from auror_client.standing import BETWEEN_S, stand
from line import Bench, played

from auror.errors import CredentialsError, Excluded
from auror.ids import NO_ROUND
from auror.round.messages import Exclusion, ExclusionCause
from auror.wire.v1 import transport_pb2 as pb


def test_after_a_goodbye_it_waits_for_the_next_training_and_for_days(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.line().goodbye()
        bench.network.away(20_000)
        bench.line().goodbye(pb.GOODBYE_REASON_STOPPED)
        sessions = []

        def begin() -> object:
            sessions.append(bench.started())
            bench.network.diagnosis = "refused" if len(sessions) == 3 else None
            return sessions[-1]

        with pytest.raises(CredentialsError, match="refused"):
            await stand(begin, bench.clock)  # type: ignore[arg-type]
        assert len(sessions) == 3
        assert bench.clock.now() > 86_400
        assert bench.clock.pauses.count(BETWEEN_S) >= 2

    played(tmp_path, scene, give_up_after=math.inf)


def test_what_it_took_part_in_is_said_in_the_next_hello(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        line = bench.line()
        bench.invite(line, counter=4)
        task = asyncio.create_task(stand(bench.started, bench.clock))
        await line.said()
        line.lose()
        bench.line()
        while len(bench.network.pasts) < 2:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert [past.counter for past in bench.network.pasts[:2]] == [0, 5]

    played(tmp_path, scene, give_up_after=math.inf)


def test_an_excluded_client_does_not_stay(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        line = bench.line()
        line.tell(NO_ROUND, Exclusion(ExclusionCause.PROOF))
        line.goodbye()
        with pytest.raises(Excluded, match="excluded for good"):
            await stand(bench.started, bench.clock)

    played(tmp_path, scene, give_up_after=math.inf)
