"""What a round sends, over the connections that there are: durable first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from auror.ids import RoundId
from auror.round.server.context import Send
from auror.wire import codec
from auror_server.connections import Connections, EncodedMessage, encode_message
from auror_server.metrics import RoundMeter
from auror_server.recorder import Recorder


class RoundSender:
    """Of one session."""

    def __init__(
        self,
        connections: Connections,
        recorder: Recorder,
        compute: Callable[[Callable[[], Any]], Awaitable[Any]],
    ) -> None:
        """``compute`` runs what takes long."""
        self._connections = connections
        self._recorder = recorder
        self._compute = compute
        self._round: RoundId | None = None

    async def encoded(self, round_id: RoundId, sends: Sequence[Send]) -> list[EncodedMessage]:
        """One way to the executor for all: in phase 1 everybody is sent envelopes of its own."""
        if round_id != self._round:  # a thousand clients' keys would stay for sixteen rounds
            self._round = round_id
            codec.forget_entries()
        if not sends:
            return []
        made: list[EncodedMessage] = await self._compute(
            lambda: [encode_message(round_id, send.message) for send in sends]
        )
        return made

    async def send(self, meter: RoundMeter, send: Send, encoded: EncodedMessage) -> None:
        """To whom of ``send.to`` is connected."""
        if self._recorder.dirty:
            await self._compute(self._recorder.sync)  # durable before reply
        for client in send.to:
            connection = self._connections.get(client)
            if connection is not None and connection.send(encoded, send.message):
                meter.bytes_down += encoded.size
