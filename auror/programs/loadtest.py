"""``auror loadtest``: the real server and the real client code under many synthetic clients.

The clients write what they quantised before they masked it; the check that every opened total is
exact therefore rests on nothing that the protocol computed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from auror.deployment.addresses import MAX_CLIENTS
from auror.deployment.certs import Terms, create_deployment
from auror.deployment.locks import allow_many_files
from auror.distribution import Distribution
from auror.errors import ConfigError
from auror.fields import Like, Range, check_fields, default_of
from auror.params import WORKERS, RoundParams
from auror.programs.enrol import synthetic_terms
from auror.programs.load_report import LoadReport, report_of
from auror.programs.load_swarm import (
    STATE_BYTES,
    faults_of,
    files_of,
    server_files,
    start_swarm,
)
from auror.programs.load_watch import Say, watch
from auror.programs.processes import (
    RunningProgram,
    Starter,
    check_installed,
    free_address,
    memory_folder,
    programs,
    scratch_folder,
    wait_until_listening,
)
from auror.programs.relay import CountingRelay
from auror.round.arithmetic import check_round

_DEADLINE_SECONDS = 3600
_RELABELLED = (4, 9)


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
    classes: Annotated[int, Range(0)] = 10
    """C, classes of the softmax layer whose label rows are opened and judged; 0 = numbers only, and
    nothing to judge."""
    attackers: Annotated[int, Range(0)] = 0
    """Clients that relabel their samples of class 4 as 9; whom the verdict finds is reported."""
    delay: str = ""
    """Seconds by which a client's training takes longer, drawn in every round: 2, uniform:LOW:HIGH,
    exponential:MEAN or lognormal:MEDIAN:SIGMA; by default none."""
    bandwidth: str = ""
    """Mbit/s of a client's link, up and down each, drawn once per client, as for delay; by default
    no bound."""
    churn: Annotated[float, Range(0, below=1)] = 0.0
    """Chance per client and round that its connection breaks once, and is made again."""
    malformed: Annotated[float, Range(0, below=0.5)] = 0.0
    """Chance per client and round to send something that is no message of the protocol."""
    workers: Annotated[int, Range(1)] = WORKERS
    """Processes that hold the clients."""
    count_wire: bool = False
    """Count what crosses the sockets, TLS and HTTP/2 included, by a relay between clients and
    server, which costs CPU and two more open files a client."""
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
        for name in ("delay", "bandwidth"):
            if text := getattr(self, name):
                Distribution.parse(name, text)
        if self.attackers and self.classes <= max(_RELABELLED):
            raise ConfigError(
                f"attackers = {self.attackers} relabel class 4 as 9, and there are {self.classes}"
                " classes: choose 10 or more"
            )
        if self.attackers > self.clients // 2:
            raise ConfigError(
                f"attackers = {self.attackers} of {self.clients} clients: no more than half"
            )
        self.terms()

    @property
    def lost(self) -> float:
        """Share of clients that a round loses on purpose."""
        return self.dropout + self.malformed

    @property
    def attacking(self) -> range:
        """Their numbers: those of the last clients."""
        return range(self.clients - self.attackers, self.clients)

    def terms(self) -> Terms:
        """What the operator of the test signs. Raises ConfigError when no round can be played."""
        check_round(self.params(), self.clients)
        return synthetic_terms(
            self.dim, self.params(), self.rounds, clients=self.clients, classes=self.classes
        )

    def params(self) -> RoundParams:
        return RoundParams(
            group_size=self.group_size,
            colluders=self.colluders,
            quantisation_bits=self.quantisation_bits,
            dropouts=max(default_of(RoundParams, "dropouts"), min(0.5, 1.5 * self.lost)),
            audit_probability=0.0,
        )


def open_files(test: LoadTest) -> None:
    """Raises ConfigError when fewer files may be open here than ``test`` needs."""
    relay = 2 * test.clients if test.count_wire else 0  # one of them onwards
    allow_many_files(max(server_files(test.clients), relay, files_of(test.clients, test.workers)))


def run_loadtest(test: LoadTest, say: Say) -> LoadReport:
    """Run ``test``; ``say`` gets a progress line at least every two seconds.

    Raises:
        UserError: a program ended with an error, or the test cannot work.
    """
    check_installed()
    open_files(test)
    with (
        scratch_folder() as folder,
        memory_folder(STATE_BYTES * test.clients, folder / "state") as state,
    ):
        create_deployment(folder / "certs", test.clients, ["127.0.0.1"], test.terms())
        started = time.monotonic()
        address = free_address()
        with contextlib.ExitStack() as stack:
            relay = stack.enter_context(CountingRelay(address)) if test.count_wire else None
            starter = stack.enter_context(programs(folder / "logs"))
            door = address if relay is None else relay.address
            server, swarm = _start(test, folder, state, starter, address, door)
            moments = watch(test.rounds, test.clients, folder / "run", server, swarm, say)
        say("the programs have ended; every total is compared")
        seconds = time.monotonic() - started
        wire = None if relay is None else (relay.bytes_up, relay.bytes_down)
        return report_of(test, folder / "run", folder / "inputs", seconds, moments, wire)


def _start(
    test: LoadTest, folder: Path, state: Path, starter: Starter, address: str, door: str
) -> tuple[RunningProgram, list[RunningProgram]]:
    """The server and the processes of clients. The server listens at ``address``; clients go
    through ``door``, which may count."""
    server = starter.server(
        {
            "server.listen": address,
            "server.health": "",
            "server.credentials": folder / "certs" / "server",
            "server.run_dir": folder / "run",
            "server.keep_totals": True,
            "server.report": False,
            "session.after_flag": "continue",
            "session.rounds": test.rounds,
            "session.join_timeout_s": _DEADLINE_SECONDS,
            "session.phase_deadline_s": _DEADLINE_SECONDS,
            "session.upload_deadline_s": _DEADLINE_SECONDS,
            "session.reconnect_grace_s": 2,
        }
    )
    wait_until_listening(address, server)
    settings = {
        "client.server": door,
        "client.credentials": folder / "certs" / "clients",
        "client.state": state,
        "record.inputs": folder / "inputs",
        **faults_of(test),
    }
    return server, start_swarm(
        starter, range(test.clients), test.workers, settings, lambda ids: _attack(test, ids)
    )


def _attack(test: LoadTest, ids: Sequence[int]) -> dict[str, Any]:
    here = [client for client in ids if client in test.attacking]
    if not here:
        return {}
    source, target = _RELABELLED
    return {"data.attack": f"flip:{source}:{target}", "data.malicious": f"{here[0]}-{here[-1]}"}
