"""Uploads that go on over another stream: the real servicer and reception over virtual streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from auror_server import admission
from auror_server.events import Malformed, Message
from auror_server.standing import SessionEnding
from peers import FRAMES, LIMITS, ONE, ROUND, TWO, UPLOAD, House, play, rest
from stage import Stage
from structlog.testing import capture_logs

from auror.crypto.entropy import system_entropy
from auror.crypto.signing import SigningKey
from auror.deployment.certs import create_deployment
from auror.ids import ClientId, Digest
from auror.params import RoundParams
from auror.programs.enrol import synthetic_terms
from auror.round.messages import Upload
from auror.round.policy import Policy
from auror.round.server.context import Phase
from auror.wire import codec, frames
from auror.wire.frames import Begun, Body, client_frames
from auror.wire.limits import CHUNK_BYTES, Kind
from auror.wire.v1 import transport_pb2 as pb


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Policy]:
    folder = tmp_path_factory.mktemp("deployment")
    terms = synthetic_terms(7, RoundParams(group_size=2, colluders=0), 3)
    return folder, create_deployment(folder / "certs", 3, ["localhost"], terms)


def test_two_processes_with_one_clients_keys_are_said(deployed: tuple[Path, Policy]) -> None:
    """Who only lost its link is not: nobody takes leave over its older stream."""

    async def scene(house: House) -> None:
        first = await house.stream(ONE)
        with capture_logs() as logs:
            lost = await house.stream(TWO)
            await house.stream(TWO)
            lost.task.cancel()
            await asyncio.gather(lost.task, return_exceptions=True)
            await house.stream(ONE, at="ipv4:198.51.100.9:7")
            assert first.heard[-1].goodbye.reason == pb.GOODBYE_REASON_REPLACED
            await first.ends()
        assert [line["client"] for line in logs] == [ONE]
        assert logs[0]["event"] == "another process took a client's place: its keys are used twice"
        assert (logs[0]["now_at"], logs[0]["before_at"]) == (
            "ipv4:198.51.100.9:7",
            "ipv4:192.0.2.1:7",
        )

    play(deployed, scene)


def test_processes_that_take_turns_fill_no_log() -> None:
    now = [0.0]
    takeovers = admission.Takeovers(lambda: now[0])
    with capture_logs() as logs:
        while now[0] <= 1800:
            takeovers.note(ONE, "a", "b")
            now[0] += 5
        assert [line["times"] for line in logs] == [1, 121, 241, 361]
        logs.clear()
        now[0] += 10_000
        for client in range(1000):
            takeovers.note(ClientId(client), "a", "b")
        assert len(logs) == admission.TAKEOVERS


def test_an_upload_goes_on_where_it_broke_off_and_comes_once(
    deployed: tuple[Path, Policy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs its bytes once and counts as one message, over as many streams as it takes."""
    monkeypatch.setattr(admission, "MESSAGES", 1)
    monkeypatch.setattr(admission, "TIMES", 1)

    async def scene(house: House) -> None:
        digest = Digest(FRAMES[0].header.sha256)
        await house.broken_off(1)
        for chunks in (1, 2):
            peer = await house.stream()
            assert peer.begun == Begun(digest, chunks * CHUNK_BYTES)
            peer.send(*rest(peer.begun)[:2])
            await peer.read_all()
            assert not isinstance(await peer.ends(), grpc.StatusCode)
        peer = await house.stream()
        last = rest(peer.begun)
        assert len(last) == 2
        peer.send(*last)
        await peer.read_all()
        await peer.ends()
        (event,) = house.events(Message)
        assert event == Message(ONE, ROUND, UPLOAD)
        assert (await house.stream()).begun is None
        assert not house.reception.refusals.counts

    play(deployed, scene)


def test_a_newer_stream_takes_it_over_and_the_older_one_is_not_heard(
    deployed: tuple[Path, Policy],
) -> None:
    async def scene(house: House) -> None:
        older = await house.stream()
        older.send(*FRAMES[:3])
        await older.read_all()
        newer = await house.stream()
        assert newer.begun == Begun(Digest(FRAMES[0].header.sha256), 2 * CHUNK_BYTES)
        older.send(*FRAMES[3:], *FRAMES, *FRAMES)  # what was under way, and more
        await older.read_all()
        assert not house.events(Message)
        newer.send(*rest(newer.begun))
        await newer.read_all()
        assert house.events(Message) == [Message(ONE, ROUND, UPLOAD)]
        assert not isinstance(await older.ends(), grpc.StatusCode)
        assert not house.reception.refusals.counts

    play(deployed, scene)


def test_what_an_older_stream_says_is_counted(
    deployed: tuple[Path, Policy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "MESSAGES", 3)

    async def scene(house: House) -> None:
        older = await house.stream()
        await house.stream()
        going_on = pb.ClientFrame()
        going_on.CopyFrom(FRAMES[0])
        going_on.header.offset = CHUNK_BYTES
        older.send(*[going_on] * 4)
        assert await older.ends() is grpc.StatusCode.INVALID_ARGUMENT

    play(deployed, scene)


def test_who_goes_on_twice_or_with_another_body_is_malformed(deployed: tuple[Path, Policy]) -> None:
    async def scene(house: House) -> None:
        await house.broken_off()
        peer = await house.stream()
        going_on = rest(peer.begun)
        peer.send(*going_on, *going_on)
        assert await peer.ends() is grpc.StatusCode.INVALID_ARGUMENT
        (event,) = house.events(Malformed)
        assert isinstance(event, Malformed)
        assert "nobody named" in event.detail

    play(deployed, scene)


def test_a_stream_that_was_malformed_leaves_nothing(deployed: tuple[Path, Policy]) -> None:
    async def scene(house: House) -> None:
        for nonsense in (pb.ClientFrame(chunk=b"x"), pb.ClientFrame(), FRAMES[0]):
            peer = await house.stream()
            peer.send(*FRAMES[:3], nonsense)
            assert await peer.ends() is grpc.StatusCode.INVALID_ARGUMENT
            assert (await house.stream()).begun is None

    play(deployed, scene)


def test_bytes_without_end_are_refused_over_whatever_streams(
    deployed: tuple[Path, Policy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "TIMES", 1)

    async def scene(house: House) -> None:
        ended = []
        for _ in range(3):  # each begins anew, whatever is held
            peer = await house.stream()
            peer.send(*FRAMES[:3])
            await peer.read_all()
            ended.append(await peer.ends())
        assert ended == [None, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INVALID_ARGUMENT]

    play(deployed, scene)


@pytest.mark.parametrize(("messages", "ends"), [(3, None), (5, grpc.StatusCode.INVALID_ARGUMENT)])
def test_small_messages_without_end_are_refused(
    deployed: tuple[Path, Policy], monkeypatch: pytest.MonkeyPatch, messages: int, ends: object
) -> None:
    monkeypatch.setattr(admission, "TIMES", 1)

    async def scene(house: House) -> None:
        peer = await house.stream()
        for number in range(messages):
            upload = Upload(bytes([number]) * 64_000, UPLOAD.digest)
            (frame,) = client_frames(ROUND, Kind.UPLOAD, codec.encode_client(upload))
            peer.send(pb.ClientFrame.FromString(frame))
        await peer.read_all()
        assert await peer.ends() is ends

    play(deployed, scene)


def test_nobody_but_its_client_with_a_valid_hello_takes_it(deployed: tuple[Path, Policy]) -> None:
    async def scene(house: House) -> None:
        await house.broken_off()
        wrong = await house.stream(deployment="another")
        assert await wrong.ends() is grpc.StatusCode.FAILED_PRECONDITION
        assert (await house.stream(TWO)).begun is None
        assert (await house.stream()).begun is not None

    play(deployed, scene)


def test_a_disk_that_does_not_take_it_costs_the_part_and_nothing_else(
    deployed: tuple[Path, Policy], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Body) -> None:
        raise OSError(28, "No space left on device")

    async def scene(house: House) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Body, "to_disk", full)
            await house.broken_off()
        assert house.reception.refusals.counts == {"upload not kept": 1}
        peer = await house.stream()
        assert peer.begun is None
        peer.send(*FRAMES)
        await peer.read_all()
        assert house.events(Message) == [Message(ONE, ROUND, UPLOAD)]

    play(deployed, scene)


@pytest.mark.parametrize("phase", [*Phase, None])
def test_it_goes_when_the_upload_phase_ends(
    deployed: tuple[Path, Policy], phase: Phase | None
) -> None:
    """Nor is anything kept in another phase; None: the round is over."""

    async def scene(house: House) -> None:
        await house.broken_off()
        if phase is None:
            house.reception.close()
        else:
            house.reception.enters(phase)
        still_on = phase is Phase.UPLOAD
        assert bool(house.reception._parts._waiting) is still_on
        late = await house.stream(TWO)
        late.send(*FRAMES[:3])
        await late.read_all()
        await late.ends()
        for client in (ONE, TWO):
            assert ((await house.stream(client)).begun is not None) is still_on

    play(deployed, scene)


def test_what_a_stream_has_taken_over_is_read_to_its_end(deployed: tuple[Path, Policy]) -> None:
    """As any body that is under way when the phase ends: the round takes it for late."""

    async def scene(house: House) -> None:
        await house.broken_off()
        peer = await house.stream()
        house.reception.enters(Phase.CONSISTENCY)
        peer.send(*rest(peer.begun))
        await peer.read_all()
        assert house.events(Message) == [Message(ONE, ROUND, UPLOAD)]
        assert not house.reception.refusals.counts

    play(deployed, scene)


# In a session, on the clock of the test --------------------------------------------------------


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    folder.mkdir()
    stage = Stage(folder, rounds=2, reconnect_grace_s=5)
    for site in stage.sites:
        site.connect()
    yield stage
    assert await stage.run() is SessionEnding.FINISHED


def test_a_link_that_breaks_again_and_again_ends_its_upload_and_the_total_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "CHUNK_BYTES", 16)

    async def scene() -> None:
        async with staged(tmp_path / "whole") as whole:
            pass
        chunks = whole.sites[3].chunks // 2
        assert chunks > 3
        async with staged(tmp_path / "broken") as broken:
            site = broken.sites[3]

            def breaks() -> None:
                site.leave()
                broken.at(broken.elapsed + 1.0, site.connect)

            site.on_chunk = breaks
        assert site.chunks == 2 * chunks  # every one once
        assert broken.elapsed == pytest.approx(2 * (chunks - 1), abs=2.1)
        assert [line["accepted"] for line in broken.rounds] == [list(range(7))] * 2
        assert [line["dropped"] for line in broken.rounds] == [{}] * 2
        ends = [stage.campaign.state.models.model for stage in (whole, broken)]
        assert ends[0].tobytes() == ends[1].tobytes()

    asyncio.run(scene())


def test_who_is_revoked_before_its_hello_comes_is_no_member(deployed: tuple[Path, Policy]) -> None:
    """Else whoever opens a stream and waits with the hello is invited after it was revoked."""
    policy = deployed[1]
    later = policy.successor(SigningKey.draw(system_entropy), [ONE])

    async def scene(house: House) -> None:
        nothing = frozenset[ClientId]()
        peer = await house.stream(ONE, lambda: house.reception.adopt(later, nothing, LIMITS))
        assert not peer.heard
        assert house.reception.connections.get(ONE) is None
        assert ONE not in house.reception.pasts
        assert await peer.ends() is grpc.StatusCode.PERMISSION_DENIED

    play(deployed, scene)
