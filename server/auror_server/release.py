"""The end of a training: who gets the final model, and how long the server stays for it."""

from __future__ import annotations

import math

from auror.ids import ClientId
from auror.round.messages import FinalModel
from auror.wire.v1 import transport_pb2 as pb
from auror_server.connections import Connection, Connections, EncodedMessage


class ModelRelease:
    """One model for everybody connected, with the goodbye; who lost the connection half-way may
    come back for it within ``grace`` seconds."""

    def __init__(
        self, final: FinalModel, encoded: EncodedMessage, connections: Connections, grace: float
    ) -> None:
        self._final = final
        self._encoded = encoded
        self._connections = connections
        self._grace = grace
        self._offered: dict[ClientId, Connection] = {}

    def offer(self) -> None:
        """To every connection that was not offered it."""
        for connection in self._connections.all():
            if connection.send(self._encoded, self._final):
                connection.say_goodbye(pb.GOODBYE_REASON_FINISHED)
                self._offered[connection.client] = connection

    def due(self, now: float) -> float | None:
        """Until when somebody may still be reading it or come back for it; None: nobody is."""
        ends = (self._end(connection) for connection in self._offered.values())
        return max((end for end in ends if end > now), default=None)

    def counts(self) -> tuple[int, int]:
        """For how many clients all of it has left, and for how many not. Nobody acknowledges it."""
        whole = sum(connection.delivered for connection in self._offered.values())
        return whole, len(self._offered) - whole

    def _end(self, connection: Connection) -> float:
        if self._connections.get(connection.client) is connection:
            return math.inf
        gone = self._connections.gone_since(connection.client)
        return -math.inf if connection.delivered or gone is None else gone + self._grace
