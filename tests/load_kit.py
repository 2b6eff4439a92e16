"""Looks at the programs of a load test, made up."""

from __future__ import annotations

from auror.programs.load_watch import Moment


def looks(server: float, swarm: tuple[float, ...], machine: float, count: int = 4) -> list[Moment]:
    """Every second so many CPU seconds more; all but the first and last while a round is played."""
    return [
        Moment(
            float(at),
            0 < at < count - 1,
            "upload",
            7,
            at * server,
            tuple(at * one for one in swarm),
            100 + at * machine,
            10**6,
            10**6,
        )
        for at in range(count)
    ]
