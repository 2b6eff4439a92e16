"""One client's connections on a clock of the test: a server that is away, refuses, comes back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from auror_client.driver import ClientEnding
from auror_client.faults import Vanish
from auror_client.start import check_reachable
from line import Bench, Refused, played
from rounds_kit import DIM, Deployment

from auror.errors import (
    ConfigError,
    CredentialsError,
    UnavailableError,
)
from auror.ids import RoundId
from auror.params import OwnRules
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


@pytest.mark.parametrize("speaks", [False, True])
def test_once_the_server_has_spoken_the_pauses_begin_anew(tmp_path: Path, speaks: bool) -> None:
    async def scene(bench: Bench) -> None:
        bench.network.away(5)
        line = bench.line()
        if speaks:
            bench.invite(line)
        line.lose()
        bench.line().goodbye()
        assert await bench.session.run() is ClientEnding.FINISHED
        assert len(bench.clock.pauses) == 6
        assert (bench.clock.pauses[-1] < 0.375) is speaks
        assert (bench.clock.pauses[-1] >= 4.0) is not speaks

    played(tmp_path, scene)


def test_without_a_server_for_so_long_it_gives_up(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        with pytest.raises(UnavailableError, match=r"no server at server:7443 for [34]\d s"):
            await bench.session.run()
        assert bench.network.tried[-1] - 50 > 30
        assert bench.network.tried[-2] - 50 <= 30

    played(tmp_path, scene, give_up_after=30.0)


@pytest.mark.parametrize("comes_back", [False, True])
def test_who_vanished_on_purpose_ends_with_the_session_of_its_process(
    tmp_path: Path, comes_back: bool
) -> None:
    async def scene(bench: Bench) -> None:
        rounds = bench.shared.rounds
        bench.network.attempts.append(Refused(Vanish(0)))
        running = asyncio.create_task(bench.session.run())
        await asyncio.sleep(0)
        assert not running.done()
        if comes_back:
            rounds.ended(0)
            while len(bench.network.tried) < 3:  # nobody is there any more
                await asyncio.sleep(0)
        rounds.session_over()
        assert await running is ClientEnding.FINISHED
        assert len(bench.network.tried) <= 5

    played(tmp_path, scene)


def test_who_never_vanished_does_not_end_with_the_session_of_another(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.shared.rounds.session_over()
        with pytest.raises(UnavailableError):
            await bench.session.run()

    played(tmp_path, scene, give_up_after=30.0)


def test_the_wait_for_a_server_counts_from_the_last_connection(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.network.away(5)  # about eight seconds
        bench.clock.time = 0.0
        lost = bench.line()
        bench.invite(lost)
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


def test_what_is_found_after_the_first_contact_is_the_last_word(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.line().lose()
        bench.network.diagnosis = "cert.pem expired"
        with pytest.raises(CredentialsError, match=r"no server at .* cert\.pem expired"):
            await bench.session.run()

    played(tmp_path, scene, give_up_after=50.0)


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

    played(tmp_path, scene)


def test_who_is_replaced_takes_leave_and_withdraws_nobody(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        line = bench.line()
        running = asyncio.create_task(bench.session.run())
        bench.invite(line)
        await line.said()
        line.goodbye(pb.GOODBYE_REASON_REPLACED)
        with pytest.raises(UnavailableError, match="client 0 connected from another process"):
            await running
        assert line.finished  # which tells the server that this process lives
        assert line.quiet  # the other process is the client now

    played(tmp_path, scene)


def test_nonsense_from_the_server_ends_the_connection_not_the_client(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.line().frame(pb.ServerFrame(chunk=b"x"))
        bench.line().frame(pb.ServerFrame(welcome=pb.Welcome()))
        bench.line().lose()
        misnamed = bench.line()
        misnamed.tell(RoundId(7, bytes(16)), bench.house.start())
        bench.line().goodbye()
        assert await bench.session.run() is ClientEnding.FINISHED
        assert len(bench.clock.pauses) == 4
        assert misnamed.quiet

    played(tmp_path, scene)


def test_nonsense_three_times_in_a_row_ends_it(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        for _ in range(3):
            bench.line().frame(pb.ServerFrame(chunk=b"x"))
        bench.line().goodbye()
        says = "sent 3 times in a row what this client cannot read .chunk without a header"
        with pytest.raises(ConfigError, match=says) as caught:
            await bench.session.run()
        assert caught.value.exit_code == 2
        assert len(bench.network.tried) == 3

    played(tmp_path, scene)


@pytest.mark.parametrize("announced", [None, 10_000_000])
def test_a_model_larger_than_the_policy_s_ends_it_before_it_is_read(
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
        with pytest.raises(ConfigError, match="larger than the policy's task, which has 23 entr"):
            await session.run()
        assert bench.clock.pauses == []

    played(tmp_path, scene)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (OwnRules(min_group=4), "rules.min_group = 4: the operator's policy has 3 clients in a"),
        (OwnRules(min_present=8), "rules.min_present = 8: the operator's policy has 7 members"),
        (OwnRules(min_accepted=8), "rules.min_accepted = 8: the operator's policy has 7 members"),
    ],
)
def test_a_rule_that_no_round_can_keep_is_refused_at_the_start(
    settings: OwnRules, says: str
) -> None:
    policy = Deployment(7).policy
    check_reachable(policy, OwnRules(min_group=3, min_present=7, min_accepted=7))
    with pytest.raises(ConfigError, match=says):
        check_reachable(policy, settings)
