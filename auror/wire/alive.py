"""Which connection is alive: one over which a frame came lately, of a body or a beat."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

_T = TypeVar("_T")

BEAT_SECONDS = 4.0
"""Who has sent nothing else for so long sends a beat. Middleboxes forget connections that are idle
for a minute or more, too."""
SILENT_SECONDS = 12.0
"""A connection over which no frame came for so long is dead; a chunk takes that long at 5.5 kB/s.

gRPC's own pings do not tell a slow link from a dead one: they and their answers queue behind what
is being sent, and a timeout on them (and the one of TCP that comes with it) ends a connection whose
bytes progress. So neither end sets gRPC's keepalive.
"""
_STEPS = 3


class Silence:
    """Ends its reader with TimeoutError when nothing came for so long, a third more at most. Use as
    an async context manager, in the task that reads; or that writes, to whom nothing is taken.

    One timer a connection, not one a frame: a server has ten thousand of them. The time is counted
    in steps: a program that was busy itself for that long has a step left in which it hears what
    came meanwhile. It is counted while the reader waits, not while it works on what it read.
    """

    def __init__(self, seconds: float | None = None, what: str = "heard") -> None:
        """``seconds``: by default ``SILENT_SECONDS``; ``what``: for the error."""
        self._step = (SILENT_SECONDS if seconds is None else seconds) / _STEPS
        self._what = what
        self._left = 0
        self._waiting = self._expired = False

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("outside of a task")
        self._task, self._cancelling = task, task.cancelling()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(self._step, self._tick)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        # as asyncio.timeout does it: somebody else may have cancelled the task, too
        if self._expired and self._task.uncancel() <= self._cancelling:
            if kind is not asyncio.CancelledError:
                return
            raise TimeoutError(f"nothing {self._what} for {_STEPS * self._step:g} s") from error

    async def heard(self, reading: Awaitable[_T]) -> _T:
        """What ``reading`` yields."""
        self._left, self._waiting = _STEPS + 1, True  # the step under way has begun already
        try:
            return await reading
        finally:
            self._waiting = False

    def _tick(self) -> None:
        self._left -= self._waiting
        if self._waiting and self._left <= 0:
            self._expired = True
            self._task.cancel()
        else:
            self._timer = self._loop.call_later(self._step, self._tick)


class Beats:
    """Calls ``beat`` whenever its writer has had nothing to send for ``seconds``. Use as a context
    manager, in a running event loop. One timer a connection, as for :class:`Silence`."""

    def __init__(self, seconds: float, beat: Callable[[], None]) -> None:
        self._seconds, self._beat = seconds, beat
        self._loop = asyncio.get_running_loop()
        self._since: float | None = None
        """When it began to wait for something to send."""

    def __enter__(self) -> Self:
        self._timer = self._loop.call_later(self._seconds, self._tick)
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    async def idle(self, waiting: Awaitable[_T]) -> _T:
        """What ``waiting`` yields: the next thing to send."""
        self._since = self._loop.time()
        try:
            return await waiting
        finally:
            self._since = None

    def _tick(self) -> None:
        now, due = self._loop.time(), self._seconds
        if self._since is not None:
            due = self._since + self._seconds - now
            if due <= 0:
                self._beat()
                due = self._seconds
        self._timer = self._loop.call_later(due, self._tick)
