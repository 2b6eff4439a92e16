"""What a round cost: time per phase, answers, bytes, CPU and memory."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from auror.cores import peak_memory
from auror.ids import ClientId
from auror.round.server.context import Phase


@dataclass
class PhaseTimes:
    """Seconds since the phase began, per answer and in all."""

    started: float
    seconds: float = 0.0
    answers: dict[ClientId, float] = field(default_factory=dict)


class RoundMeter:
    """Measures one round. ``now`` is the loop's clock, in seconds."""

    def __init__(self, now: float) -> None:
        self._started = now
        self._cpu = time.process_time()
        self._phases: dict[Phase, PhaseTimes] = {}
        self._current: PhaseTimes | None = None
        self.bytes_up = 0
        self.bytes_down = 0
        self.refused: Mapping[str, int] = {}
        """What the server refused since its start, by reason."""

    def phase(self, phase: Phase, now: float) -> None:
        self.end(now)
        self._current = self._phases[phase] = PhaseTimes(now)

    def end(self, now: float) -> None:
        """The current phase is over."""
        if self._current is not None:
            self._current.seconds = now - self._current.started
            self._current = None

    def answered(self, client: ClientId, now: float) -> None:
        if self._current is not None:
            self._current.answers.setdefault(client, now - self._current.started)

    def seconds(self, now: float) -> float:
        return now - self._started

    def line(self, index: int, now: float) -> Mapping[str, Any]:
        """What is kept of it, JSON-able."""
        return {
            "index": index,
            "seconds": round(now - self._started, 6),
            "phases": {
                phase.name.lower(): {
                    "seconds": round(times.seconds, 6),
                    "answers": [round(value, 4) for value in sorted(times.answers.values())],
                }
                for phase, times in self._phases.items()
            },
            "bytes_up": self.bytes_up,
            "bytes_down": self.bytes_down,
            "refused": dict(self.refused),
            "cpu_seconds": round(time.process_time() - self._cpu, 6),
            "cpu_seconds_total": round(time.process_time(), 6),
            "peak_rss_bytes": peak_memory(),
        }
