"""Who is connected, and what waits to be sent to them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from auror.ids import ClientId, RoundId
from auror.round.messages import AnyServerMessage
from auror.wire import codec
from auror.wire.frames import Assembler, Begun, server_frames
from auror.wire.v1 import transport_pb2 as pb


@dataclass(frozen=True)
class EncodedMessage:
    """Serialised frames; the same bytes go to many clients."""

    frames: tuple[bytes, ...]
    last: bool = False
    """Whether the stream ends after it."""

    @property
    def size(self) -> int:
        return sum(len(frame) for frame in self.frames)


def encode_message(round_id: RoundId, message: AnyServerMessage) -> EncodedMessage:
    """The frames of ``message``; of one outside rounds, ``round_id`` is ``NO_ROUND``."""
    body = codec.encode_server(message)
    return EncodedMessage(tuple(server_frames(round_id, codec.kind_of(message), body)))


@dataclass(eq=False)
class Connection:
    """One client's stream."""

    client: ClientId
    assembler: Assembler
    """Of what the client says over it."""
    begun: Begun | None = None
    """What its welcome names of an upload that broke off."""
    outbox: asyncio.Queue[EncodedMessage] = field(default_factory=asyncio.Queue)
    sent: AnyServerMessage | None = None
    """What was sent last over this stream; a fresh stream has been sent nothing."""
    told_exclusion: bool = False
    """That this client is excluded has been sent over this stream."""
    delivered: bool = False
    """Everything up to the goodbye has left."""
    peer: str = ""
    """Where it comes from, as gRPC says it."""
    replaced: bool = False
    """A newer stream of this client counts instead."""
    finished: bool = False
    """The client has said that nothing more comes: it is alive, and reads."""

    def send(self, encoded: EncodedMessage, message: AnyServerMessage) -> bool:
        """Whether ``message`` will be sent: what was sent last is not sent again."""
        if self.sent is message:
            return False
        self.sent = message
        self.outbox.put_nowait(encoded)
        return True

    def forget(self) -> None:
        """Drop what waits to be sent: nobody counts on it any more."""
        while not self.outbox.empty():
            self.outbox.get_nowait()

    def say_goodbye(self, reason: pb.GoodbyeReason) -> None:
        frame = pb.ServerFrame(goodbye=pb.Goodbye(reason=reason)).SerializeToString()
        self.outbox.put_nowait(EncodedMessage((frame,), last=True))


class Connections:
    """The registry. Only the event loop's thread touches it."""

    def __init__(self, expected: Iterable[ClientId], now: float) -> None:
        self._open: dict[ClientId, Connection] = {}
        self._gone_since = dict.fromkeys(expected, now)

    def add(self, client: ClientId, assembler: Assembler) -> Connection:
        """The newest stream of a client counts; an older one is told so."""
        older = self._open.get(client)
        if older is not None:
            older.replaced = True
            older.forget()
            older.say_goodbye(pb.GOODBYE_REASON_REPLACED)
        connection = Connection(client, assembler)
        self._open[client] = connection
        return connection

    def remove(self, connection: Connection, now: float) -> bool:
        """Whether ``connection`` was the client's newest."""
        if self._open.get(connection.client) is not connection:
            return False
        del self._open[connection.client]
        self._gone_since[connection.client] = now
        return True

    def expect(self, client: ClientId) -> None:
        """``client`` is a member from now on; nobody waits for it before it was here."""
        self._gone_since.setdefault(client, -1.0)

    def get(self, client: ClientId) -> Connection | None:
        return self._open.get(client)

    def gone_since(self, client: ClientId) -> float | None:
        """When the client was lost; None while it is connected."""
        return None if client in self._open else self._gone_since[client]

    def lost_after(self, client: ClientId, when: float) -> bool:
        """Whether the client was lost, and later than ``when``."""
        gone = self.gone_since(client)
        return gone is not None and gone > when

    def clients(self) -> frozenset[ClientId]:
        return frozenset(self._open)

    def all(self) -> tuple[Connection, ...]:
        return tuple(self._open.values())
