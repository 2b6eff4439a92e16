"""What a load test found: whether every total was right, what it cost, and what it waited for."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from auror.deployment.run_reader import RunReader
from auror.errors import UnavailableError
from auror.programs.load_watch import Moment, cores, machine
from auror.report.status import run_status

if TYPE_CHECKING:
    from auror.programs.loadtest import LoadTest

_PERCENTILES = (50, 90, 95, 99)
_BUSY = 0.85
"""From this share of what there is on, it is what a test waits for."""


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
class Cores:
    """How many cores were at work while rounds were played, on average."""

    server: float
    swarm: float
    busiest: float
    """Of the processes of clients."""
    others: float
    """Whatever else ran on this machine."""
    all: int
    """That the test may use."""


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
    exact: bool
    """Every opened total equals the plain sum of the accepted clients' quantised updates."""
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
    """Client-rounds that were lost."""
    reasons: dict[str, int]
    """Why: ``DropReason`` and, of those who withdrew, ``Refusal``."""
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
        """All rounds had a total, and every one was right."""
        return self.exact and self.rounds_finished == self.test.rounds

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def report_of(
    test: LoadTest,
    run: Path,
    inputs: Path,
    seconds: float,
    moments: Sequence[Moment],
    wire: tuple[int, int] | None,
) -> LoadReport:
    """``run``: the server's folder; ``inputs``: what the clients quantised; ``wire``: bytes up and
    down, where they were counted.

    Raises:
        UnavailableError: no round was played.
    """
    reader = RunReader(run)
    rounds, timings = reader.rounds(), reader.timings()
    if not timings:
        raise UnavailableError("the load test ended without a round; see the server's log")
    finished = [line for line in rounds if line["aborted"] is None]
    played = sum(line["seconds"] for line in timings)
    plain = test.clients * len(rounds) * test.dim * test.quantisation_bits / 8
    at_work = _cores(moments)
    swarm = [sum(one.swarm_cpu) for one in moments] or [0.0]
    return LoadReport(
        test=test,
        rounds_finished=len(finished),
        rounds_aborted=len(rounds) - len(finished),
        exact=bool(finished) and all(_exact(reader, inputs, line) for line in finished),
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
        swarm_cpu_seconds=swarm[-1],
        swarm_cpu_per_round=(swarm[-1] - _before_rounds(moments)) / len(timings),
        swarm_peak_rss_bytes=max((one.swarm_rss for one in moments), default=0),
        cores=at_work,
        limit=_limit(at_work, timings),
        dropped=sum(len(line["dropped"]) for line in rounds),
        reasons=_reasons(rounds),
        refused=dict(timings[-1]["refused"]),
        aborted=dict(Counter(line["aborted"] for line in rounds if line["aborted"])),
        verdict=_found(test, run) if test.classes else None,
        machine=machine(),
        moments=tuple(moments),
    )


def _exact(reader: RunReader, inputs: Path, line: dict[str, Any]) -> bool:
    """Bit for bit: the server's total against the plain sum of what the clients quantised."""
    counter = line["round_id"]["counter"]
    total = reader.total(line["index"])
    plain = np.zeros_like(total)
    for client in line["accepted"]:
        plain += np.load(inputs / f"{counter}-{client}.npy", allow_pickle=False)
    return bool(np.array_equal(total, plain))


def _found(test: LoadTest, run: Path) -> Found:
    status, attacking = run_status(run), set(test.attacking)
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
    """CPU seconds of the swarm when the first round began, or little later."""
    return next((sum(one.swarm_cpu) for one in moments if one.playing), 0.0)


def _cores(moments: Sequence[Moment]) -> Cores | None:
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
        all=cores(),
    )


def _limit(found: Cores | None, timings: Sequence[dict[str, Any]]) -> str:
    if found is None:
        return "the rounds were too short to look at"
    shares = {"server": found.server, "clients": found.swarm, "other programs": found.others}
    each = ", ".join(f"{name} {share:.2f}" for name, share in shares.items())
    said = f"cores at work: {each} of {found.all}"
    longest = _longest(timings)
    if sum(shares.values()) >= _BUSY * found.all:
        most = max(shares, key=lambda name: shares[name])
        return f"CPU, most of it taken by {most} ({said}); longest phase: {longest}"
    if found.server >= _BUSY:
        return f"the server's one event loop ({said}); longest phase: {longest}"
    if found.busiest >= _BUSY:
        return f"a process of clients, which has one interpreter: more --workers ({said})"
    return f"waiting, not CPU: links, disks, deadlines ({said}); longest phase: {longest}"


def _longest(timings: Sequence[dict[str, Any]]) -> str:
    spent: Counter[str] = Counter()
    for line in timings:
        spent.update({name: phase["seconds"] for name, phase in line["phases"].items()})
    return spent.most_common(1)[0][0] if spent else "none"


def as_text(report: LoadReport) -> str:
    """The report for people."""
    return "\n".join(_lines(report))


def _lines(report: LoadReport) -> Iterator[str]:
    test = report.test
    yield (
        f"{test.clients} clients, {test.dim} entries, dropout {test.dropout:g}:"
        f" {report.rounds_finished} rounds,"
        f" {report.rounds_aborted} aborted{_counted(report.aborted)},"
        f" {report.dropped} client-rounds lost{_counted(report.reasons)}"
    )
    yield (
        f"{report.seconds_per_round:.1f} s a round, {report.seconds:.1f} s in all;"
        f" {report.client_rounds_per_second:.1f} clients a second"
    )
    yield f"{'phase':<16}{'p50 s':>9}{'p90 s':>9}{'p95 s':>9}{'p99 s':>9}{'whole s':>9}"
    for name, one in report.phases.items():
        values = (one.p50, one.p90, one.p95, one.p99, one.longest)
        yield f"{name:<16}" + "".join(f"{value:>9.3f}" for value in values)
    yield f"messages: up {report.bytes_up / 1e6:.1f} MB, down {report.bytes_down / 1e6:.1f} MB"
    if report.wire_up is not None and report.wire_down is not None:
        yield (
            f"on the wire: up {report.wire_up / 1e6:.1f} MB, down {report.wire_down / 1e6:.1f} MB;"
            f" upload expansion {report.upload_expansion:.3f}"
        )
    yield (
        f"server: {report.server_cpu_per_round:.1f} CPU s a round,"
        f" {report.server_peak_rss_bytes / 1e6:.0f} MB peak"
    )
    yield (
        f"clients: {report.swarm_cpu_per_round:.1f} CPU s a round,"
        f" {report.swarm_peak_rss_bytes / 1e6:.0f} MB peak in {test.workers} processes"
    )
    yield f"limit: {report.limit}"
    if report.verdict is not None:
        judged = report.verdict
        yield (
            f"verdict: {judged.found} of {test.attackers} attackers flagged, {judged.falsely}"
            f" honest ones flagged, {len(judged.suspected)} suspected"
        )
    if report.refused:
        yield f"refused{_counted(report.refused)}"
    if report.rounds_finished < test.rounds:
        yield f"NOT FINISHED: {report.rounds_finished} of {test.rounds} rounds had a total"
    yield f"every total exact: {'yes' if report.exact else 'NO'}"


def _counted(reasons: Mapping[str, int]) -> str:
    if not reasons:
        return ""
    return f" ({', '.join(f'{why} {times}' for why, times in reasons.items())})"
