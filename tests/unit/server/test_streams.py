"""Who is on a stream, what the peer is told, and the settings behind it."""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from auror_server import servicer as servicers
from auror_server.admission import BEATS, MESSAGES, REOPENINGS
from auror_server.config import ServerConfig, load_config
from auror_server.connections import Connections, EncodedMessage
from auror_server.events import Event, Joined, Left
from auror_server.members import Members, NotEnrolled
from auror_server.metrics import RoundMeter
from auror_server.reception import Reception
from auror_server.servicer import Servicer, identify
from auror_server.status import WrongHello, status_of
from homes import TERMS, enrolled

import auror.wire.alive
from auror.deployment.certs import create_deployment
from auror.deployment.credentials import client_folder
from auror.deployment.settings import to_toml
from auror.errors import ConfigError, ProtocolError
from auror.ids import ClientId, RoundId
from auror.round.description import PROTOCOL_VERSION
from auror.round.past import MOST_COUNTER, MOST_ERAS, Past
from auror.wire.fields import WireError
from auror.wire.frames import Assembler
from auror.wire.limits import Kind, Limits
from auror.wire.v1 import transport_pb2 as pb

ROOT = Path(__file__).resolve().parents[3]


def test_the_certificate_alone_says_who_it_is(tmp_path: Path) -> None:
    policy = create_deployment(tmp_path / "certs", 3, ["localhost"], TERMS)
    clients = Members(policy)
    for client in range(3):
        pem = (client_folder(tmp_path / "certs", client) / "cert.pem").read_bytes()
        assert identify({"x509_pem_cert": [pem]}, clients) == client
    stranger = (tmp_path / "certs" / "server" / "cert.pem").read_bytes()
    with pytest.raises(NotEnrolled):
        identify({"x509_pem_cert": [stranger]}, clients)
    with pytest.raises(NotEnrolled):
        identify({"x509_common_name": [b"client 0"]}, clients)


def test_peers_are_told_what_to_mend_and_nothing_else() -> None:
    code, text = status_of(WireError("internal detail: 17 bytes"))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "detail" not in text
    assert status_of(NotEnrolled("x"))[0] is grpc.StatusCode.PERMISSION_DENIED
    assert status_of(WrongHello("x"))[0] is grpc.StatusCode.FAILED_PRECONDITION
    assert status_of(ProtocolError("secret"))[1] == "internal error"


def test_the_newest_stream_of_a_client_counts() -> None:
    connections = Connections([ClientId(0), ClientId(1)], now=5.0)
    assert connections.gone_since(ClientId(0)) == 5.0
    first = connections.add(ClientId(0), Assembler(from_client=True))
    second = connections.add(ClientId(0), Assembler(from_client=True))
    told = pb.ServerFrame.FromString(first.outbox.get_nowait().frames[0])
    assert told.goodbye.reason == pb.GOODBYE_REASON_REPLACED
    assert not connections.remove(first, now=6.0)
    assert connections.gone_since(ClientId(0)) is None
    assert connections.remove(second, now=7.0)
    assert connections.gone_since(ClientId(0)) == 7.0
    assert connections.clients() == frozenset()


class Gone:
    """A gRPC context whose peer says hello and is gone; gRPC cancels the handler a moment later."""

    def __init__(self, pem: bytes, hello: pb.Hello) -> None:
        self._pem = pem
        self._frames: list[object] = [pb.ClientFrame(hello=hello), grpc.aio.EOF]

    def auth_context(self) -> dict[str, list[bytes]]:
        return {"x509_pem_cert": [self._pem]}

    async def read(self) -> object:
        return self._frames.pop(0)

    async def write(self, frame: bytes) -> None:
        pass

    def peer(self) -> str:
        return "ipv4:192.0.2.1:7"


def test_a_lost_client_is_noticed_whenever_grpc_cancels_its_stream(tmp_path: Path) -> None:
    policy, pem, hello = enrolled(tmp_path)

    async def cancelled_after(steps: int) -> tuple[list[Event], bool]:
        with ThreadPoolExecutor(1) as pool:
            reception = Reception(Members(policy), Limits(3, 7, 0), pool, lambda: 0.0)
            servicer = Servicer(reception.members, reception, tmp_path)
            task = asyncio.create_task(servicer.participate(None, Gone(pem, hello)))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            heard = [reception.inbox.get_nowait() for _ in range(reception.inbox.qsize())]
            return heard, ClientId(1) in reception.connections.clients()

    for steps in range(1, 9):
        heard, connected = asyncio.run(cancelled_after(steps))
        assert not connected, steps
        assert heard in ([], [Joined(ClientId(1)), Left(ClientId(1))]), steps
    assert heard  # it did connect


class Refused(Exception):
    """gRPC ends a handler that aborts."""


class Busy(Gone):
    """Its peer says hello and sends ``frames``; what the server aborts with is raised."""

    def __init__(self, pem: bytes, hello: pb.Hello, frames: list[pb.ClientFrame]) -> None:
        super().__init__(pem, hello)
        self._frames[1:1] = frames

    async def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise Refused(code)


def test_streams_messages_and_beats_without_end_are_refused_and_counted(tmp_path: Path) -> None:
    policy, pem, hello = enrolled(tmp_path)
    body = b"x"
    header = pb.Header(
        kind=Kind.AGREEMENT.value,
        size=len(body),
        sha256=hashlib.sha256(body).digest(),
        round_nonce=bytes(16),
        body=body,
    )
    message, beat = [pb.ClientFrame(header=header)], [pb.ClientFrame(beat=pb.Beat())]

    async def opened(servicer: Servicer, frames: list[pb.ClientFrame]) -> grpc.StatusCode | None:
        try:
            await servicer.participate(None, Busy(pem, hello, frames))
        except Refused as refused:
            return refused.args[0]
        return None

    async def scene() -> None:
        with ThreadPoolExecutor(1) as pool:
            reception = Reception(Members(policy), Limits(3, 7, 0), pool, lambda: 0.0)
            servicer = Servicer(reception.members, reception, tmp_path)
            assert await opened(servicer, message * MESSAGES) is None
            assert await opened(servicer, message) is grpc.StatusCode.INVALID_ARGUMENT
            assert await opened(servicer, beat * BEATS) is None
            assert await opened(servicer, beat) is grpc.StatusCode.RESOURCE_EXHAUSTED
            for _ in range(REOPENINGS - 4):
                assert await opened(servicer, []) is None
            assert await opened(servicer, []) is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert reception.refusals.counts == {"malformed": 2, "TooOften": 1}
            meter = RoundMeter(0.0)
            reception.open(RoundId(0, bytes(16)), Limits(3, 7, 0), meter)
            assert meter.line(0, 1.0)["refused"] == {"malformed": 2, "TooOften": 1}
            reception.begins(ClientId(1))  # another round, another allowance

    asyncio.run(scene())


class Reading(Gone):
    """Its peer says hello, then reads ``frames`` frames and is gone."""

    def __init__(self, pem: bytes, hello: pb.Hello, frames: int) -> None:
        super().__init__(pem, hello)
        self._left = frames

    async def read(self) -> object:
        if len(self._frames) == 1:
            await asyncio.Event().wait()
        return await super().read()

    async def write(self, frame: bytes) -> None:
        if not self._left:
            await asyncio.Event().wait()
        self._left -= 1


def test_who_takes_nothing_of_what_it_is_sent_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on saying that it lives; what is sent to it would wait without end."""
    monkeypatch.setattr(servicers, "DEAF_SECONDS", 0.05)
    monkeypatch.setattr(auror.wire.alive, "SILENT_SECONDS", 600.0)  # not for saying nothing itself
    policy, pem, hello = enrolled(tmp_path)

    async def scene() -> None:
        with ThreadPoolExecutor(1) as pool:
            reception = Reception(Members(policy), Limits(3, 7, 0), pool, lambda: 0.0)
            servicer = Servicer(reception.members, reception, tmp_path)
            peer = asyncio.create_task(servicer.participate(None, Reading(pem, hello, 2)))
            while (connection := reception.connections.get(ClientId(1))) is None:
                await asyncio.sleep(0)
            for _ in range(2):
                connection.outbox.put_nowait(EncodedMessage((b"\x0a",)))
            async with asyncio.timeout(10):
                await peer
            assert reception.connections.get(ClientId(1)) is None
            assert reception.refusals.counts == {"deaf": 1}

    asyncio.run(scene())


@pytest.mark.parametrize(("frames", "delivered"), [(3, False), (4, True)])
def test_what_has_left_up_to_the_goodbye_is_known(
    tmp_path: Path, frames: int, delivered: bool
) -> None:
    """A welcome, two frames and the goodbye."""
    policy, pem, hello = enrolled(tmp_path)

    async def scene() -> bool:
        with ThreadPoolExecutor(1) as pool:
            reception = Reception(Members(policy), Limits(3, 7, 0), pool, lambda: 0.0)
            servicer = Servicer(reception.members, reception, tmp_path)
            task = asyncio.create_task(servicer.participate(None, Reading(pem, hello, frames)))
            await asyncio.sleep(0.01)
            connection = reception.connections.get(ClientId(1))
            assert connection is not None
            connection.outbox.put_nowait(EncodedMessage((b"header", b"chunk")))
            connection.say_goodbye(pb.GOODBYE_REASON_FINISHED)
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return connection.delivered

    assert asyncio.run(scene()) is delivered


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("server.listen=7443", "host:port"),
        ("server.health=127.0.0.1:7443", "port of its own"),
        ("session.rounds=0", "session.rounds = 0"),
        ("session.after_flag=sometimes", "session.after_flag"),
        ("round.group_size=3", "round.group_size stands in the signed policy"),
        ("round.sise=3", "stands in the signed policy"),
        ("learning.epochs=3", "learning.epochs stands in the signed policy"),
        ("session.ronds=3", "did you mean session.rounds"),
    ],
)
def test_settings_are_checked(flag: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says.replace(".", r"\.")):
        load_config(None, {}, [flag])


def test_the_sample_loads_and_the_defaults_print() -> None:
    sample = load_config(ROOT / "deploy" / "server.toml", {}, [])
    assert sample.server.listen == "0.0.0.0:7443"
    assert "[session]" in to_toml(ServerConfig())


@pytest.mark.parametrize(
    "wrong",
    [
        {"next_counter": MOST_COUNTER + 1},
        {"next_era": MOST_ERAS + 1},
        {"flagged": [1, 1]},
        {"flagged": [2, 1]},
        {"flagged": [0, 1, 2, 3]},
    ],
)
def test_a_past_that_no_memory_holds_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    policy = create_deployment(tmp_path / "certs", 3, ["localhost"], TERMS)
    pem = (client_folder(tmp_path / "certs", 1) / "cert.pem").read_bytes()

    async def said(**more: Any) -> Reception:
        hello = pb.Hello(
            protocol_version=PROTOCOL_VERSION, deployment=policy.name, client=1, **more
        )
        with ThreadPoolExecutor(1) as pool:
            reception = Reception(Members(policy), Limits(3, 7, 0), pool, lambda: 0.0)
            servicer = Servicer(reception.members, reception, tmp_path)
            await servicer.participate(None, Busy(pem, hello, [grpc.aio.EOF]))  # type: ignore[list-item]
            return reception

    taken = asyncio.run(said(next_counter=7, next_era=2, flagged=[0, 2]))
    assert taken.pasts == {1: Past(7, 2, (ClientId(0), ClientId(2)))}
    with pytest.raises(Refused) as refused:
        asyncio.run(said(**wrong))
    assert refused.value.args[0] is grpc.StatusCode.FAILED_PRECONDITION
