"""What happens to a session, in the order in which it happened."""

from __future__ import annotations

from dataclasses import dataclass, field

from auror.ids import ClientId, RoundId
from auror.round.messages import ClientMessage


@dataclass(frozen=True)
class Message:
    """A decoded message of an authenticated client."""

    client: ClientId
    round_id: RoundId
    message: ClientMessage
    size: int = field(default=0, compare=False)
    """Bytes of its body."""


@dataclass(frozen=True)
class Joined:
    """A client opened a stream, for the first time or again."""

    client: ClientId


@dataclass(frozen=True)
class Left:
    """A client's newest stream is gone."""

    client: ClientId


@dataclass(frozen=True)
class Malformed:
    """A client sent what is no message."""

    client: ClientId
    detail: str


@dataclass(frozen=True)
class Stop:
    """The operator ends the server."""

    at_once: bool = False
    """Even a round whose total its clients have paid for."""


@dataclass(frozen=True)
class Ordered:
    """The operator said something that counts from the next round on."""


Event = Message | Joined | Left | Malformed | Stop | Ordered
