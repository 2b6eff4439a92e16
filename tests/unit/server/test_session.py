"""A server's session over many rounds, on a scripted clock: who is waited for, and how long."""

from __future__ import annotations

import asyncio
import hashlib
import io
from pathlib import Path

import pytest
import structlog
from auror_server.events import Message
from auror_server.members import Members
from auror_server.metrics import RoundMeter
from auror_server.reception import Reception
from auror_server.standing import SessionEnding
from rounds_kit import Deployment
from stage import Inline, Stage, invitations
from structlog.testing import capture_logs

from auror.deployment.run_reader import RunReader
from auror.errors import UnavailableError, UntrainedError
from auror.ids import ClientId, Digest, RoundId
from auror.round.facts import Attempted, GroupsDrawn, RoundBegun, UnmaskingBegun
from auror.round.messages import Agreement
from auror.round.past import Past
from auror.wire import codec
from auror.wire.frames import Announcement, Received
from auror.wire.limits import Limits


def test_a_session_plays_its_rounds_and_says_goodbye(tmp_path: Path) -> None:
    async def scene() -> Stage:
        stage = Stage(tmp_path, rounds=2)
        for site in stage.sites:
            site.connect()
        assert await stage.run() is SessionEnding.FINISHED
        return stage

    structlog.reset_defaults()  # every level, whatever a program run before has set up
    with capture_logs() as logged:
        stage = asyncio.run(scene())
    of_rounds = [
        line["event"] for line in logged if line["log_level"] == "info" and "index" in line
    ]
    assert of_rounds == ["round ended"] * 2
    assert all(line["log_level"] == "debug" for line in logged if "phase" in line)
    assert len({line["phase"] for line in logged if "phase" in line}) == 9
    assert [line["accepted"] for line in stage.rounds] == [list(range(7))] * 2
    assert [line["aborted"] for line in stage.rounds] == [None] * 2
    assert stage.elapsed == 0.0  # nobody was waited for
    for site in stage.sites:
        assert site.told[-1] == "GOODBYE_REASON_FINISHED"
        assert invitations(site) == 2


@pytest.mark.parametrize("knowing", [6, 1])
def test_nobody_waits_for_whom_clients_know_as_flagged(tmp_path: Path, knowing: int) -> None:
    """More than c = 1 of them, that is."""

    async def scene() -> Stage:
        stage = Stage(tmp_path, rounds=1, join_timeout_s=30)
        reception, gone = stage.session.reception, stage.sites[6].client
        for k, site in enumerate(stage.sites[:6]):
            site.connect()
            if k < knowing:
                reception.pasts[site.client] = Past(counter=9, era=1, flagged=(gone,))
        if knowing == 6:
            assert await stage.run() is SessionEnding.FINISHED
        else:
            with pytest.raises(UnavailableError, match="6 of 7 clients connected within 30 s"):
                await stage.run()
        return stage

    stage = asyncio.run(scene())
    if knowing == 6:
        assert stage.elapsed == 0.0
        (line,) = stage.rounds
        assert (line["era"], line["round_id"]["counter"]) == (1, 9)
        assert line["accepted"] == list(range(6))


def test_too_few_clients_within_the_join_timeout_end_it(tmp_path: Path) -> None:
    async def scene() -> Stage:
        stage = Stage(tmp_path, join_timeout_s=30, min_clients=6)
        for k, site in enumerate(stage.sites[:5]):
            stage.at(5.0 * k, site.connect)
        stage.at(30.5, stage.sites[5].connect)
        with pytest.raises(
            UnavailableError,
            match=r"5 of 6 clients connected within 30 s: start the missing ones, such as 5, 6,",
        ):
            await stage.run()
        return stage

    stage = asyncio.run(scene())
    assert stage.elapsed == 30.0
    assert stage.rounds == []
    assert stage.sites[0].told == ["GOODBYE_REASON_STOPPED"]


def test_the_first_round_begins_with_the_last_client_that_is_wanted(tmp_path: Path) -> None:
    async def scene() -> Stage:
        stage = Stage(tmp_path, rounds=1, join_timeout_s=30, min_clients=6)
        for k, site in enumerate(stage.sites):
            stage.at(4.9 * k, site.connect)
        await stage.run()
        return stage

    stage = asyncio.run(scene())
    assert stage.elapsed == pytest.approx(4.9 * 5)
    assert stage.rounds[0]["accepted"] == [0, 1, 2, 3, 4, 5]


def test_rounds_aborted_in_a_row_end_it(tmp_path: Path) -> None:
    async def scene() -> Stage:
        stage = Stage(tmp_path, rounds=9, max_aborted=3, phase_deadline_s=20)
        for site in stage.sites:
            site.connect()
            site.silent = True
        with pytest.raises(UntrainedError, match="3 rounds in a row were aborted") as caught:
            await stage.run()
        assert caught.value.exit_code == 7
        return stage

    stage = asyncio.run(scene())
    assert stage.elapsed == 3 * 20.0
    assert [line["aborted"] is None for line in stage.rounds] == [False] * 3


def test_a_round_that_works_begins_the_count_of_aborted_ones_anew(tmp_path: Path) -> None:
    async def scene() -> Stage:
        stage = Stage(tmp_path, rounds=9, max_aborted=2, phase_deadline_s=20)
        for site in stage.sites:
            site.connect()
            site.silent_in = {0, 2, 3}
        with pytest.raises(UntrainedError, match="2 rounds in a row"):
            await stage.run()
        return stage

    stage = asyncio.run(scene())
    assert [line["aborted"] is None for line in stage.rounds] == [False, True, False, False]
    assert stage.elapsed == 3 * 20.0


def test_a_round_without_a_total_does_not_use_up_a_round(tmp_path: Path) -> None:
    async def scene() -> Stage:
        stage = Stage(tmp_path, rounds=2, phase_deadline_s=20)
        for site in stage.sites:
            site.connect()
            site.silent_in = {0, 2}
        assert await stage.run() is SessionEnding.FINISHED
        return stage

    stage = asyncio.run(scene())
    assert [line["aborted"] is None for line in stage.rounds] == [False, True, False, True]


def test_a_client_that_goes_in_a_round_may_come_back_within_the_grace(tmp_path: Path) -> None:
    async def scene() -> Stage:
        stage = Stage(tmp_path, rounds=1, reconnect_grace_s=5)
        for site in stage.sites:
            site.connect()
        stage.sites[0].leave()
        stage.at(4.0, stage.sites[0].connect)
        await stage.run()
        return stage

    stage = asyncio.run(scene())
    assert stage.rounds[0]["dropped"] == {}
    assert stage.elapsed == 4.0


def test_a_new_stream_is_asked_what_the_old_one_did_not_answer(tmp_path: Path) -> None:
    async def scene() -> Stage:
        stage = Stage(tmp_path, rounds=1, phase_deadline_s=20)
        for site in stage.sites:
            site.connect()
        flaky = stage.sites[3]
        flaky.silent = True

        def again() -> None:
            flaky.silent = False
            flaky.leave()
            flaky.connect()

        stage.at(8.0, again)
        await stage.run()
        return stage

    stage = asyncio.run(scene())
    assert stage.elapsed == 8.0
    assert stage.rounds[0]["accepted"] == list(range(7))
    told = stage.sites[3].told
    assert told[:2] == ["RoundStart", "RoundStart"]  # asked once per stream
    assert all(told.count(kind) == 1 for kind in set(told) - {"RoundStart"})


def test_between_rounds_a_client_lost_in_the_last_one_is_waited_for(tmp_path: Path) -> None:
    async def scene(back: float) -> Stage:
        stage = Stage(tmp_path / str(back), rounds=2, phase_deadline_s=20, reconnect_grace_s=5)
        for site in stage.sites:
            site.connect()
        lost, slow = stage.sites[0], stage.sites[1]
        slow.silent = True  # so that the first round takes time
        stage.at(1.0, lost.leave)

        def on() -> None:
            slow.silent = False
            slow.leave()
            slow.connect()

        stage.at(8.0, on)
        stage.at(back, lost.connect)
        await stage.run()
        return stage

    for folder in ("10.0", "14.0"):
        (tmp_path / folder).mkdir()
    soon, late = asyncio.run(scene(10.0)), asyncio.run(scene(14.0))
    assert soon.rounds[0]["accepted"] == late.rounds[0]["accepted"] == [1, 2, 3, 4, 5, 6]
    assert soon.rounds[1]["accepted"] == [0, 1, 2, 3, 4, 5, 6]
    assert soon.elapsed == 10.0
    assert late.rounds[1]["accepted"] == [1, 2, 3, 4, 5, 6]
    assert late.elapsed == 13.0


def test_stopped_in_a_round_the_server_says_so(tmp_path: Path) -> None:
    async def scene() -> Stage:
        stage = Stage(tmp_path, rounds=5)
        for site in stage.sites:
            site.connect()
        stage.sites[2].silent = True
        stage.at(8.0, stage.session.stop)
        assert await stage.run() is SessionEnding.STOPPED
        return stage

    stage = asyncio.run(scene())
    assert stage.elapsed == 8.0
    assert [line["aborted"] for line in stage.rounds] == ["SERVER_STOPPED"]
    for site in stage.sites:
        assert site.told[-2:] == ["RoundEnd", "GOODBYE_REASON_STOPPED"]


@pytest.mark.parametrize("times", [1, 2])
def test_stopped_in_unmasking_the_server_keeps_the_total(tmp_path: Path, times: int) -> None:
    async def scene() -> Stage:
        stage = Stage(tmp_path, rounds=5, phase_deadline_s=20)
        for site in stage.sites:
            site.connect()
        first, slow = stage.sites[0], stage.sites[2]
        told = first.on_told

        def look(kind: str) -> None:
            told(kind)
            if kind == "AgreementList":
                slow.silent = True  # the phase takes until its deadline
                for _ in range(times):
                    stage.session.stop()

        first.on_told = look
        assert await stage.run() is SessionEnding.STOPPED
        return stage

    stage = asyncio.run(scene())
    assert stage.elapsed == (10.0 if times == 1 else 0.0)
    assert [line["aborted"] for line in stage.rounds] == [None if times == 1 else "SERVER_STOPPED"]
    assert (tmp_path / "model.safetensors").exists() is (times == 1)
    assert all(site.told[-1] == "GOODBYE_REASON_STOPPED" for site in stage.sites)


def test_stopped_before_the_first_round_nothing_is_played(tmp_path: Path) -> None:
    async def scene() -> Stage:
        stage = Stage(tmp_path)
        stage.at(8.0, stage.session.stop)
        assert await stage.run() is SessionEnding.STOPPED
        return stage

    stage = asyncio.run(scene())
    assert (stage.elapsed, stage.rounds) == (8.0, [])


def test_what_counts_at_clients_is_on_disk_before_they_are_told(tmp_path: Path) -> None:
    seen: dict[str, set[type]] = {}
    closed: dict[str, int] = {}

    async def scene() -> None:
        stage = Stage(tmp_path, rounds=1)
        for site in stage.sites:
            site.connect()

        def look(kind: str) -> None:
            reader = RunReader(tmp_path)
            seen.setdefault(kind, {type(fact) for fact in reader.facts()})
            closed[kind] = len(reader.rounds())

        stage.sites[0].on_told = look
        await stage.run()

    asyncio.run(scene())
    assert RoundBegun in seen["RoundStart"]
    assert Attempted in seen["DealerList"] - seen["ShareDelivery"]
    assert GroupsDrawn in seen["RandomnessList"] - seen["ConsistencyList"]
    assert UnmaskingBegun in seen["AgreementList"] - seen["AcceptedSet"]
    assert {kind for kind, rounds in closed.items() if rounds} == {"RoundEnd", "FinalModel"}


def test_a_message_goes_no_further_when_it_is_repeated_or_of_another_round(tmp_path: Path) -> None:
    async def scene() -> None:
        reception = Reception(Members(Deployment(7).policy), Limits(1, 7, 0), Inline(), lambda: 0.0)
        now, before = RoundId(1, bytes(16)), RoundId(0, bytes(16))
        answer = Agreement(bytes(64))

        async def send(round_id: RoundId, message: Agreement) -> None:
            body = codec.encode_client(message)
            digest = Digest(hashlib.sha256(body).digest())
            envelope = Announcement(codec.kind_of(message), len(body), digest, round_id)
            await reception.received(ClientId(0), Received(envelope, io.BytesIO(body)))

        await send(now, answer)  # before the first round
        reception.open(now, Limits(1, 7, 0), RoundMeter(0.0))
        await send(before, answer)
        await send(now, answer)
        await send(now, answer)
        other = Agreement(b"x" * 64)
        await send(now, other)  # not a repetition: the machine must see it
        reception.close()
        await send(now, Agreement(b"y" * 64))
        reception.open(before, Limits(1, 7, 0), RoundMeter(0.0))
        await send(before, answer)  # the same words in another round are no repetition
        events = [reception.inbox.get_nowait() for _ in range(reception.inbox.qsize())]
        assert events == [
            Message(ClientId(0), now, answer),
            Message(ClientId(0), now, other),
            Message(ClientId(0), before, answer),
        ]

    asyncio.run(scene())
