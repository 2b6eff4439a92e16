"""``auror loadtest``: the real server and the real client code under many synthetic clients.

The clients write what they quantised before they masked it; the check that every opened total is
exact therefore rests on nothing that the protocol computed.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from auror.deployment.addresses import MAX_CLIENTS
from auror.deployment.certs import create_deployment
from auror.deployment.locks import allow_many_files
from auror.errors import ConfigError, UntrainedError
from auror.fields import Like, Range, check_fields, default_of
from auror.params import WORKERS, RoundParams
from auror.programs.enrol import synthetic_terms
from auror.programs.load_report import LoadReport, report_of
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

STOPPED = 6
"""Exit code of clients whose server stopped before the end."""
_STATE_BYTES = 32 << 10
"""What a client keeps on disk, in two small files, with room to spare."""
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
        check_round(self.params(), self.clients)

    def params(self) -> RoundParams:
        return RoundParams(
            group_size=self.group_size,
            colluders=self.colluders,
            quantisation_bits=self.quantisation_bits,
            dropouts=max(default_of(RoundParams, "dropouts"), min(0.5, 1.5 * self.dropout)),
            audit_probability=0.0,
        )


def open_files(test: LoadTest) -> None:
    """Raises ConfigError when fewer files may be open here than ``test`` needs."""
    # in the server a connection each; in the relay two, one of them onwards
    allow_many_files((3 if test.count_wire else 2) * test.clients)


def run_loadtest(test: LoadTest, say: Say) -> LoadReport:
    """Run ``test``; ``say`` gets a progress line at least every two seconds.

    Raises:
        UserError: a program ended with an error, or the test cannot work.
    """
    check_installed()
    open_files(test)
    with (
        scratch_folder() as folder,
        memory_folder(_STATE_BYTES * test.clients, folder / "state") as state,
    ):
        terms = synthetic_terms(test.dim, test.params(), test.rounds)
        create_deployment(folder / "certs", test.clients, ["127.0.0.1"], terms)
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
            "session.rounds": test.rounds,
            "session.join_timeout_s": _DEADLINE_SECONDS,
            "session.phase_deadline_s": _DEADLINE_SECONDS,
            "session.upload_deadline_s": _DEADLINE_SECONDS,
            "session.reconnect_grace_s": 2,
        }
    )
    wait_until_listening(address, server)
    swarm = []
    for worker, ids in enumerate(np.array_split(np.arange(test.clients), test.workers)):
        if len(ids):
            started = starter.clients(
                {
                    "client.server": door,
                    "client.credentials": folder / "certs" / "clients",
                    "client.state": state,
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
            swarm.append(started)
    return server, swarm
