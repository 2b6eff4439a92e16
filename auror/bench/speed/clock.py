"""Seconds of a piece of work: of the clock, and of this process on all cores."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

_Made = TypeVar("_Made")
_MOST_REPEATS, _ENOUGH_SECONDS = 5, 3.0


@dataclass(frozen=True, slots=True)
class TimeSpent(Generic[_Made]):
    """What the cheapest repetition took, and what the last one returned."""

    seconds: float
    """Of the clock: other programs on the machine count."""
    cpu_seconds: float
    """Of this process, all its threads: other programs hardly count."""
    made: _Made


def cheapest(work: Callable[[], _Made]) -> TimeSpent[_Made]:
    """Run ``work`` up to five times, no more once three seconds are gone; least of each clock."""
    seconds, cpu = [], []
    while True:
        started, cpu_started = time.perf_counter(), time.process_time()
        made = work()
        cpu.append(time.process_time() - cpu_started)
        seconds.append(time.perf_counter() - started)
        if len(seconds) == _MOST_REPEATS or sum(seconds) > _ENOUGH_SECONDS:
            return TimeSpent(min(seconds), min(cpu), made)
