"""When a phase of a round ends; the clock is an input."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Protocol

from auror.ids import ClientId
from auror.params import RoundParams
from auror.round.server.context import Phase

GoneSince = Callable[[ClientId], float | None]
"""When a client was lost, in seconds of the session's clock; None while it is connected."""


class Timing(Protocol):
    """The server's own settings that decide, in seconds."""

    @property
    def phase_deadline_s(self) -> float: ...

    @property
    def upload_deadline_s(self) -> float: ...

    @property
    def reconnect_grace_s(self) -> float: ...


PATIENCE_TIMES = 5.0
"""How much longer than those that a phase needs the others may take."""


class Deadlines:
    """The end of the phase in progress. All times are seconds of one clock."""

    def __init__(self, timing: Timing, params: RoundParams, gone_since: GoneSince) -> None:
        self._timing = timing
        self._params = params
        self._gone_since = gone_since
        self.phase = Phase.ADVERTISE
        self.started = 0.0
        """When it began."""
        self._deadline = 0.0
        self._overtime: int | None = None
        """Messages that were already in when the time was up and still count."""
        self._hurried = False
        """Enough have answered."""

    def enter(self, phase: Phase, now: float) -> None:
        """A phase begins."""
        upload = phase is Phase.UPLOAD
        seconds = self._timing.upload_deadline_s if upload else self._timing.phase_deadline_s
        self.phase, self.started, self._deadline = phase, now, now + seconds
        self._overtime = None
        self._hurried = False

    def enough(self, now: float) -> None:
        """As many have answered as the phase needs: the rest get the patience that the
        policy signs, or ``PATIENCE_TIMES`` as long as these took, whichever is longer."""
        if self._hurried:
            return
        self._hurried = True
        upload = self.phase is Phase.UPLOAD
        least = self._params.training_patience if upload else self._params.patience
        rest = max(least, PATIENCE_TIMES * (now - self.started))
        self._deadline = min(self._deadline, self.started + rest)

    def due(self, missing: AbstractSet[ClientId]) -> float:
        """When the phase ends unless somebody of ``missing`` answers: at its deadline, or as soon
        as all of them have been lost for the reconnect grace."""
        due = self.started
        for client in missing:
            gone = self._gone_since(client)
            if gone is None:
                return self._deadline
            # at the start of a round everybody gets the grace anew
            since = self.started if self.phase is Phase.ADVERTISE else gone
            due = max(due, since + self._timing.reconnect_grace_s)
        return min(due, self._deadline) if missing else self._deadline

    def is_over(self, missing: AbstractSet[ClientId], now: float, backlog: int) -> bool:
        """Whether the phase ends now. To be asked before each event is taken.

        ``backlog``: events that wait to be taken. What was in when the time was up is in time,
        however slow the server is; what comes later is late.
        """
        if now < self.due(missing):
            self._overtime = None
            return False
        if self._overtime is None:
            self._overtime = backlog
        if self._overtime == 0:
            return True
        self._overtime -= 1
        return False
