"""A load test of a deployment that somebody else runs: only the clients are of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from auror.child import module_command
from auror.deployment.addresses import MAX_CLIENTS, check_address
from auror.deployment.credentials import client_folder, load_policy
from auror.deployment.locks import allow_many_files
from auror.deployment.synthetic_task import SyntheticTask
from auror.distribution import check_drawn
from auror.entry import STOPPED
from auror.errors import ConfigError, CredentialsError, DataError, UnavailableError
from auror.fields import Range, check_fields
from auror.params import WORKERS
from auror.programs.load_swarm import Swarm, faults_of, files_of, parts_of
from auror.programs.load_watch import ProgramWatch, Say
from auror.programs.machines import machine
from auror.programs.processes import (
    RunningProgram,
    check_installed,
    listens,
    programs,
    terminated_cleanly,
)

_CALLERS = tuple(
    kind.exit_code for kind in (ConfigError, CredentialsError, DataError, UnavailableError)
)
STATE = "loadtest"
"""Folder beside the credentials that gets what the clients must not forget, and their logs."""
_LOOK_SECONDS, _CONNECT_SECONDS = 2.0, 5.0


@dataclass(frozen=True, kw_only=True)
class RemoteTest:
    """Whom to connect to, as whom."""

    server: str
    """host:port of the server that runs the deployment."""
    certs: Path
    """The deployment's folder, as `auror certs` made it, with clients/000, 001, …"""
    clients: Annotated[int, Range(1, MAX_CLIENTS)] | None = None
    """How many of them to play; by default all that have a folder."""
    dataset: str = ""
    """The clients' samples, as `auror certs` was given them; by default mnist5k, synthetic ones, or
    what the task loads."""
    dropout: Annotated[float, Range(0, below=0.5)] = 0.0
    delay: str = ""
    bandwidth: str = ""
    churn: Annotated[float, Range(0, below=1)] = 0.0
    malformed: Annotated[float, Range(0, below=0.5)] = 0.0
    """Must be 0: who sends what is no message is excluded for good, and these are real members."""
    workers: Annotated[int, Range(1)] = WORKERS

    def __post_init__(self) -> None:
        check_fields(self)
        check_address("server", self.server)
        check_drawn(self)
        if self.malformed:
            raise ConfigError(
                f"malformed = {self.malformed:g}: the server would exclude real members for good,"
                " as whoever sends what no client sends; leave it out, or play the clients of a"
                " deployment that ends with the test"
            )

    def numbers(self) -> list[int]:
        """Of the clients to play.

        Raises:
            CredentialsError: there are none.
            ConfigError: there are fewer than asked for.
        """
        folder = self.certs / "clients"
        names = sorted(one.name for one in folder.glob("*") if one.name.isdigit())
        if not names:
            raise CredentialsError(
                f"{folder} holds no client's credentials: name the folder that `auror certs` made"
            )
        if self.clients is not None and self.clients > len(names):
            raise ConfigError(f"clients = {self.clients}: {folder} has {len(names)}")
        return sorted(map(int, names))[: self.clients]


@dataclass(frozen=True)
class RemoteReport:
    """What the clients saw, and what they cost. What the server did stands in its run folder."""

    test: RemoteTest
    clients: int
    seconds: float
    attempts: int
    """Client-rounds in which an update was sent, of this test and earlier ones in ``STATE``."""
    totals: int
    """… that helped to open a total."""
    endings: dict[str, int]
    """Exit code of ``auror-client`` → processes, see there."""
    said: dict[str, str]
    """Last line of the log of a process that did not end with 0."""
    swarm_cpu_seconds: float
    swarm_peak_rss_bytes: int
    machine: dict[str, Any]

    @property
    def exit_code(self) -> int:
        """0: updates of this test are in totals, and the server came to its end; else what all
        clients ended with, where that is a mistake of the caller, and 1 otherwise."""
        if self.totals and str(STOPPED) not in self.endings:
            return 0
        (code, *others) = map(int, self.endings)
        return code if not others and code in _CALLERS and not self.totals else 1

    def to_dict(self) -> dict[str, Any]:
        return json.loads(json.dumps(asdict(self), default=str))  # type: ignore[no-any-return]


def run_remote(test: RemoteTest, say: Say) -> RemoteReport:
    """Play the clients until the server says goodbye.

    Raises:
        UserError: credentials or settings cannot be used, or no client got through a round.
    """
    check_installed()
    numbers = test.numbers()
    workers = min(test.workers, len(numbers))
    allow_many_files(files_of(len(numbers), workers))
    state = test.certs / STATE
    settings = {"client.server": test.server, "client.model": "", **faults_of(test)}
    folders = {"client.credentials": test.certs / "clients", "client.state": state / "state"}
    policy = load_policy(client_folder(test.certs, numbers[0]))
    if SyntheticTask.of(policy.task) is None:
        settings["data.dataset"] = test.dataset
    elif test.dataset:
        raise ConfigError(
            f"dataset = {test.dataset} has no effect: the deployment is of a load test; leave it"
            " out"
        )
    if not listens(test.server, _CONNECT_SECONDS):
        raise UnavailableError(
            f"nobody answers at {test.server}: start auror-server there first, or name where it"
            " listens"
        )
    began = time.monotonic()
    with terminated_cleanly(), programs(state / "logs") as starter:
        swarm = [part.start(starter, folders) for part in parts_of(numbers, workers, settings)]
        watching = ProgramWatch(None, Swarm(swarm))
        while any(one.running() for one in swarm):
            watching.look(None)
            running = sum(one.running() for one in swarm)
            seen = watching.moments[-1]
            say(
                f"{running} of {workers} processes run for {seen.seconds:.0f} s:"
                f" {sum(seen.swarm_cpu):.0f} CPU s, {seen.swarm_rss / 1e6:.0f} MB"
                f"{silence_of(test.server)}"
            )
            _wait(swarm)
    say("the clients have ended; their accounts are read")
    endings = Counter(str(one.process.returncode) for one in swarm)
    accounts = _accounts(test, numbers, state / "state")
    return RemoteReport(
        test=test,
        clients=len(numbers),
        seconds=round(time.monotonic() - began, 1),
        attempts=sum(one["attempts"] for one in accounts),
        totals=sum(one["totals"] for one in accounts),
        endings=dict(endings),
        said={one.name: one.last_line() for one in swarm if one.process.returncode},
        swarm_cpu_seconds=sum(watching.moments[-1].swarm_cpu),
        swarm_peak_rss_bytes=max(one.swarm_rss for one in watching.moments),
        machine=machine(),
    )


def silence_of(server: str) -> str:
    """For the end of a line: whether nobody answers at ``server`` now."""
    return "" if listens(server, _CONNECT_SECONDS) else f"; {server}: no answer"


def _wait(swarm: list[RunningProgram]) -> None:
    """For the next look, or the end of all."""
    until = time.monotonic() + _LOOK_SECONDS
    while any(one.running() for one in swarm) and time.monotonic() < until:
        time.sleep(0.1)


def _accounts(test: RemoteTest, numbers: list[int], state: Path) -> list[dict[str, Any]]:
    """As the clients keep them (``auror-client --account``)."""
    spelled = ",".join(map(str, numbers))
    flags = {
        "client.credentials": str(test.certs / "clients"),
        "client.state": str(state),
        "swarm.clients": spelled,
    }
    words = [part for name, value in flags.items() for part in ("--set", f"{name}={value!r}")]
    done = subprocess.run(
        module_command("auror_client.cli", "--account", "--format", "json", *words),
        capture_output=True, check=False, env=os.environ.copy(),
    )  # fmt: skip
    if done.returncode:
        raise UnavailableError(done.stderr.decode(errors="replace").strip().splitlines()[-1])
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def as_text(report: RemoteReport) -> str:
    """For people."""
    endings = ", ".join(f"{code} × {times}" for code, times in sorted(report.endings.items()))
    return "\n".join(
        [
            f"{report.clients} clients against {report.test.server} for {report.seconds:.1f} s",
            f"updates sent {report.attempts}, of them in an opened total {report.totals}",
            (
                f"clients: {report.swarm_cpu_seconds:.1f} CPU s,"
                f" {report.swarm_peak_rss_bytes / 1e6:.0f} MB peak"
            ),
            f"exit codes: {endings}",
            *(f"{name}: {line}" for name, line in report.said.items()),
            "totals and phases stand in the server's run folder (`auror status`, `auror report`)",
        ]
    )
