"""What one peer may cost, and that honest clients stay far below it."""

from __future__ import annotations

import asyncio
import hashlib
import io
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from auror_client.reconnect import FIRST_PAUSE, Reconnection
from auror_server import admission
from auror_server.admission import (
    MESSAGES,
    REOPENINGS,
    REOPENINGS_PER_SECOND,
    SAY_EVERY_S,
    TIMES,
    Allowance,
    Inbox,
    Pace,
    Refusals,
    TooOften,
)
from auror_server.app import STRANGERS, connections_for
from auror_server.connections import Connections, EncodedMessage
from auror_server.events import Joined, Message
from auror_server.members import Members
from auror_server.metrics import RoundMeter
from auror_server.probes import PROBES
from auror_server.reception import SMALL_BYTES, Reception
from auror_server.status import status_of
from rounds_kit import Deployment

from auror.errors import ConfigError
from auror.ids import ClientId, Digest, RoundId
from auror.round.messages import Agreement, ClientMessage, Upload
from auror.wire import codec
from auror.wire.fields import WireError
from auror.wire.frames import Announcement, Assembler, Received
from auror.wire.limits import Kind, Limits
from auror.wire.service import probe_options, server_options

ONE, TWO = ClientId(1), ClientId(2)
ROUND = RoundId(0, bytes(16))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def reopenings(now: Clock) -> Pace:
    return Pace("opened a stream", REOPENINGS, REOPENINGS_PER_SECOND, now)


def test_who_reopens_faster_than_clients_do_has_to_wait_and_nobody_else() -> None:
    clock = Clock()
    streams = reopenings(clock)
    for _ in range(REOPENINGS):
        streams.take(ONE)
    with pytest.raises(TooOften, match="client 1"):
        streams.take(ONE)
    streams.take(TWO)
    clock.now += 1.0
    streams.take(ONE)
    with pytest.raises(TooOften):
        streams.take(ONE)
    clock.now += 1e6
    for _ in range(REOPENINGS):  # a long silence saves up no more than that
        streams.take(ONE)
    with pytest.raises(TooOften):
        streams.take(ONE)
    assert status_of(TooOften("x"))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_client_that_loses_every_connection_at_once_is_let_in_again() -> None:
    """Cut a moment after each first message, for ten minutes: refusals lengthen its pauses."""
    clock = Clock()
    streams, again = reopenings(clock), Reconnection(3600.0, clock.now, lambda: 0.5)
    welcomed, longest, last = 0, 0.0, clock.now
    while clock.now < 700.0:
        try:
            streams.take(ONE)
        except TooOften:
            pass
        else:
            again.heard()
            welcomed, longest, last = welcomed + 1, max(longest, clock.now - last), clock.now
        again.lost(clock.now)
        pause = again.pause(clock.now)
        assert pause is not None
        clock.now += pause
    assert welcomed > 200
    assert longest <= 4 * FIRST_PAUSE + 1.0


def test_messages_and_bytes_of_an_identity_are_bounded_in_a_round() -> None:
    limits = Limits(30, 1000, 50)
    allowance = Allowance(limits)
    whole = sum(limits.largest(kind) for kind in Kind if kind.from_client)
    for _ in range(TIMES):
        allowance.chunk(ONE, whole)
    with pytest.raises(WireError, match="bytes in one round"):
        allowance.chunk(ONE, 1)
    for _ in range(MESSAGES):
        allowance.message(ONE)
    with pytest.raises(WireError, match="messages in one round"):
        allowance.message(ONE)
    allowance.message(TWO)
    allowance.chunk(TWO, whole)


def test_refusals_are_counted_and_a_flood_of_them_fills_no_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, said = Clock(), []

    class Log:
        def warning(self, event: str, **facts: object) -> None:
            said.append(facts)

    monkeypatch.setattr(admission, "_log", Log())
    refusals = Refusals(clock)
    for _ in range(1000):
        refusals.note("TooOften", "client 1", "why")
    refusals.note("Silent", "client 2", "why")
    clock.now += SAY_EVERY_S
    refusals.note("TooOften", "client 1", "why")
    assert [(facts["reason"], facts["times"]) for facts in said] == [
        ("TooOften", 1), ("Silent", 1), ("TooOften", 1001),
    ]  # fmt: skip
    assert refusals.counts == {"TooOften": 1001, "Silent": 1}


def message(size: int) -> Message:
    return Message(ONE, ROUND, Agreement(bytes(64)), size)


def test_decoded_messages_wait_outside_until_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "WAITING_BYTES", 100)
    entered: list[str] = []

    async def send(inbox: Inbox, name: str, size: int) -> None:
        async with inbox.room(size, 10):
            entered.append(name)
            inbox.put_nowait(message(size))

    async def scene() -> None:
        inbox = Inbox()
        await send(inbox, "first", 60)
        await send(inbox, "second", 40)
        third = asyncio.create_task(send(inbox, "third", 50))
        await asyncio.sleep(0.01)
        assert entered == ["first", "second"]
        inbox.put_nowait(Joined(TWO))
        await inbox.get()
        await asyncio.sleep(0.01)
        assert entered == ["first", "second", "third"]
        assert isinstance(inbox.get_nowait(), Message)
        assert isinstance(inbox.get_nowait(), Joined)
        await third
        assert inbox.get_nowait() == message(50)
        await send(inbox, "larger than all room", 1000)  # alone it may
        inbox.get_nowait()
        with pytest.raises(WireError):
            async with inbox.room(90, 10):
                raise WireError("not a message")
        await asyncio.wait_for(send(inbox, "after a failure", 90), 1.0)

    asyncio.run(scene())


def test_at_least_two_uploads_may_wait() -> None:
    async def scene() -> None:
        inbox, size = Inbox(), admission.WAITING_BYTES
        for _ in range(admission.WAITING_UPLOADS):
            async with inbox.room(size, size):
                inbox.put_nowait(message(size))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), inbox.room(1, size):
                pass

    asyncio.run(scene())


def test_a_stream_that_was_replaced_holds_nothing_but_the_goodbye() -> None:
    connections = Connections([ONE], 0.0)
    older = connections.add(ONE, Assembler(from_client=True))
    older.outbox.put_nowait(EncodedMessage((bytes(1000),)))
    connections.add(ONE, Assembler(from_client=True))
    assert older.outbox.qsize() == 1
    assert older.outbox.get_nowait().last


def test_the_port_takes_two_connections_of_each_member_and_some_strangers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def allowed(files: int) -> object:
        def allow(wanted: int) -> int:
            asked.append(wanted)
            if wanted > files:
                raise ConfigError("too few")
            return files

        return allow

    monkeypatch.setattr("auror_server.app.allow_many_files", allowed(1 << 20))
    assert connections_for(30) == 60 + STRANGERS
    monkeypatch.setattr("auror_server.app.allow_many_files", allowed(300))
    assert connections_for(30) == 300 - PROBES - 30
    with pytest.raises(ConfigError):
        connections_for(100)
    assert asked == [60 + PROBES + 30] * 2 + [200 + PROBES + 100]


def test_ports_bound_connections_handshakes_streams_and_idleness() -> None:
    for options in (dict(server_options(70)), dict(probe_options(70))):
        assert options["grpc.max_allowed_incoming_connections"] == 70
        assert options["grpc.server_handshake_timeout_ms"] <= 10_000
        assert options["grpc.max_concurrent_streams"] <= 4
        assert options["grpc.max_connection_idle_ms"] <= 60_000
        assert options["grpc.max_receive_message_length"] < 1 << 20
        assert options["grpc.so_reuseport"] == 0


def test_of_a_large_message_the_round_computes_what_it_can_before_its_turn() -> None:
    async def scene() -> None:
        with ThreadPoolExecutor(1) as pool:
            limits = Limits(1, SMALL_BYTES, 0)
            reception = Reception(Members(Deployment(3).policy), limits, pool, lambda: 0.0)
            seen: list[tuple[ClientId, bytes, bool]] = []

            def prepare(client: ClientId, message: ClientMessage) -> None:
                assert isinstance(message, Upload)
                own = threading.current_thread() is threading.main_thread()
                seen.append((client, message.payload, own))

            reception.open(ROUND, limits, RoundMeter(0.0), prepare)
            for fill, size in ((b"s", 100), (b"l", SMALL_BYTES)):
                body = codec.encode_client(Upload(fill * size, Digest(bytes(32))))
                digest = Digest(hashlib.sha256(body).digest())
                envelope = Announcement(Kind.UPLOAD, len(body), digest, ROUND)
                await reception.received(ONE, Received(envelope, io.BytesIO(body)))
            assert seen == [(ONE, b"l" * SMALL_BYTES, False)]
            assert reception.inbox.qsize() == 2

    asyncio.run(scene())
