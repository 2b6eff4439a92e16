"""What a load test found: whether every total was right, what it cost, and what it waited for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from auror.deployment.run_reader import RunReader
from auror.errors import UnavailableError
from auror.programs.load_counts import ClientRounds, count_client_rounds
from auror.programs.load_limit import Cores, cores_at_work, limit_of
from auror.programs.load_swarm import INPUTS, Swarm
from auror.programs.load_watch import Moment, Watched
from auror.programs.machines import machine
from auror.report.status import RunStatus, run_status

if TYPE_CHECKING:
    from auror.programs.loadtest import LoadTest

_PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True)
class PhaseFigures:
    """Seconds from the start of a phase to a client's answer, over clients and rounds."""

    p50: float
    p90: float
    p95: float
    p99: float
    longest: float
    """Of the phase as a whole."""


@dataclass(frozen=True)
class Found:
    """What the verdict made of the clients, whose roles only the test knows."""

    flagged: tuple[int, ...]
    """Excluded for good."""
    suspected: tuple[int, ...]
    """Accused by the last verdict, not confirmed by enough rounds."""
    found: int
    """Attackers among the flagged."""
    missed: int
    falsely: int
    """Honest ones among the flagged."""


@dataclass(frozen=True)
class LoadReport:
    """What it cost, and whether every total was right."""

    test: LoadTest
    rounds_finished: int
    rounds_aborted: int
    gave_up: str
    """Why the server ended before all rounds had a total; "" where it did not."""
    exact: bool | None
    """Every compared total equals the plain sum of the accepted clients' quantised updates; None
    where none was compared."""
    uncompared: int
    """Totals of clients of whom one's record was lost with its host."""
    lost: tuple[str, ...]
    """Hosts of clients that were lost, and why: workers of a cluster."""
    seconds: float
    """With making the deployment, starting the programs and connecting."""
    seconds_per_round: float
    phases: dict[str, PhaseFigures]
    bytes_up: int
    bytes_down: int
    """Message bodies and frames, over all rounds."""
    wire_up: int | None
    wire_down: int | None
    """Everything that crossed the sockets: TLS, HTTP/2, gRPC and connecting included; None where
    nobody counted (``count_wire``)."""
    upload_expansion: float | None
    """``wire_up`` per client and round, over d entries of b bits."""
    client_rounds_per_second: float
    """Clients in a total, over the seconds of all rounds."""
    server_cpu_seconds: float
    """With its start."""
    server_cpu_per_round: float
    server_peak_rss_bytes: int
    swarm_cpu_seconds: float
    """Of all processes of clients, with their start."""
    swarm_cpu_per_round: float
    swarm_peak_rss_bytes: int
    """Of all of them together."""
    cores: Cores | None
    """None where no look fell into a round."""
    limit: str
    """What the rounds waited for, in words."""
    dropped: int
    """Client-rounds that a client left before their end, in all rounds."""
    reasons: dict[str, int]
    """Why: ``DropReason`` and, of those who withdrew, ``Refusal``."""
    client_rounds: ClientRounds
    """Of the rounds with a total: what became of every client in each."""
    excluded: tuple[int, ...]
    """Clients that the server excluded for good for their conduct."""
    refused: dict[str, int]
    """What the server refused at its door or in a stream, by reason."""
    aborted: dict[str, int]
    """Why rounds ended without a total."""
    verdict: Found | None
    """None where nothing was opened that could be judged."""
    machine: dict[str, Any]
    moments: tuple[Moment, ...]
    """At most two seconds apart."""

    @property
    def passed(self) -> bool:
        """All rounds had a total, and every one was compared and right."""
        complete = self.rounds_finished == self.test.rounds
        return complete and self.exact is True and not self.uncompared

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def report_of(
    test: LoadTest,
    folder: Path,
    seconds: float,
    watched: Watched,
    swarm: Swarm,
    wire: tuple[int, int] | None,
) -> LoadReport:
    """``folder``: of the test, with the server's run and what the clients quantised; ``wire``:
    bytes up and down, where they were counted.

    Raises:
        UnavailableError: no round was played.
    """
    run, inputs = folder / "run", folder / INPUTS
    reader, moments = RunReader(run), watched.moments
    rounds, timings = reader.rounds(), reader.timings()
    if not timings:
        raise UnavailableError("the load test ended without a round; see the server's log")
    finished = [line for line in rounds if line["aborted"] is None]
    played = sum(line["seconds"] for line in timings)
    plain = test.clients * len(rounds) * test.dim * test.quantisation_bits / 8
    machines, status = swarm.machines(), run_status(run)
    at_work = cores_at_work(moments, sum(use.cores for use in machines.values()))
    cpu = [sum(one.swarm_cpu) for one in moments] or [0.0]
    compared = [_exact(reader, inputs, line) for line in finished]
    known = [right for right in compared if right is not None]
    return LoadReport(
        test=test,
        rounds_finished=len(finished),
        rounds_aborted=len(rounds) - len(finished),
        gave_up=watched.gave_up,
        exact=all(known) if known else None,
        uncompared=len(compared) - len(known),
        lost=tuple(swarm.lost),
        seconds=round(seconds, 3),
        seconds_per_round=played / len(timings),
        phases=_phases(timings),
        bytes_up=sum(line["bytes_up"] for line in timings),
        bytes_down=sum(line["bytes_down"] for line in timings),
        wire_up=None if wire is None else wire[0],
        wire_down=None if wire is None else wire[1],
        upload_expansion=None if wire is None else wire[0] / plain,
        client_rounds_per_second=sum(len(line["accepted"]) for line in finished) / played,
        server_cpu_seconds=timings[-1]["cpu_seconds_total"],
        server_cpu_per_round=sum(line["cpu_seconds"] for line in timings) / len(timings),
        server_peak_rss_bytes=max(line["peak_rss_bytes"] for line in timings),
        swarm_cpu_seconds=cpu[-1],
        swarm_cpu_per_round=(cpu[-1] - _before_rounds(moments)) / len(timings),
        swarm_peak_rss_bytes=max((one.swarm_rss for one in moments), default=0),
        cores=at_work,
        limit=limit_of(at_work, timings, {"delay": test.delay, "bandwidth": test.bandwidth}),
        dropped=sum(len(line["dropped"]) for line in rounds),
        reasons=_reasons(rounds),
        client_rounds=count_client_rounds(rounds, test.clients),
        excluded=status.excluded,
        refused=dict(timings[-1]["refused"]),
        aborted=dict(Counter(line["aborted"] for line in rounds if line["aborted"])),
        verdict=_found(test, status) if test.classes else None,
        machine={**machine(), "machines": len(machines)},
        moments=tuple(moments),
    )


def _exact(reader: RunReader, inputs: Path, line: dict[str, Any]) -> bool | None:
    """Bit for bit: the server's total against the plain sum of what the clients quantised. None
    where that is not known of one of them."""
    counter = line["round_id"]["counter"]
    total = reader.total(line["index"])
    plain = np.zeros_like(total)
    for client in line["accepted"]:
        record = inputs / f"{counter}-{client}.npy"
        if not record.exists():
            return None
        plain += np.load(record, allow_pickle=False)
    return bool(np.array_equal(total, plain))


def _found(test: LoadTest, status: RunStatus) -> Found:
    attacking = set(test.attacking)
    flagged = set(status.flagged)
    return Found(
        flagged=tuple(sorted(flagged)),
        suspected=tuple(sorted(status.suspected)),
        found=len(flagged & attacking),
        missed=len(attacking - flagged),
        falsely=len(flagged - attacking),
    )


def _phases(timings: Sequence[dict[str, Any]]) -> dict[str, PhaseFigures]:
    found: dict[str, PhaseFigures] = {}
    for name in dict.fromkeys(name for line in timings for name in line["phases"]):
        phases = [line["phases"][name] for line in timings if name in line["phases"]]
        answers = [answer for phase in phases for answer in phase["answers"]] or [0.0]
        p50, p90, p95, p99 = (round(float(v), 4) for v in np.percentile(answers, _PERCENTILES))
        longest = max(phase["seconds"] for phase in phases)
        found[name] = PhaseFigures(p50, p90, p95, p99, longest)
    return found


def _reasons(rounds: Sequence[dict[str, Any]]) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for line in rounds:
        withdrawn = line["withdrawn"]
        counted.update(withdrawn.get(client, why) for client, why in line["dropped"].items())
    return dict(counted.most_common())


def _before_rounds(moments: Sequence[Moment]) -> float:
    """CPU seconds of the swarm when the first round began, or a quarter of a second later."""
    return next((sum(one.swarm_cpu) for one in moments if one.playing), 0.0)
