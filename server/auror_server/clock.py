"""Time as an input: the session reads it and waits on it through this port only."""

from __future__ import annotations

import asyncio
from typing import Protocol, TypeVar

_Item = TypeVar("_Item")
_LEAST_WAIT = 0.001


class SessionClock(Protocol):
    """Seconds that never go back, and waiting on them."""

    def now(self) -> float:
        """Seconds since some fixed moment; may be called from any thread."""

    async def next(self, queue: asyncio.Queue[_Item], until: float) -> _Item | None:
        """The next item of ``queue``, or None at ``until``."""


class LoopSessionClock:
    """The running event loop's clock."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def now(self) -> float:
        return self._loop.time()

    async def next(self, queue: asyncio.Queue[_Item], until: float) -> _Item | None:
        try:
            # an item that is there already is taken, even when the time is up
            async with asyncio.timeout_at(max(until, self.now() + _LEAST_WAIT)):
                return await queue.get()
        except TimeoutError:
            return None
