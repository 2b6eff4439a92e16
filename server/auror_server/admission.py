"""What one peer may cost: reopenings, messages, bytes, and memory for what waits to be looked at.

Honest clients stay far below every bound. A peer that reaches one is refused and counted; the
others notice nothing. What has no certificate of a member yet is bounded before, by gRPC
(``auror.wire.service.server_options``).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable

from auror.deployment.logs import logger
from auror.errors import ProtocolError
from auror.ids import ClientId
from auror.wire.fields import WireError
from auror.wire.limits import Kind, Limits
from auror_server.events import Event, Message

REOPENINGS, REOPENINGS_PER_SECOND = 20, 1.0
"""Streams that an identity may open at once, and how fast it may go on. Clients wait 0.25 s before
the first attempt after a loss, and longer after each refusal."""
BEATS, BEATS_PER_SECOND = 20, 1.0
"""The same of signs of life, of which a client sends one in ``BEAT_SECONDS`` at most."""
MESSAGES = 256
"""Of one identity in one round: a round takes ten, and each may be sent again after a loss. What
goes on over another stream is no further message."""
TIMES = 16
"""How often an identity may send the largest messages of one round, in bytes that came."""
WAITING_BYTES, WAITING_UPLOADS = 64 << 20, 2
"""What decoded messages may hold while they wait: so much, and so many uploads at least."""
AT_HAND_BYTES = 1 << 20
"""Messages of a phase are small but for uploads: many are taken in one go, uploads one by one."""
TAKEOVERS, TAKEOVERS_EVERY_S = 20, 600.0
SAY_EVERY_S = 10.0
_log = logger("transport")


class TooOften(ProtocolError):
    """An identity does something faster than any client would."""


class Refusals:
    """What was refused, counted by reason; the log gets a line for the first and then at most one
    in ``SAY_EVERY_S`` seconds, so that a flood fills no disk."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.counts: Counter[str] = Counter()
        self._now = now
        self._said: dict[str, float] = {}

    def note(self, reason: str, peer: str, why: str) -> None:
        """``reason``: a few words that do not vary; ``peer`` and ``why`` describe this one."""
        self.counts[reason] += 1
        now = self._now()
        if now - self._said.get(reason, -SAY_EVERY_S) >= SAY_EVERY_S:
            self._said[reason] = now
            _log.warning("refused", reason=reason, peer=peer, why=why, times=self.counts[reason])


class Takeovers:
    """Who takes whose place. A client that lost its link replaces its own stream, which answers
    nothing any more: that is said nowhere. Where the older one took leave, another process was at
    its end: the same keys are used twice."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._times: Counter[ClientId] = Counter()
        self._said: dict[ClientId, float] = {}

    def note(self, client: ClientId, newer: str, older: str) -> None:
        """A process at ``newer`` has taken the place of one at ``older``. Two that take turns fill
        no log: a line per client, and ``TAKEOVERS`` lines in all, in ``TAKEOVERS_EVERY_S``."""
        self._times[client] += 1
        now = self._now()
        lately = [when for when in self._said.values() if now - when < TAKEOVERS_EVERY_S]
        if len(lately) >= TAKEOVERS or now - self._said.get(client, -TAKEOVERS_EVERY_S) < (
            TAKEOVERS_EVERY_S
        ):
            return
        self._said[client] = now
        _log.warning(
            "another process took a client's place: its keys are used twice",
            client=int(client),
            now_at=newer,
            before_at=older,
            times=self._times[client],
        )


class Pace:
    """How often each identity may do something: a token bucket per identity."""

    def __init__(self, what: str, most: int, per_second: float, now: Callable[[], float]) -> None:
        """``what`` is done, ``most`` times at once."""
        self._what = what
        self._most = float(most)
        self._per_second = per_second
        self._now = now
        self._left: dict[ClientId, tuple[float, float]] = {}

    def take(self, client: ClientId) -> None:
        """``client`` does it once more.

        Raises:
            TooOften: it has to wait.
        """
        now = self._now()
        left, since = self._left.get(client, (self._most, now))
        left = min(left + (now - since) * self._per_second, self._most)
        if left < 1.0:
            self._left[client] = left, now
            raise TooOften(f"client {client} {self._what} {self._most:g} times within seconds")
        self._left[client] = left - 1.0, now


class Allowance:
    """What each identity may send within one round."""

    def __init__(self, limits: Limits) -> None:
        self._most = TIMES * sum(limits.largest(kind) for kind in Kind if kind.from_client)
        self._messages: Counter[ClientId] = Counter()
        self._bytes: Counter[ClientId] = Counter()

    def message(self, client: ClientId) -> None:
        """A message begins.

        Raises:
            WireError: it is one too many.
        """
        self._messages[client] += 1
        if self._messages[client] > MESSAGES:
            raise WireError(f"more than {MESSAGES} messages in one round")

    def chunk(self, client: ClientId, size: int) -> None:
        """``size`` bytes of a message came.

        Raises:
            WireError: they are too many.
        """
        self._bytes[client] += size
        if self._bytes[client] > self._most:
            raise WireError(f"more than {self._most} bytes in one round")


class Inbox(asyncio.Queue[Event]):
    """Events in the order in which they happened. What decoded messages hold while they wait is
    bounded: :meth:`room` makes readers wait, and so the peers whose streams they read."""

    def __init__(self) -> None:
        super().__init__()
        self._held = 0
        self._freed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def room(self, size: int, upload: int) -> AsyncIterator[None]:
        """Wait until a message of ``size`` bytes fits; it holds its place until it is taken out, or
        until the block ends without having put it in.

        ``upload``: bytes of the round's largest message.
        """
        most = max(WAITING_BYTES, WAITING_UPLOADS * upload)
        while self._held and self._held + size > most:
            self._freed.clear()
            await self._freed.wait()
        self._held += size
        try:
            yield
        except BaseException:
            self._free(size)
            raise

    def at_hand(self) -> list[Event]:
        """What waits, taken out: ``AT_HAND_BYTES`` of messages and one at most."""
        found, size = [], 0
        while not self.empty() and size < AT_HAND_BYTES:
            event = self.get_nowait()
            size += event.size if isinstance(event, Message) else 0
            found.append(event)
        return found

    def _get(self) -> Event:
        event = super()._get()
        if isinstance(event, Message):
            self._free(event.size)
        return event

    def _free(self, size: int) -> None:
        self._held -= size
        self._freed.set()
