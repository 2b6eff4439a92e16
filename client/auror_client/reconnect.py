"""When a client without a connection tries again, and when it gives up; the clock is an input."""

from __future__ import annotations

from collections.abc import Callable

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 8.0
"""Seconds, before the spread of half to one and a half: who has a link again is back in 12 s."""


class Reconnection:
    """Exponential back-off from the last contact. All times are seconds of one clock."""

    def __init__(self, give_up_after: float, now: float, spread: Callable[[], float]) -> None:
        """``spread``: a fresh number in [0, 1) per pause. Many clients that lost one server must
        not return as one."""
        self._give_up_after = give_up_after
        self._spread = spread
        self._contact = now
        self._pause = FIRST_PAUSE

    def heard(self) -> None:
        """The server has something to say: the next pause is the shortest. A handshake alone is
        not enough, or a server that hangs up after it would be tried four times a second."""
        self._pause = FIRST_PAUSE

    def lost(self, now: float) -> None:
        """The connection is gone; until now there was one."""
        self._contact = now

    def silent(self, now: float) -> float:
        """Seconds since there was a connection, or since the start."""
        return now - self._contact

    def pause(self, now: float) -> float | None:
        """Seconds to wait before the next attempt; None: give up."""
        if self.silent(now) > self._give_up_after:
            return None
        pause = self._pause * (0.5 + self._spread())
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        return pause
