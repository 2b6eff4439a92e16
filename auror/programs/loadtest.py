"""``auror loadtest``: the real server and the real client code under many synthetic clients.

The clients write what they quantised before they masked it; the check that every opened total is
exact therefore rests on nothing that the protocol computed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from auror.deployment.addresses import MAX_CLIENTS
from auror.deployment.certs import create_deployment
from auror.deployment.locks import allow_many_files
from auror.deployment.run_reader import RunReader
from auror.deployment.status_socket import ask
from auror.errors import ConfigError, UnavailableError, UntrainedError
from auror.fields import Like, Range, check_fields, default_of
from auror.params import WORKERS, RoundParams
from auror.programs.enrol import synthetic_terms
from auror.programs.processes import (
    RunningProgram,
    Starter,
    check_installed,
    free_address,
    programs,
    scratch_folder,
    wait_until_listening,
)
from auror.programs.relay import CountingRelay
from auror.round.arithmetic import check_round

Say = Callable[[str], None]
STOPPED = 6
"""Exit code of clients whose server stopped before the end."""
_POLL_SECONDS = 0.25
_SAY_SECONDS = 2.0
_FAREWELL_SECONDS = 10.0
_DEADLINE_SECONDS = 3600


@dataclass(frozen=True, kw_only=True)
class LoadTest:
    """What to run."""

    clients: Annotated[int, Range(2, MAX_CLIENTS)] = 200
    """n, simulated clients."""
    dim: Annotated[int, Range(1)] = 10_000
    """d, entries of an update."""
    dropout: Annotated[float, Range(0, below=0.5)] = 0.1
    """Chance per client and round to vanish, before or after the upload."""
    rounds: Annotated[int, Range(1)] = 3
    """Rounds to run."""
    workers: Annotated[int, Range(1)] = WORKERS
    """Processes that hold the clients."""
    group_size: Annotated[int, Like(RoundParams)] = default_of(RoundParams, "group_size")
    colluders: Annotated[int, Like(RoundParams)] = 0
    quantisation_bits: Annotated[int, Like(RoundParams)] = default_of(
        RoundParams, "quantisation_bits"
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if self.workers > self.clients:
            raise ConfigError(
                f"workers = {self.workers} of {self.clients} clients: choose 1 … {self.clients}"
            )
        check_round(self.params(), self.clients)

    def params(self) -> RoundParams:
        return RoundParams(
            group_size=self.group_size,
            colluders=self.colluders,
            quantisation_bits=self.quantisation_bits,
            dropouts=max(default_of(RoundParams, "dropouts"), min(0.5, 1.5 * self.dropout)),
            audit_probability=0.0,
        )


@dataclass(frozen=True)
class PhaseFigures:
    """Seconds from the start of a phase to a client's answer, over clients and rounds."""

    p50: float
    p95: float
    longest: float
    """Of the phase as a whole."""


@dataclass(frozen=True)
class LoadReport:
    """What it cost, and whether every total was right."""

    test: LoadTest
    rounds_finished: int
    rounds_aborted: int
    exact: bool
    """Every opened total equals the plain sum of the accepted clients' quantised updates."""
    seconds: float
    seconds_per_round: float
    phases: dict[str, PhaseFigures]
    bytes_up: int
    bytes_down: int
    """Message bodies and frames, over all rounds."""
    wire_up: int
    wire_down: int
    """Everything that crossed the sockets: TLS, HTTP/2, gRPC and connecting included."""
    upload_expansion: float
    """``wire_up`` per client and round, over d entries of b bits."""
    server_cpu_seconds: float
    server_peak_rss_bytes: int
    dropped: int
    """Client-rounds that were lost."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def open_files(test: LoadTest) -> None:
    """Raises ConfigError when fewer files may be open here than ``test`` needs."""
    allow_many_files(3 * test.clients)  # a connection of each to the relay, and on to the server


def run_loadtest(test: LoadTest, say: Say) -> LoadReport:
    """Run ``test``; ``say`` gets a progress line at least every two seconds.

    Raises:
        UserError: a program ended with an error, or the test cannot work.
    """
    check_installed()
    open_files(test)
    with scratch_folder() as folder:
        terms = synthetic_terms(test.dim, test.params(), test.rounds)
        create_deployment(folder / "certs", test.clients, ["127.0.0.1"], terms)
        started = time.monotonic()
        address = free_address()
        with CountingRelay(address) as relay, programs(folder / "logs") as starter:
            _start(test, folder, starter, address, relay.address)
            _watch(test, folder, starter, say)
        return _report(test, folder, time.monotonic() - started, relay)


def _start(test: LoadTest, folder: Path, starter: Starter, address: str, door: str) -> None:
    """The server listens at ``address``; clients go through ``door``, which counts."""
    server = starter.server(
        {
            "server.listen": address,
            "server.health": "",
            "server.credentials": folder / "certs" / "server",
            "server.run_dir": folder / "run",
            "server.keep_totals": True,
            "server.report": False,
            "session.rounds": test.rounds,
            "session.join_timeout_s": _DEADLINE_SECONDS,
            "session.phase_deadline_s": _DEADLINE_SECONDS,
            "session.upload_deadline_s": _DEADLINE_SECONDS,
            "session.reconnect_grace_s": 2,
        }
    )
    wait_until_listening(address, server)
    for worker, ids in enumerate(np.array_split(np.arange(test.clients), test.workers)):
        if len(ids):
            starter.clients(
                {
                    "client.server": door,
                    "client.credentials": folder / "certs" / "clients",
                    "client.state": folder / "state",
                    "client.threads": 1,
                    "client.quiet": True,
                    # who vanished on purpose is ended by _end, not by its own patience
                    "client.give_up_after_s": _DEADLINE_SECONDS,
                    "data.dataset": "synthetic",
                    "swarm.clients": f"{ids[0]}-{ids[-1]}",
                    "record.inputs": folder / "inputs",
                    "faults.dropout": test.dropout,
                },
                f"clients-{worker}",
                # a server that stops says why itself; and all clients of a process may have
                # vanished on purpose in every round
                fine=(0, STOPPED, *((UntrainedError.exit_code,) if test.dropout else ())),
            )


def _watch(test: LoadTest, folder: Path, starter: Starter, say: Say) -> None:
    """Until the server has ended well, and the clients after it."""
    server, *clients = starter.started
    said, shown, reader = 0.0, 0, RunReader(folder / "run")
    while server.running():
        starter.check()
        rounds = reader.rounds()
        for line in rounds[shown:]:
            say(_fate(test, rounds[: line["index"] + 1]))
            said = time.monotonic()
        shown = len(rounds)
        if time.monotonic() - said >= _SAY_SECONDS:
            said = time.monotonic()
            say(_moment(test, folder / "run", _done(rounds)))
        time.sleep(_POLL_SECONDS)
    rounds = reader.rounds()
    for line in rounds[shown:]:
        say(_fate(test, rounds[: line["index"] + 1]))
    starter.check()
    _end(clients)


def _done(rounds: Sequence[dict[str, Any]]) -> int:
    return sum(line["aborted"] is None for line in rounds)


def _fate(test: LoadTest, rounds: Sequence[dict[str, Any]]) -> str:
    """Of the last of ``rounds``."""
    last = rounds[-1]
    if last["aborted"]:
        return f"a round was aborted after {last['seconds']:.1f} s: {last['aborted']}"
    done, accepted = _done(rounds), len(last["accepted"])
    return f"round {done} of {test.rounds} done: {accepted} accepted, {last['seconds']:.1f} s"


def _end(clients: Sequence[RunningProgram]) -> None:
    """The server is gone, so the test is over: who had vanished on purpose and found nobody to
    come back to is no failure."""
    until = time.monotonic() + _FAREWELL_SECONDS
    while any(one.running() for one in clients) and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
    late = [one for one in clients if one.running()]
    for one in late:
        one.stop()
    for one in clients:
        if one not in late:
            one.check()


def _moment(test: LoadTest, run: Path, done: int) -> str:
    """What the server says that it is doing."""
    _presence, live = ask(run)
    if live is None:
        return "the server starts"
    doing, here = live["activity"], len(live["connected"])
    if live["phase"] is None:
        return f"{doing}, {here} of {test.clients} connected"
    return (
        f"round {done + 1} of {test.rounds}: {live['phase']} for {live['phase_s']:.0f} s,"
        f" waiting for {len(live['waiting_for'])}, {here} connected"
    )


def _report(test: LoadTest, folder: Path, seconds: float, relay: CountingRelay) -> LoadReport:
    reader = RunReader(folder / "run")
    rounds, timings = reader.rounds(), reader.timings()
    if not timings:
        raise UnavailableError("the load test ended without a round; see the server's log")
    finished = [line for line in rounds if line["aborted"] is None]
    exact = bool(finished) and all(_exact(reader, folder / "inputs", line) for line in finished)
    return LoadReport(
        test=test,
        rounds_finished=len(finished),
        rounds_aborted=len(rounds) - len(finished),
        exact=exact,
        seconds=seconds,
        seconds_per_round=float(np.mean([line["seconds"] for line in timings])),
        phases=_phases(timings),
        bytes_up=sum(line["bytes_up"] for line in timings),
        bytes_down=sum(line["bytes_down"] for line in timings),
        wire_up=relay.bytes_up,
        wire_down=relay.bytes_down,
        upload_expansion=relay.bytes_up
        / (test.clients * len(rounds) * test.dim * test.quantisation_bits / 8),
        server_cpu_seconds=timings[-1]["cpu_seconds_total"],
        server_peak_rss_bytes=max(line["peak_rss_bytes"] for line in timings),
        dropped=sum(len(line["dropped"]) for line in rounds),
    )


def _exact(reader: RunReader, inputs: Path, line: dict[str, Any]) -> bool:
    """Bit for bit: the server's total against the plain sum of what the clients quantised."""
    counter = line["round_id"]["counter"]
    total = reader.total(line["index"])
    plain = np.zeros_like(total)
    for client in line["accepted"]:
        values = np.load(inputs / f"{counter}-{client}.npy", allow_pickle=False)
        plain += values.astype(plain.dtype)
    return bool(np.array_equal(total, plain))


def _phases(timings: Sequence[dict[str, Any]]) -> dict[str, PhaseFigures]:
    found: dict[str, PhaseFigures] = {}
    for name in dict.fromkeys(name for line in timings for name in line["phases"]):
        phases = [line["phases"][name] for line in timings if name in line["phases"]]
        answers = [answer for phase in phases for answer in phase["answers"]] or [0.0]
        p50, p95 = np.percentile(answers, [50, 95])
        longest = max(phase["seconds"] for phase in phases)
        found[name] = PhaseFigures(round(float(p50), 4), round(float(p95), 4), longest)
    return found


def as_text(report: LoadReport) -> str:
    """The report for people."""
    test = report.test
    lines = [
        (
            f"{test.clients} clients, {test.dim} entries, dropout {test.dropout:g}:"
            f" {report.rounds_finished} rounds, {report.rounds_aborted} aborted,"
            f" {report.dropped} client-rounds lost"
        ),
        f"{report.seconds_per_round:.1f} s a round, {report.seconds:.1f} s in all",
        f"{'phase':<16}{'p50 s':>9}{'p95 s':>9}{'whole s':>9}",
        *(
            f"{name:<16}{figures.p50:>9.3f}{figures.p95:>9.3f}{figures.longest:>9.3f}"
            for name, figures in report.phases.items()
        ),
        f"messages: up {report.bytes_up / 1e6:.1f} MB, down {report.bytes_down / 1e6:.1f} MB",
        (
            f"on the wire: up {report.wire_up / 1e6:.1f} MB, down {report.wire_down / 1e6:.1f} MB;"
            f" upload expansion {report.upload_expansion:.3f}"
        ),
        (
            f"server: {report.server_cpu_seconds:.1f} CPU s,"
            f" {report.server_peak_rss_bytes / 1e6:.0f} MB peak"
        ),
        f"every total exact: {'yes' if report.exact else 'NO'}",
    ]
    return "\n".join(lines)
