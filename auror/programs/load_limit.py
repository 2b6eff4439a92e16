"""What the rounds of a load test waited for: cores at work, by whom, and what that tells."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auror.programs.load_watch import Moment

_BUSY = 0.85
"""From this share of what there is on, it is what a test waits for."""
_LITTLE = 0.25
"""Up to this share of what there is, a test itself is not what keeps the cores at work."""


@dataclass(frozen=True)
class Cores:
    """How many cores were at work while rounds were played, on average."""

    server: float
    swarm: float
    busiest: float
    """Of the processes of clients."""
    others: float
    """Whatever else ran on the machines of the test."""
    all: int
    """That the test may use, on all of them."""


def cores_at_work(moments: Sequence[Moment], there_are: int) -> Cores | None:
    """While rounds were played; None where no two looks fell into one."""
    spans = [
        (before, after)
        for before, after in itertools.pairwise(moments)
        if before.playing and after.playing
    ]
    seconds = sum(after.seconds - before.seconds for before, after in spans)
    if not seconds:
        return None

    def used(cpu: Any) -> float:
        return float(sum(cpu(after) - cpu(before) for before, after in spans) / seconds)

    server, swarm = used(lambda one: one.server_cpu), used(lambda one: sum(one.swarm_cpu))
    workers = range(len(spans[0][0].swarm_cpu))
    each = [used(lambda one, at=at: one.swarm_cpu[at]) for at in workers]
    others = max(0.0, used(lambda one: one.machine_cpu) - server - swarm)
    return Cores(
        server=round(server, 2),
        swarm=round(swarm, 2),
        busiest=round(max(each, default=0.0), 2),
        others=round(others, 2),
        all=there_are,
    )


def limit_of(
    found: Cores | None, timings: Sequence[dict[str, Any]], asked: Mapping[str, str]
) -> str:
    """In words. ``asked``: faults that make clients wait, by name, as they were asked for."""
    if found is None:
        return "the rounds were too short to look at"
    shares = {"server": found.server, "clients": found.swarm, "other programs": found.others}
    each = ", ".join(f"{name} {share:.2f}" for name, share in shares.items())
    said = f"cores at work: {each} of {found.all}"
    longest = longest_phase(timings)
    waits = ", ".join(f"{name} {value}" for name, value in asked.items() if value)
    if sum(shares.values()) >= _BUSY * found.all:
        most = max(shares, key=lambda name: shares[name])
        if most != "other programs" or found.server + found.swarm > _LITTLE * found.all:
            return f"CPU, most of it taken by {most} ({said}); longest phase: {longest}"
        wanted = f"; asked for: {waits}" if waits else ""
        return (
            "other programs take the CPU: what links, delays and deadlines cost cannot be told"
            f" apart from that{wanted} ({said}); longest phase: {longest}"
        )
    if found.server >= _BUSY:
        return f"the server's one event loop ({said}); longest phase: {longest}"
    if found.busiest >= _BUSY:
        return f"a process of clients, which has one interpreter: more --workers ({said})"
    wanted = f"what was asked for ({waits}), " if waits else ""
    return f"waiting, not CPU: {wanted}links, disks, deadlines ({said}); longest phase: {longest}"


def longest_phase(timings: Sequence[dict[str, Any]]) -> str:
    """Of all rounds together."""
    spent: Counter[str] = Counter()
    for line in timings:
        spent.update({name: phase["seconds"] for name, phase in line["phases"].items()})
    return spent.most_common(1)[0][0] if spent else "none"
