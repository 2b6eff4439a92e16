"""Where the streams of all clients meet the session: connections, and the events they make."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable
from concurrent.futures import Executor

from auror.deployment.policy_file import policy_json
from auror.errors import ProtocolError
from auror.ids import NO_ROUND, ClientId, Digest, RoundId
from auror.round.messages import ClientMessage, NewPolicy
from auror.round.past import Past
from auror.round.policy import Policy
from auror.round.server.context import Phase
from auror.wire import codec
from auror.wire.frames import Announcement, Assembler, Received
from auror.wire.limits import Kind, Limits
from auror.wire.v1 import transport_pb2 as pb
from auror_server.admission import (
    BEATS,
    BEATS_PER_SECOND,
    REOPENINGS,
    REOPENINGS_PER_SECOND,
    Allowance,
    Inbox,
    Pace,
    Refusals,
    Takeovers,
)
from auror_server.connections import Connection, Connections, EncodedMessage, encode_message
from auror_server.events import Joined, Left, Malformed, Message
from auror_server.members import Members
from auror_server.metrics import RoundMeter
from auror_server.parts import Parts

SMALL_BYTES = 16 << 10
"""Decoded at once, in less time than the way to the executor and back takes under load."""

Prepare = Callable[[ClientId, ClientMessage], None]
"""What the round computes of a client's message before its turn."""


def no_work(_: ClientId, __: ClientMessage) -> None:
    """Nothing."""


class Reception:
    """The session's :class:`auror_server.servicer.StreamHandler`."""

    def __init__(
        self,
        members: Members,
        limits: Limits,
        pool: Executor,
        now: Callable[[], float],
    ) -> None:
        self.members = members
        self.connections = Connections(members.policy.members, now())
        self.inbox = Inbox()
        self.pasts: dict[ClientId, Past] = {}
        """As every client told it last."""
        self.refusals = Refusals(now)
        self._reopenings = Pace("opened a stream", REOPENINGS, REOPENINGS_PER_SECOND, now)
        self._beats = Pace("beat", BEATS, BEATS_PER_SECOND, now)
        self._takeovers = Takeovers(now)
        self._allowance = Allowance(limits)
        self._parts = Parts()
        self._limits = limits
        self._newest: tuple[NewPolicy, EncodedMessage] | None = None
        """The policy as it is handed on."""
        self._pool = pool
        self._now = now
        self._round_id: RoundId | None = None
        self._meter: RoundMeter | None = None
        self._prepare: Prepare = no_work
        self._before: RoundId | None = None
        self._late: set[ClientId] = set()
        self._seen: dict[tuple[ClientId, Kind], Digest] = {}

    @property
    def limits(self) -> Limits:
        return self._limits

    def open(
        self, round_id: RoundId, limits: Limits, meter: RoundMeter, prepare: Prepare = no_work
    ) -> None:
        """A round begins: its messages are taken, of others none. ``prepare``: of a large message,
        in the executor too."""
        self._round_id, self._limits, self._meter, self._seen = round_id, limits, meter, {}
        self._prepare = prepare
        self._allowance = Allowance(limits)
        meter.refused = self.refusals.counts

    def close(self) -> None:
        """The round is over."""
        self._parts.over()
        self._before, self._round_id = self._round_id, None
        self._late.clear()

    def enters(self, phase: Phase) -> None:
        """The round's next phase begins."""
        if phase is Phase.UPLOAD and self._round_id is not None:
            self._parts.upload_phase(self._round_id, self._limits.largest(Kind.UPLOAD))
        else:
            self._parts.over()

    def late(self) -> frozenset[ClientId]:
        """Whose messages for the last round came since it was over, or since this was asked."""
        found = frozenset(self._late)
        self._late.clear()
        return found

    def reopens(self, client: ClientId) -> None:
        """Raises TooOften when ``client`` has to wait before it opens another stream."""
        self._reopenings.take(client)

    def connected(self, client: ClientId, past: Past, assembler: Assembler) -> Connection:
        """A stream opens, whose frames ``assembler`` puts together.

        ``past``: what the client says to have taken part in."""
        self.pasts[client] = past
        older = self.connections.get(client)
        begun = self._parts.goes_on(client, None if older is None else older.assembler, assembler)
        connection = self.connections.add(client, assembler)
        connection.begun = begun
        if 0 < past.version < self.members.policy.version:
            self._hand_on(connection)
        self.inbox.put_nowait(Joined(client))
        return connection

    def adopt(self, policy: Policy, anew: frozenset[ClientId], limits: Limits) -> None:
        """The next rounds are under ``policy``, in which ``anew`` count anew: everybody connected
        is given it, and who is no member of it any more is sent away. Between rounds only."""
        self.members.adopt(policy)
        self._limits, self._newest = limits, None
        for client in policy.members:
            self.connections.expect(client)
        for client in self.pasts.keys() - policy.members.keys():
            del self.pasts[client]
        for connection in self.connections.all():
            self._hand_on(connection)
            if connection.client in anew:
                connection.told_exclusion = False
            if connection.client not in policy.members:
                connection.say_goodbye(pb.GOODBYE_REASON_STOPPED)

    def _hand_on(self, connection: Connection) -> None:
        if self._newest is None:
            message = NewPolicy(policy_json(self.members.policy))
            self._newest = message, encode_message(NO_ROUND, message)
        message, encoded = self._newest
        connection.send(encoded, message)

    def disconnected(self, connection: Connection) -> None:
        client = connection.client
        if connection.replaced and connection.finished:
            newest = self.connections.get(client)
            self._takeovers.note(client, "" if newest is None else newest.peer, connection.peer)
        if self.connections.remove(connection, self._now()):
            self.inbox.put_nowait(Left(client))
        try:
            self._parts.breaks_off(client, connection.assembler)
        except OSError as error:
            self.refusals.note("upload not kept", f"client {client}", str(error))

    def begins(self, client: ClientId) -> None:
        """Raises WireError when ``client`` has sent its share of this round's messages."""
        self._allowance.message(client)

    def came(self, client: ClientId, size: int) -> None:
        """Raises WireError when ``client`` has sent its share of this round's bytes."""
        self._allowance.chunk(client, size)

    def beats(self, client: ClientId) -> None:
        """Raises TooOften when ``client`` says that it lives more often than clients do."""
        self._beats.take(client)

    async def received(self, client: ClientId, message: Received) -> None:
        """Decode, what is large in the executor; a repeated message of this round goes no further.

        Returns when there was room for it: until then its sender has to wait.

        Raises:
            WireError: it is not a message of this protocol.
        """
        with contextlib.closing(message):
            envelope, seen, limits = message.envelope, self._seen, self._limits
            if not self._is_new(client, envelope):
                return
            async with self.inbox.room(envelope.size, limits.largest(Kind.UPLOAD)):
                work = functools.partial(_decoded, message, limits)
                if envelope.size <= SMALL_BYTES:
                    decoded = work()
                else:
                    loop, prepare = asyncio.get_running_loop(), self._prepare
                    work = functools.partial(_prepared, work, client, prepare)
                    decoded = await loop.run_in_executor(self._pool, work)
                seen.setdefault((client, envelope.kind), envelope.sha256)
                event = Message(client, envelope.round_id, decoded, envelope.size)
                self.inbox.put_nowait(event)

    def _is_new(self, client: ClientId, envelope: Announcement) -> bool:
        if self._meter is None or envelope.round_id != self._round_id:
            if envelope.round_id == self._before:
                self._late.add(client)
            return False  # of a round that is over: too late, and nobody's fault
        self._meter.bytes_up += envelope.size
        return self._seen.get((client, envelope.kind)) != envelope.sha256

    def malformed(self, client: ClientId, error: ProtocolError) -> None:
        self.refusals.note("malformed", f"client {client}", str(error))
        self.inbox.put_nowait(Malformed(client, str(error)))


def _prepared(
    work: Callable[[], ClientMessage], client: ClientId, prepare: Prepare
) -> ClientMessage:
    """Raises WireError."""
    decoded = work()
    prepare(client, decoded)
    return decoded


def _decoded(message: Received, limits: Limits) -> ClientMessage:
    """Raises WireError."""
    return codec.decode_client(message.envelope.kind, message.read(), limits)
