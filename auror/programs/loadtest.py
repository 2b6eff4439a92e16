"""``auror loadtest``: the real server and the real client code under many synthetic clients.

The clients write what they quantised before they masked it; the check that every opened total is
exact therefore rests on nothing that the protocol computed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from auror.deployment.addresses import MAX_CLIENTS, check_host
from auror.deployment.certs import Terms, create_deployment
from auror.deployment.locks import allow_many_files
from auror.distribution import check_drawn
from auror.errors import ConfigError
from auror.experiments.engine import cores_of, ray_cluster
from auror.fields import Like, Range, check_fields, default_of
from auror.params import MAX_DIM, WORKERS, RoundParams
from auror.programs.enrol import synthetic_terms
from auror.programs.load_ray import node_address, swarm_on_ray
from auror.programs.load_report import LoadReport, report_of
from auror.programs.load_swarm import (
    INPUTS,
    STATE_BYTES,
    Part,
    Swarm,
    faults_of,
    files_of,
    parts_of,
    server_files,
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
    terminated_cleanly,
    wait_until_listening,
)
from auror.programs.relay import CountingRelay
from auror.round.arithmetic import check_round

_DEADLINE_SECONDS = 3600
_HERE, _ALL = "127.0.0.1", "0.0.0.0"  # noqa: S104 - TLS of both sides, as long as a test lasts
_RELABELLED = (4, 9)


@dataclass(frozen=True, kw_only=True)
class LoadTest:
    """What to run."""

    clients: Annotated[int, Range(2, MAX_CLIENTS)] = 200
    """n, simulated clients."""
    dim: Annotated[int, Range(1, MAX_DIM)] = 10_000
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
    """Mbit/s of a client's link, up and down each, drawn once per client, as for delay, 0.1 at
    least; by default no bound."""
    churn: Annotated[float, Range(0, below=1)] = 0.0
    """Chance per client and round that its connection breaks once, and is made again."""
    malformed: Annotated[float, Range(0, below=0.5)] = 0.0
    """Chance per client and round to send something that is no message of the protocol; the server
    excludes for good who does."""
    workers: Annotated[int, Range(1)] | None = None
    """Processes that hold the clients, on Ray an actor each; by default 2, and on Ray one for each
    core of the cluster."""
    engine: Literal["local", "ray"] = "local"
    """Where the clients run: processes of this machine, or actors on the nodes of a Ray cluster."""
    address: str = ""
    """Of the Ray cluster, as host:port; by default RAY_ADDRESS, or the one of this machine."""
    host: str = ""
    """Name or address of this machine under which the cluster's nodes reach the server; by default
    the one that Ray knows."""
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
        for name in ("address", "host"):
            if (value := getattr(self, name)) and self.engine != "ray":
                raise ConfigError(
                    f"{name} = {value} has no effect without engine = ray: leave it out"
                )
        if self.host:
            check_host("host", self.host)
            if ":" in self.host:
                raise ConfigError(f"host = {self.host}: give a name, or an IPv4 address")
        if self.workers is not None and self.workers > self.clients:
            raise ConfigError(
                f"workers = {self.workers} of {self.clients} clients: choose 1 … {self.clients}"
            )
        check_drawn(self)
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
    swarm = 0 if test.engine == "ray" else files_of(test.clients, _workers(test))
    allow_many_files(max(server_files(test.clients), relay, swarm))


def _workers(test: LoadTest) -> int:
    return test.workers or WORKERS


def on_cluster(test: LoadTest, ray: Any) -> LoadTest:
    """``test`` with the actors and the address that it leaves to the cluster.

    Raises:
        ConfigError: more actors than cores are asked for.
    """
    there_are = cores_of(ray)
    if (test.workers or 0) > there_are:
        raise ConfigError(f"workers = {test.workers}: the cluster has {there_are} cores")
    workers = test.workers or min(there_are, test.clients)
    return replace(test, workers=workers, host=test.host or node_address(ray))


def check_cluster(test: LoadTest) -> str:
    """What the cluster would play, in words.

    Raises:
        UserError: Ray is not installed, no cluster answers, or it has too few cores.
    """
    with ray_cluster(test.address or None) as ray:
        found = on_cluster(test, ray)
        return (
            f"{found.workers} actors on a Ray cluster of {cores_of(ray)} cores; its nodes connect"
            f" to {found.host}"
        )


def run_loadtest(test: LoadTest, say: Say) -> LoadReport:
    """Run ``test``; ``say`` gets a progress line at least every two seconds.

    Raises:
        UserError: a program ended with an error, or the test cannot work.
    """
    check_installed()
    open_files(test)
    with contextlib.ExitStack() as around:
        ray, listen = None, _HERE
        if test.engine == "local":
            test = replace(test, workers=_workers(test))
        else:
            ray = around.enter_context(ray_cluster(test.address or None))
            asked, test = test, on_cluster(test, ray)
            # a name may stand for several of this machine's addresses, or for another one
            listen = _ALL if asked.host else test.host
        around.enter_context(terminated_cleanly())  # after Ray, which has a handler of its own
        folder = around.enter_context(scratch_folder())
        policy = create_deployment(
            folder / "certs", test.clients, [test.host or _HERE], test.terms()
        )
        started, fewest = time.monotonic(), policy.fewest_present(False)
        with contextlib.ExitStack() as stack:
            starter = stack.enter_context(programs(folder / "logs"))
            server, port = _start_server(
                test, folder, starter, _HERE if test.count_wire else listen
            )
            relay = None
            if test.count_wire:
                relay = stack.enter_context(CountingRelay(f"{_HERE}:{port}", listen))
                port = relay.port
            parts = _parts(test, f"{test.host or _HERE}:{port}")
            swarm = stack.enter_context(
                _here(test, parts, folder, starter)
                if ray is None
                else swarm_on_ray(ray, parts, folder, fewest, say)
            )
            watched = watch(test.rounds, test.clients, folder / "run", server, swarm, fewest, say)
        say("the programs have ended; every total is compared")
        seconds = time.monotonic() - started
        wire = None if relay is None else (relay.bytes_up, relay.bytes_down)
        return report_of(test, folder, seconds, watched, swarm, wire)


def _start_server(
    test: LoadTest, folder: Path, starter: Starter, listen: str
) -> tuple[RunningProgram, int]:
    """The server, and the port at which it listens."""
    address = free_address(listen)
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
    return server, int(address.rpartition(":")[2])


def _parts(test: LoadTest, server: str) -> list[Part]:
    settings = {"client.server": server, **faults_of(test)}
    workers = _workers(test)
    return parts_of(range(test.clients), workers, settings, lambda ids: _attack(test, ids))


@contextlib.contextmanager
def _here(test: LoadTest, parts: list[Part], folder: Path, starter: Starter) -> Iterator[Swarm]:
    """All parts on this machine."""
    with memory_folder(STATE_BYTES * test.clients, folder / "state") as state:
        folders = {
            "client.credentials": folder / "certs" / "clients",
            "client.state": state,
            "record.inputs": folder / INPUTS,
        }
        yield Swarm([part.start(starter, folders) for part in parts])


def _attack(test: LoadTest, ids: Sequence[int]) -> dict[str, Any]:
    here = [client for client in ids if client in test.attacking]
    if not here:
        return {}
    source, target = _RELABELLED
    return {"data.attack": f"flip:{source}:{target}", "data.malicious": f"{here[0]}-{here[-1]}"}
