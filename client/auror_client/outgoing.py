"""What leaves a client: a message's frames, and who takes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from auror.ids import RoundId
from auror.round.client.state import ClientEffect, Reply
from auror.round.messages import ClientMessage, Upload
from auror.wire import codec
from auror.wire.frames import Begun, client_frames


class Sender(Protocol):
    """Takes one message's frames."""

    begun: Begun | None
    """What the server holds of an upload that broke off, until one is sent."""

    async def send(self, frames: Iterable[bytes]) -> None:
        """Raises ConnectionLost: the server will ask again."""


def frames_of(round_id: RoundId, effect: ClientEffect) -> list[bytes]:
    """Of a reply other than an upload; else none. An upload's depend on what the server holds."""
    if not isinstance(effect, Reply) or isinstance(effect.message, Upload):
        return []
    return cut(round_id, effect.message, None)


def cut(round_id: RoundId, message: ClientMessage, begun: Begun | None) -> list[bytes]:
    """The frames of ``message``; ``begun``: what the server holds of it."""
    kind, body = codec.kind_of(message), codec.encode_client(message)
    return list(client_frames(round_id, kind, body, begun))
