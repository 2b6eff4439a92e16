"""An enrolled client that does not keep to the wire format, or claims to be somebody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import grpc
import kit
import pytest

from auror.deployment.credentials import client_folder, load_client
from auror.programs.processes import free_address, programs, wait_until_listening
from auror.round.description import PROTOCOL_VERSION
from auror.wire.limits import Kind
from auror.wire.service import CLIENT_OPTIONS, PATH
from auror.wire.v1 import transport_pb2 as pb

ROGUE = 5


class Stream:
    """A hand-driven stream with a client's real certificate."""

    def __init__(self, address: str, folder: Path) -> None:
        own = load_client(client_folder(folder / "certs", ROGUE))
        self._deployment = own.policy.name
        secure = grpc.ssl_channel_credentials(own.tls.ca, own.tls.key, own.tls.certificate)
        self._channel = grpc.secure_channel(address, secure, options=CLIENT_OPTIONS)
        self._out: Queue[pb.ClientFrame | None] = Queue()
        method = self._channel.stream_stream(
            PATH, pb.ClientFrame.SerializeToString, pb.ServerFrame.FromString
        )
        self.frames: Iterator[pb.ServerFrame] = method(
            iter(self._out.get, None), timeout=kit.PATIENCE
        )

    def hello(self, client: int) -> None:
        hello = pb.Hello(
            protocol_version=PROTOCOL_VERSION, deployment=self._deployment, client=client
        )
        self._out.put(pb.ClientFrame(hello=hello))

    def send(self, frame: pb.ClientFrame) -> None:
        self._out.put(frame)

    def close(self) -> None:
        self._out.put(None)
        self._channel.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    kit.enrol(tmp_path)
    return tmp_path


def test_an_oversized_announcement_costs_the_round_and_nothing_else(folder: Path) -> None:
    address = free_address()
    with programs(folder / "logs") as starter:
        server = starter.server(kit.server_settings(folder, address, session__rounds=2))
        wait_until_listening(address, server)
        starter.clients(kit.client_settings(folder, address, "0-4"))
        rogue = Stream(address, folder)
        rogue.hello(ROGUE)
        assert next(rogue.frames).WhichOneof("frame") == "welcome"
        start = next(rogue.frames).header
        assert start.kind == Kind.ROUND_START.value
        huge = pb.Header(
            kind=Kind.UPLOAD.value,
            size=10**12,
            sha256=bytes(32),
            round_counter=start.round_counter,
            round_nonce=start.round_nonce,
        )
        rogue.send(pb.ClientFrame(header=huge))
        with pytest.raises(grpc.RpcError) as refused:
            list(rogue.frames)
        rogue.close()
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "allowed" not in refused.value.details()
        assert server.process.wait(kit.PATIENCE) == 0, server.last_line()
    lines = kit.rounds(folder)
    assert lines[0]["dropped"] == {str(ROGUE): "MALFORMED"}
    assert [line["accepted"] for line in lines] == [[0, 1, 2, 3, 4]] * 2


def test_nobody_speaks_under_another_clients_number(folder: Path) -> None:
    address = free_address()
    with programs(folder / "logs") as starter:
        server = starter.server(kit.server_settings(folder, address))
        wait_until_listening(address, server)
        rogue = Stream(address, folder)
        rogue.hello(2)
        with pytest.raises(grpc.RpcError) as refused:
            list(rogue.frames)
        rogue.close()
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
