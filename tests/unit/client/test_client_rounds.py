"""One client's rounds over connections that break, and rounds that go on without it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from auror_client.driver import ClientEnding
from auror_client.trainer import SyntheticTrainer
from line import ME, Bench, Line, Round, played
from structlog.testing import capture_logs

from auror.errors import (
    AbortReason,
    BudgetSpent,
    ConfigError,
    Refusal,
)
from auror.ids import Digest, RoundId
from auror.round.messages import (
    AdvertisedKeys,
    AgreementList,
    ClientMessage,
    DealerList,
    RoundEnd,
    Upload,
    Withdraw,
)
from auror.wire import codec, frames

ABORTED = RoundEnd(Digest(bytes(32)), AbortReason.TOO_FEW_UPLOADED, (), ())


async def to_the_end(game: Round, line: Line) -> None:
    """Play the rest of the round over ``line``: client 0 is in its total."""
    while game.finished is None:
        await game.hear(line)
    assert ME in game.finished.total.accepted


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
        await to_the_end(game, line)
        line.goodbye()
        assert await running is ClientEnding.FINISHED

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
        await to_the_end(game, second)
        second.goodbye()
        assert await running is ClientEnding.FINISHED

    played(tmp_path, scene, give_up_after=1e9)


def test_an_upload_goes_on_where_the_welcome_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "CHUNK_BYTES", 16)

    async def scene(bench: Bench) -> None:
        first, second, third, game = bench.line(), bench.line(), bench.line(), Round(bench)
        running = asyncio.create_task(bench.session.run())
        game.ask(first)
        await game.hear(first, 3)
        await bench.trainings.begun(1)
        first.breaks_after = 3  # the header and two chunks
        bench.trainings.finish(0)
        while first.part is None:
            await asyncio.sleep(0)
        second.hold(first.part)
        game.ask(second)
        assert isinstance((await second.said())[1], Upload)
        assert len(second.frames) == len(first.frames) - 2
        second.part = None
        second.tell(game.round_id, game.asked)  # over the same stream: what was named is used up
        assert isinstance((await second.said())[1], Upload)
        assert len(second.frames) == len(first.frames)
        second.lose()
        first.part.announcement = replace(first.part.announcement, sha256=Digest(bytes(32)))
        third.begun = first.part.begun  # of another body
        game.ask(third)
        assert isinstance(await game.hear(third), Upload)
        await to_the_end(game, third)
        third.goodbye()
        assert await running is ClientEnding.FINISHED

    played(tmp_path, scene)


def test_an_upload_is_ready_in_the_turn_in_which_it_is_masked(tmp_path: Path) -> None:
    """Else those of a process of many would all leave after the last one is masked."""

    async def scene(bench: Bench) -> None:
        line, game = bench.line(), Round(bench)
        running = asyncio.create_task(bench.session.run())
        game.ask(line)
        await game.hear(line, 3)
        await bench.trainings.begun(1)
        while bench.compute.turns < 8:  # four messages, each read and taken
            await asyncio.sleep(0)
        bench.trainings.finish(0)
        assert isinstance((await line.said())[1], Upload)
        assert bench.compute.turns == 8 + 1
        line.goodbye()
        await running

    played(tmp_path, scene)


def test_the_rest_of_an_upload_goes_only_to_the_stream_that_named_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one may have replaced it while the message was being cut."""
    encode = codec.encode_client

    async def scene(bench: Bench) -> None:
        first, second, answering = bench.line(), bench.line(), bench.session.answering

        def replaced(message: ClientMessage) -> bytes:
            answering.link = second
            return encode(message)

        answering.link = first
        monkeypatch.setattr(codec, "encode_client", replaced)
        await answering._reply(RoundId(0, bytes(16)), Withdraw(Refusal.DATA_UNUSABLE))
        assert first.quiet
        assert second.quiet
        monkeypatch.undo()
        await answering._reply(RoundId(0, bytes(16)), Withdraw(Refusal.DATA_UNUSABLE))
        assert not second.quiet

    played(tmp_path, scene)


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
        assert await running is ClientEnding.FINISHED
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
        assert await running is ClientEnding.FINISHED

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
        assert await running is ClientEnding.FINISHED
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


@pytest.mark.parametrize(("beyond", "warned"), [(0, False), (10, False), (11, True), (1000, True)])
def test_more_than_a_hundredth_of_an_update_clipped_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beyond: int, warned: bool
) -> None:
    update = np.zeros(1000, dtype=np.float32)
    update[:beyond] = 1e6

    async def scene(bench: Bench) -> None:
        line, game = bench.line(), Round(bench)
        monkeypatch.setattr(SyntheticTrainer, "train", lambda *_: update)
        running = asyncio.create_task(bench.session.run())
        game.ask(line)
        await bench.trainings.begun(1)
        with capture_logs() as logs:
            bench.trainings.finish(0)
            while not any(entry["event"] == "trained" for entry in logs):
                await asyncio.sleep(0)
        said = [entry["event"] for entry in logs if entry["log_level"] == "warning"]
        assert [text.partition(" ")[0] for text in said] == [f"{beyond / 10:.1f}%"] * warned
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    played(tmp_path, scene)


def test_an_invitation_under_another_rounds_name_is_no_message(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        first, second, start = bench.line(), bench.line(), bench.house.start(0)
        running = asyncio.create_task(bench.session.run())
        first.tell(replace(start.description.round_id, counter=1), start)
        bench.invite(second)
        _, said = await asyncio.wait_for(second.said(), 5)
        assert isinstance(said, AdvertisedKeys)
        assert first.quiet
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    played(tmp_path, scene)
