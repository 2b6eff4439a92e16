"""What a session is doing at the moment, for people who ask; what is over is in the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from auror.ids import ClientId
from auror.round.server.context import Phase


class SessionEnding(Enum):
    FINISHED = "finished"
    STOPPED = "stopped"


class Activity(Enum):
    STARTING = "starting"
    IDLE = "no training"
    WAITING = "waiting for clients"
    PAUSED = "paused by the operator"
    PREPARING = "preparing a round"
    PLAYING = "playing a round"
    CLOSING = "closing a round"
    RELEASING = "handing out the final model"
    ENDING = "ending"


ROUNDS = (Activity.PREPARING, Activity.PLAYING, Activity.CLOSING)
"""A round is in progress."""
OVER = (Activity.RELEASING.value, Activity.ENDING.value)
"""No further round begins."""


@dataclass(frozen=True)
class Standing:
    """A moment of a session. Times are seconds of its clock."""

    activity: Activity
    waiting_for: frozenset[ClientId] = frozenset()
    """Who is missing for it to go on at once."""
    deadline: float | None = None
    """When it goes on, or gives up, without them."""
    counter: int | None = None
    """Of the round that is played."""
    phase: Phase | None = None
    since: float | None = None
    """When the phase began."""
    enough: bool = False
    """As many have answered the phase as it needs."""

    def to_dict(
        self,
        now: float,
        connected: frozenset[ClientId],
        refused: Mapping[str, int],
        by_hand: frozenset[ClientId],
        stopping: bool,
    ) -> dict[str, Any]:
        """JSON-able; times become seconds from ``now``."""
        return {
            "activity": self.activity.value,
            "counter": self.counter,
            "phase": None if self.phase is None else self.phase.name.lower(),
            "phase_s": None if self.since is None else round(now - self.since, 3),
            "deadline_s": None if self.deadline is None else round(self.deadline - now, 3),
            "waiting_for": sorted(map(int, self.waiting_for)),
            "enough": self.enough,
            "connected": sorted(map(int, connected)),
            "refused": dict(sorted(refused.items())),
            "by_hand": sorted(map(int, by_hand)),
            "stopping": stopping,
        }


STARTING = Standing(Activity.STARTING).to_dict(0.0, frozenset(), {}, frozenset(), stopping=False)
"""Before there is a session."""
IDLE = {**STARTING, "activity": Activity.IDLE.value}
"""Between two trainings of a server that stands."""
