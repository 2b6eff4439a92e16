"""Section ``round``: machines and codec of a whole round, the server's and one client's.

All clients are real and live in this process; the network, the disk and the event loop are not
there. The server's rows are of a second server that hears the same bytes again. Garbage cycles are
searched for as seldom as the programs do it.
"""

from __future__ import annotations

from collections.abc import Mapping

from auror.bench.speed.clock import TimeSpent
from auror.bench.speed.floors import FloorWork, MachineFloors
from auror.bench.speed.playing import PhaseCosts
from auror.bench.speed.rows import SpeedRow, SumSize, speed_row
from auror.bench.speed.tape import GROUP_SIZE, STATISTICS, Tape, record
from auror.deployment.allocator import seldom_search_for_cycles
from auror.experiments.progress import Reporter
from auror.round.server.context import Phase
from auror.secagg.topology import Topology


def sizes(reduced: bool) -> dict[SumSize, tuple[float, ...]]:
    """Which sizes, and the dropouts of each; wired as ``auror loadtest`` wires them."""
    wanted = ((30, 1000),) if reduced else ((250, 10_000), (1000, 10_000))
    return {SumSize.wired(n, d): (0.1,) for n, d in wanted}


def run(
    wanted: Mapping[SumSize, tuple[float, ...]], floors: MachineFloors, report: Reporter
) -> list[SpeedRow]:
    """A row per phase and side, and one for the whole round."""
    seldom_search_for_cycles()
    rows = []
    for size, dropouts in wanted.items():
        for dropout in dropouts:
            tape = record(size, dropout, report)
            server = tape.played()
            rows += _rows("server", size, dropout, server, 1, _server_work(size, tape), floors)
            client = tape.clients
            rows += _rows("client", size, dropout, client, size.n, _client_work(size), floors)
    return rows


def _rows(
    side: str,
    size: SumSize,
    dropout: float,
    costs: PhaseCosts,
    parties: int,
    work: FloorWork,
    floors: MachineFloors,
) -> list[SpeedRow]:
    """Of one of so many ``parties``."""

    def row(name: str, cpu: float, clock: float, size_bytes: int) -> SpeedRow:
        spent = TimeSpent(clock / parties, cpu / parties, None)
        name = f"{side}: {name}"
        return speed_row(name, size, dropout, spent, size_bytes // parties, work, floors)

    phases = [
        row(
            phase.name.lower().replace("_", " "),
            costs.cpu_seconds[phase],
            costs.seconds[phase],
            costs.bytes[phase],
        )
        for phase in Phase
        if phase in costs.cpu_seconds
    ]
    clocks = sum(costs.cpu_seconds.values()), sum(costs.seconds.values())
    return [*phases, row("whole round", *clocks, sum(costs.bytes.values()))]


def _server_work(size: SumSize, tape: Tape) -> FloorWork:
    """Signatures of everybody in phases 0, 1, 1b and 4 and of the committee under U3 and A; self
    masks, and a key and a mask per neighbour of a lost one."""
    topology = Topology.for_cohort(size.n, 0)
    lost = len(tape.lost)
    left = size.n - lost
    pairs = lost * size.degree * left // max(size.n - 1, 1)
    return FloorWork(
        stream_bytes=(left + pairs) * size.d * 4,
        agreements=pairs,
        verifications=3 * size.n + left + 2 * topology.quorum,
    )


def _client_work(size: SumSize) -> FloorWork:
    """Keys of the neighbours and two quorums verified; envelopes sealed and opened, masks of both
    sums."""
    topology = Topology.for_cohort(size.n, 0)
    return FloorWork(
        stream_bytes=(size.degree + 1) * size.d * 4 + GROUP_SIZE * STATISTICS * 8,
        agreements=3 * size.degree + GROUP_SIZE,
        verifications=2 * size.degree + 2 * topology.quorum,
    )
