"""One client's connections on a clock of the test: a server that is away, refuses, comes back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from auror_client.driver import ClientEnding
from line import Bench, Refused, played
from rounds_kit import DIM

from auror.errors import (
    ConfigError,
    CredentialsError,
    UnavailableError,
)
from auror.ids import RoundId
from auror.wire.limits import Kind
from auror.wire.v1 import transport_pb2 as pb


def test_a_server_that_is_away_is_tried_again_ever_more_rarely(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.network.away(4)
        bench.line().goodbye()
        assert await bench.session.run() is ClientEnding.FINISHED
        pauses = bench.clock.pauses
        assert len(pauses) == 4
        for pause, middle in zip(pauses, (0.25, 0.5, 1.0, 2.0), strict=True):
            assert middle / 2 <= pause < 1.5 * middle

    played(tmp_path, scene)


def test_after_a_connection_the_pauses_begin_anew(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.network.away(5)
        bench.line().lose()
        bench.line().goodbye()
        assert await bench.session.run() is ClientEnding.FINISHED
        assert len(bench.clock.pauses) == 6
        assert bench.clock.pauses[-1] < 0.375

    played(tmp_path, scene)


def test_without_a_server_for_so_long_it_gives_up(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        with pytest.raises(UnavailableError, match=r"no server at server:7443 for [34]\d s"):
            await bench.session.run()
        assert bench.network.tried[-1] - 50 > 30
        assert bench.network.tried[-2] - 50 <= 30

    played(tmp_path, scene, give_up_after=30.0)


def test_the_wait_for_a_server_counts_from_the_last_connection(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.network.away(5)  # about eight seconds
        bench.clock.time = 0.0
        lost = bench.line()
        lost.lose()
        bench.network.away(4)
        bench.line().goodbye()
        assert await bench.session.run() is ClientEnding.FINISHED

    played(tmp_path, scene, give_up_after=12.0)


def test_what_can_never_work_is_said_at_the_first_attempt(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.network.diagnosis = "cannot trust the server"
        with pytest.raises(CredentialsError, match="cannot trust the server"):
            await bench.session.run()
        assert len(bench.network.tried) == 1

    played(tmp_path, scene)


def test_once_connected_a_lost_server_is_only_away(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.line().lose()
        bench.network.away(2)
        bench.network.diagnosis = "cannot trust the server"
        bench.line().goodbye()
        assert await bench.session.run() is ClientEnding.FINISHED

    played(tmp_path, scene)


def test_a_refusal_ends_it_without_another_attempt(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.network.attempts.append(Refused(CredentialsError("not in the policy")))
        with pytest.raises(CredentialsError, match="not in the policy"):
            await bench.session.run()
        assert len(bench.network.tried) == 1

    played(tmp_path, scene)


def test_goodbyes_say_how_it_ended(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.line().goodbye(pb.GOODBYE_REASON_STOPPED)
        assert await bench.session.run() is ClientEnding.STOPPED
        bench.line().goodbye(pb.GOODBYE_REASON_REPLACED)
        with pytest.raises(UnavailableError, match="client 0 connected from another process"):
            await bench.session.run()

    played(tmp_path, scene)


def test_nonsense_from_the_server_ends_the_connection_not_the_client(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.line().frame(pb.ServerFrame(chunk=b"x"))
        bench.line().frame(pb.ServerFrame(welcome=pb.Welcome()))
        misnamed = bench.line()
        misnamed.tell(RoundId(7, bytes(16)), bench.house.start())
        bench.line().goodbye()
        assert await bench.session.run() is ClientEnding.FINISHED
        assert len(bench.clock.pauses) == 3
        assert misnamed.quiet

    played(tmp_path, scene)


@pytest.mark.parametrize("announced", [None, 10_000_000])
def test_a_model_beyond_the_own_limit_ends_it_with_the_setting(
    tmp_path: Path, announced: int | None
) -> None:
    async def scene(bench: Bench) -> None:
        bench.limits = replace(bench.limits, dim=DIM - 1)
        line, session = bench.line(), bench.started()
        if announced is None:
            bench.invite(line)
        else:
            header = pb.Header(kind=Kind.ROUND_START.value, size=announced, sha256=bytes(32))
            header.round_nonce = bytes(16)
            line.frame(pb.ServerFrame(header=header))
        with pytest.raises(ConfigError, match=r"client\.max_dim = 23: .* raise it"):
            await session.run()
        assert bench.clock.pauses == []

    played(tmp_path, scene)
