"""One client's session on a clock of the test: broken connections, rounds that go on without it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from auror_client.driver import Ending
from line import ME, Bench, Refused, Round
from rounds_kit import DIM

from auror.errors import (
    AbortReason,
    BudgetSpent,
    ConfigError,
    CredentialsError,
    Refusal,
    UnavailableError,
)
from auror.ids import Digest, RoundId
from auror.round.messages import (
    AdvertisedKeys,
    AgreementList,
    DealerList,
    RoundEnd,
    Upload,
    Withdraw,
)
from auror.wire.limits import Kind
from auror.wire.v1 import transport_pb2 as pb

Scene = Callable[[Bench], Awaitable[None]]
ABORTED = RoundEnd(Digest(bytes(32)), AbortReason.TOO_FEW_UPLOADED, (), ())


def played(folder: Path, scene: Scene, give_up_after: float = 120.0) -> None:
    async def run() -> None:
        bench = Bench(folder, give_up_after)
        try:
            async with asyncio.timeout(60):  # a scene that hangs fails here
                await scene(bench)
        finally:
            bench.journal.__exit__(None, None, None)

    asyncio.run(run())


# Connections ----------------------------------------------------------------------------------


def test_a_server_that_is_away_is_tried_again_ever_more_rarely(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.network.away(4)
        bench.line().goodbye()
        assert await bench.session.run() is Ending.FINISHED
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
        assert await bench.session.run() is Ending.FINISHED
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
        assert await bench.session.run() is Ending.FINISHED

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
        assert await bench.session.run() is Ending.FINISHED

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
        assert await bench.session.run() is Ending.STOPPED
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
        assert await bench.session.run() is Ending.FINISHED
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


# Rounds ---------------------------------------------------------------------------------------


def test_a_round_in_which_training_outlasts_the_phases_before_the_upload(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        line, game = bench.line(), Round(bench)
        running = asyncio.create_task(bench.session.run())
        game.ask(line)
        await game.hear(line, 3)  # keys, shares, receipt
        assert isinstance(game.asked, DealerList)
        await bench.trainings.begun(1)
        assert line.quiet
        bench.trainings.finish(0)
        assert isinstance(await game.hear(line), Upload)
        while game.finished is None:
            await game.hear(line)
        assert ME in game.finished.total.accepted
        line.goodbye()
        assert await running is Ending.FINISHED

    played(tmp_path, scene)


def test_asked_again_over_a_new_connection_it_says_the_same_and_trains_once(
    tmp_path: Path,
) -> None:
    async def scene(bench: Bench) -> None:
        first, second = bench.line(), bench.line()
        running = asyncio.create_task(bench.session.run())
        bench.invite(first)
        said = await first.said()
        await bench.trainings.begun(1)
        first.lose()
        bench.invite(second)
        assert await second.said() == said
        assert isinstance(said[1], AdvertisedKeys)
        assert len(bench.trainings.asked) == 1
        second.goodbye()
        await running

    played(tmp_path, scene)


def test_an_update_that_is_ready_while_the_server_is_away_waits_for_it(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        first, game = bench.line(), Round(bench)
        running = asyncio.create_task(bench.session.run())
        game.ask(first)
        await game.hear(first, 3)
        await bench.trainings.begun(1)
        training = bench.session.answering.training
        assert training is not None
        first.lose()
        while not bench.clock.pauses:  # it has noticed
            await asyncio.sleep(0)
        bench.trainings.finish(0)
        await training
        second = bench.line()
        game.ask(second)
        assert isinstance(await game.hear(second), Upload)
        while game.finished is None:
            await game.hear(second)
        assert ME in game.finished.total.accepted
        second.goodbye()
        assert await running is Ending.FINISHED

    played(tmp_path, scene, give_up_after=1e9)


@pytest.mark.parametrize("next_round", [False, True])
def test_what_a_training_yields_after_its_round_is_left_unused(
    tmp_path: Path, next_round: bool
) -> None:
    async def scene(bench: Bench) -> None:
        line, game = bench.line(), Round(bench)
        running = asyncio.create_task(bench.session.run())
        game.ask(line)
        await game.hear(line, 3)  # from here on the update alone is missing
        await bench.trainings.begun(1)
        line.tell(game.round_id, ABORTED)
        reasons = bench.session.answering.participation.reasons
        while not reasons:  # it has taken the end of the round
            await asyncio.sleep(0)
        if next_round:
            start = bench.invite(line, counter=1)
            round_id, message = await line.said()
            assert (round_id, type(message)) == (start.description.round_id, AdvertisedKeys)
            await bench.trainings.begun(2)
            assert bench.trainings.asked[0][0].cancelled()  # it takes no thread from this one
        bench.trainings.finish(0)
        line.goodbye()
        assert await running is Ending.FINISHED
        await bench.session.answering.close()
        assert line.quiet
        assert reasons == {AbortReason.TOO_FEW_UPLOADED.value: 1}

    played(tmp_path, scene)


def test_a_message_out_of_turn_is_refused_and_the_next_round_taken(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        line = bench.line()
        running = asyncio.create_task(bench.session.run())
        round_id = bench.invite(line).description.round_id
        await line.said()
        line.tell(round_id, AgreementList({}))
        assert await line.said() == (round_id, Withdraw(Refusal.OUT_OF_TURN))
        line.tell(round_id, AgreementList({}))  # repeated: the same answer
        assert await line.said() == (round_id, Withdraw(Refusal.OUT_OF_TURN))
        bench.invite(line, counter=1)
        assert isinstance((await line.said())[1], AdvertisedKeys)
        line.goodbye()
        assert await running is Ending.FINISHED

    played(tmp_path, scene)


def test_started_anew_within_a_round_it_withdraws_at_once(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        line, game = bench.line(), Round(bench)
        running = asyncio.create_task(bench.session.run())
        game.ask(line)
        await game.hear(line, 3)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

        again, restarted = bench.line(), bench.started()
        running = asyncio.create_task(restarted.run())
        game.ask(again)
        assert await game.hear(again) == Withdraw(Refusal.UNKNOWN_ROUND)
        assert not game.server.waiting_for & {ME}
        assert game.finished is not None  # the others went on at once, to the end
        assert ME not in game.finished.total.accepted
        again.tell(game.round_id, replace(ABORTED, aborted=None))
        bench.invite(again, counter=1)
        assert isinstance((await again.said())[1], AdvertisedKeys)
        again.goodbye()
        assert await running is Ending.FINISHED
        reasons = restarted.answering.participation.reasons
        assert reasons == {Refusal.UNKNOWN_ROUND.value: 1}

    played(tmp_path, scene)


def test_started_anew_and_invited_to_the_same_round_it_refuses(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        for expected in (AdvertisedKeys, Withdraw):
            line, session = bench.line(), bench.started()
            running = asyncio.create_task(session.run())
            bench.invite(line)
            assert isinstance((await line.said())[1], expected)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    played(tmp_path, scene)


def test_a_training_that_fails_ends_the_client(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        line = bench.line()
        running = asyncio.create_task(bench.session.run())
        bench.invite(line)
        await bench.trainings.begun(1)
        bench.trainings.asked[0][0].set_exception(ConfigError("these samples cannot be used"))
        with pytest.raises(ConfigError, match="these samples"):
            await running

    played(tmp_path, scene)


def test_with_its_budget_spent_it_does_not_even_connect(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        spent = replace(bench.journal.load(), totals=bench.house.policy.budget.max_totals)
        bench.journal.save(spent)
        with pytest.raises(BudgetSpent, match="budget of this client's data is spent"):
            await bench.started().run()
        assert bench.network.tried == []

    played(tmp_path, scene)


def test_a_connection_that_breaks_while_answering_is_made_again(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        first, second = bench.line(), bench.line()
        bench.invite(first)
        first.lose()  # the question is there, the answer cannot leave
        running = asyncio.create_task(bench.session.run())
        bench.invite(second)
        assert isinstance((await second.said())[1], AdvertisedKeys)
        assert len(bench.trainings.asked) == 1  # asked for, although the answer did not leave
        second.goodbye()
        await running

    played(tmp_path, scene)
