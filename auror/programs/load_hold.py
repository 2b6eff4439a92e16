"""Many clients that are connected and do nothing: what holding them costs."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from auror.deployment.certs import create_deployment
from auror.deployment.control_socket import granted
from auror.deployment.locks import allow_many_files
from auror.deployment.status_socket import ask
from auror.errors import ConfigError
from auror.fields import Like, Range, check_fields, default_of
from auror.params import WORKERS, RoundParams
from auror.programs.enrol import synthetic_terms
from auror.programs.load_swarm import STATE_BYTES, Swarm, most_clients, parts_of
from auror.programs.load_watch import ProgramWatch, Say
from auror.programs.loadtest import LoadTest
from auror.programs.machines import machine
from auror.programs.processes import (
    check_installed,
    free_address,
    memory_folder,
    programs,
    scratch_folder,
    terminated_cleanly,
    wait_until_listening,
)

_LOOK_SECONDS = 2.0
_PATIENCE_SECONDS = 3600
_STUCK_SECONDS = 120.0
"""Without another connection for so long, no more will come."""


@dataclass(frozen=True, kw_only=True)
class HoldTest:
    """How many to hold, and how long."""

    clients: Annotated[int, Like(LoadTest)] = default_of(LoadTest, "clients")
    hold: Annotated[float, Range(above=0)] = 30.0
    """Seconds for which all of them are held, once they are connected."""
    workers: Annotated[int, Like(LoadTest)] = WORKERS

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class HoldReport:
    """What it cost."""

    test: HoldTest
    held: int
    """Connections at once."""
    allowed: int
    """Connections that the limit on open files allows, in the server and in all clients."""
    seconds_to_connect: float
    """From the start of the clients' processes."""
    connect_cpu_seconds: float
    """Of server and clients until then, with the start of the programs."""
    server_rss_bytes: int
    swarm_rss_bytes: int
    """Of all processes of clients together."""
    server_cores: float
    """At work while they are held."""
    swarm_cores: float
    machine: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def run_hold(test: HoldTest, say: Say) -> HoldReport:
    """Connect all clients, or as many as open files allow, and hold them.

    Raises:
        UserError: a program ended with an error, or none can be held.
    """
    check_installed()
    files = allow_many_files()
    allowed = most_clients(files, test.workers)
    held = min(test.clients, allowed)
    if held < 2:
        raise ConfigError(f"{files} files may be open here: raise the limit (`ulimit -n`)")
    more = "" if held == test.clients else ": raise `ulimit -n`, or give more --workers, for more"
    say(
        f"{test.clients} clients wanted, {held} enrolled and held on as many connections; the limit"
        f" on open files allows {allowed}{more}"
    )
    with (
        terminated_cleanly(),
        scratch_folder() as folder,
        memory_folder(STATE_BYTES * test.clients, folder / "state") as state,
        programs(folder / "logs") as starter,
    ):
        terms = synthetic_terms(10, RoundParams(group_size=2, colluders=0), 1)
        create_deployment(folder / "certs", held, ["127.0.0.1"], terms)
        address = free_address()
        server = starter.server(
            {
                "server.listen": address,
                "server.health": "",
                "server.credentials": folder / "certs" / "server",
                "server.run_dir": folder / "run",
                "server.report": False,
                "session.rounds": 1,
                "session.join_timeout_s": _PATIENCE_SECONDS,
            }
        )
        wait_until_listening(address, server)
        granted(folder / "run", {"do": "pause"})  # else a round begins when all are here
        began = time.monotonic()
        folders = {"client.credentials": folder / "certs" / "clients", "client.state": state}
        parts = parts_of(range(held), test.workers, {"client.server": address})
        swarm = Swarm([part.start(starter, folders) for part in parts])
        looking = ProgramWatch(server, swarm)
        last = grown = time.monotonic()
        most, until = 0, None
        while until is None or time.monotonic() < until:
            time.sleep(max(0.0, last + _LOOK_SECONDS - time.monotonic()))
            last = time.monotonic()
            starter.check()
            live = ask(folder / "run")[1]
            looking.look(live)
            here = looking.moments[-1].connected
            if here > most:
                most, grown = here, last
            stuck = last - grown > _STUCK_SECONDS
            if until is None and (here >= held or stuck):
                connected, until, first = last - began, last + test.hold, looking.moments[-1]
            say(f"{here} of {held} connected" + ("" if until is None else ", held"))
        end = looking.moments[-1]
    seconds = max(end.seconds - first.seconds, 1e-9)
    return HoldReport(
        test=test,
        held=end.connected,
        allowed=allowed,
        seconds_to_connect=round(connected, 1),
        connect_cpu_seconds=round(first.server_cpu + sum(first.swarm_cpu), 1),
        server_rss_bytes=end.server_rss,
        swarm_rss_bytes=end.swarm_rss,
        server_cores=round((end.server_cpu - first.server_cpu) / seconds, 3),
        swarm_cores=round((sum(end.swarm_cpu) - sum(first.swarm_cpu)) / seconds, 3),
        machine=machine(),
    )


def as_text(report: HoldReport) -> str:
    """For people."""
    test, each = report.test, report.held or 1
    return "\n".join(
        [
            (
                f"{report.held} of {test.clients} clients held on as many connections for"
                f" {test.hold:g} s; the limit on open files allows {report.allowed}"
            ),
            (
                f"connected after {report.seconds_to_connect:.0f} s, for"
                f" {report.connect_cpu_seconds:.0f} CPU s of server and clients"
            ),
            (
                f"server: {report.server_rss_bytes / 1e6:.0f} MB, {report.server_cores:.2f} cores;"
                f" {report.server_rss_bytes / each / 1e3:.0f} kB a client"
            ),
            (
                f"clients: {report.swarm_rss_bytes / 1e6:.0f} MB in {test.workers} processes,"
                f" {report.swarm_cores:.2f} cores; {report.swarm_rss_bytes / each / 1e3:.0f} kB one"
            ),
        ]
    )
