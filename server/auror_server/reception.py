"""Where the streams of all clients meet the session: connections, and the events they make."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Executor

from auror.ids import ClientId, Digest, RoundId
from auror.wire import codec
from auror.wire.fields import WireError
from auror.wire.frames import Received
from auror.wire.limits import Kind, Limits
from auror_server.connections import Connection, Connections
from auror_server.events import Event, Joined, Left, Malformed, Message
from auror_server.metrics import RoundMeter


class Reception:
    """The session's :class:`auror_server.servicer.StreamHandler`."""

    def __init__(
        self,
        members: Iterable[ClientId],
        limits: Limits,
        pool: Executor,
        now: Callable[[], float],
    ) -> None:
        self.connections = Connections(members, now())
        self.inbox: asyncio.Queue[Event] = asyncio.Queue()
        self._limits = limits
        self._pool = pool
        self._now = now
        self._round_id: RoundId | None = None
        self._meter: RoundMeter | None = None
        self._seen: dict[tuple[ClientId, Kind], Digest] = {}

    @property
    def limits(self) -> Limits:
        return self._limits

    def open(self, round_id: RoundId, limits: Limits, meter: RoundMeter) -> None:
        """A round begins: its messages are taken, of others none."""
        self._round_id, self._limits, self._meter, self._seen = round_id, limits, meter, {}

    def close(self) -> None:
        """The round is over."""
        self._round_id = None

    def connected(self, client: ClientId) -> Connection:
        connection = self.connections.add(client)
        self.inbox.put_nowait(Joined(client))
        return connection

    def disconnected(self, connection: Connection) -> None:
        if self.connections.remove(connection, self._now()):
            self.inbox.put_nowait(Left(connection.client))

    async def received(self, client: ClientId, message: Received) -> None:
        """Decode in the executor; a repeated message of this round goes no further.

        Raises:
            WireError: it is not a message of this protocol.
        """
        envelope = message.envelope
        if self._meter is None or envelope.round_id != self._round_id:
            return  # of a round that is over: too late, and nobody's fault
        self._meter.bytes_up += envelope.size
        seen, limits = self._seen, self._limits
        if seen.get((client, envelope.kind)) == envelope.sha256:
            return
        decoded = await asyncio.get_running_loop().run_in_executor(
            self._pool, codec.decode_client, envelope.kind, message.body, limits
        )
        seen.setdefault((client, envelope.kind), envelope.sha256)
        self.inbox.put_nowait(Message(client, envelope.round_id, decoded))

    def malformed(self, client: ClientId, error: WireError) -> None:
        self.inbox.put_nowait(Malformed(client, str(error)))
