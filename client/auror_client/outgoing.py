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


def frames_of(round_id: RoundId, effect: ClientEffect, link: Sender | None) -> list[bytes]:
    """Of a reply that goes out over ``link``; else none."""
    return cut(round_id, effect.message, link) if link and isinstance(effect, Reply) else []


def cut(round_id: RoundId, message: ClientMessage, link: Sender) -> list[bytes]:
    """The frames of ``message`` over ``link``: of an upload, what the server does not hold yet."""
    begun = None
    if isinstance(message, Upload):
        begun, link.begun = link.begun, None
    kind, body = codec.kind_of(message), codec.encode_client(message)
    return list(client_frames(round_id, kind, body, begun))
