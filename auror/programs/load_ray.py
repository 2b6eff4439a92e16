"""The clients of a load test on a Ray cluster: actors on its nodes, a process of clients each.

A node gets what its clients need, credentials of a deployment that ends with the test, and hands
back what they quantised as soon as they wrote it: a node that dies takes little with it.
"""

from __future__ import annotations

import io
import socket
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auror.deployment.addresses import check_address
from auror.deployment.credentials import client_folder
from auror.deployment.locks import allow_many_files
from auror.errors import ConfigError, MachineError, UnavailableError, UserError
from auror.experiments.engine import first_line
from auror.ids import ClientId
from auror.programs.load_swarm import INPUTS, STATE_BYTES, Part, Swarm, files_of
from auror.programs.load_watch import Say
from auror.programs.machines import MachineUse, machine_use
from auror.programs.processes import (
    RunningProgram,
    check_installed,
    memory_folder,
    programs,
    scratch_folder,
)
from auror.version import __version__

_RECORD_BYTES = 64 << 20
"""Of what the clients quantised, in one answer of a host."""
_KNOCK_SECONDS = 5.0
_START_SECONDS = 120.0
"""Without another host that has started for so long, no core is free for it."""
_END_SECONDS = 20.0


@dataclass(frozen=True)
class Answer:
    """What a host says of itself."""

    code: int | None
    """Exit code of its program, when that has ended."""
    error: str
    """What is wrong with that end; "" when nothing is."""
    cpu: float
    rss: int
    machine: MachineUse
    records: Mapping[str, bytes]
    """File name → what a client quantised, each once."""


class ClientHost:
    """On a node: a process of clients, and the folders that it needs. One thread uses it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._program: RunningProgram | None = None
        self._records = Path()

    def start(self, part: Part, credentials: bytes, version: str) -> str:
        """Start ``part``, whose folders are in ``credentials`` (tar).

        Returns:
            Why it cannot be; "" when it could.
        """
        try:
            if version != __version__:
                raise ConfigError(f"Auror {__version__} is installed there, and {version} here")
            check_installed()
            allow_many_files(files_of(len(part.clients), 1))
            _knock(part.settings["client.server"])
            folder = self._stack.enter_context(scratch_folder())
            size = STATE_BYTES * len(part.clients)
            state = self._stack.enter_context(memory_folder(size, folder / "state"))
            with tarfile.open(fileobj=io.BytesIO(credentials)) as archive:
                archive.extractall(folder / "clients", filter="data")
            self._records = folder / INPUTS
            starter = self._stack.enter_context(programs(folder / "logs"))
            self._program = part.start(
                starter,
                {
                    "client.credentials": folder / "clients",
                    "client.state": state,
                    "record.inputs": self._records,
                },
            )
        except (UserError, OSError) as error:
            self.close()
            return str(error)
        return ""

    def look(self) -> Answer:
        """How it goes, and what was recorded since the last look, ``_RECORD_BYTES`` of it at most
        but for a single one."""
        program = self._program
        if program is None:
            return Answer(None, "it was not started", 0.0, 0, machine_use(), {})
        code = program.ended()  # before the records: after its end no more are written
        try:
            program.check()
            error = ""
        except (UnavailableError, MachineError) as failed:
            error = str(failed)
        records = dict(_taken(self._records))
        return Answer(code, error, program.cpu, program.rss, machine_use(), records)

    def stop(self) -> None:
        """End the program; its records stay."""
        if self._program is not None:
            self._program.stop()

    def close(self) -> None:
        """End the program and remove its folders."""
        self._stack.close()


class RayHost:
    """Here: a host on some node. Nothing waits for it, so that one that hangs stops nobody."""

    def __init__(self, ray: Any, actor: Any, part: Part, records: Path) -> None:
        self.name, self.clients = part.name, part.clients
        self.cpu, self.rss = 0.0, 0
        self.machine: MachineUse | None = None
        self.lost = ""
        """Why nothing is heard of it any more."""
        self._ray, self._actor, self._records = ray, actor, records
        self._code: int | None = None
        self._error = ""
        self._asked: Any = None

    def look(self) -> None:
        """Read what it has answered, and ask again."""
        if self.lost or self._code is not None:
            return
        if self._asked is not None:
            if not self._ray.wait([self._asked], timeout=0)[0]:
                return
            try:
                self._take(self._ray.get(self._asked))
            except self._ray.exceptions.RayError as error:
                self.lost = first_line(error)
                return
        self._asked = self._actor.look.remote()

    def running(self) -> bool:
        self.look()
        return not self.lost and self._code is None

    def check(self) -> None:
        """Raises UnavailableError when its program ended with an error, MachineError where that is
        its machine's doing; one that was killed is lost."""
        self.look()
        if self._error:
            kind = MachineError if self._code == MachineError.exit_code else UnavailableError
            raise kind(self._error)

    def stop(self) -> None:
        """End its program, and fetch what it still has."""
        self._actor.stop.remote()
        until = time.monotonic() + _END_SECONDS
        while self.running() and time.monotonic() < until:
            time.sleep(0.05)

    def close(self) -> Any:
        """Have it remove what it has on its node. Returns what is there when it has."""
        return self._actor.close.remote()

    def kill(self) -> None:
        """End the actor."""
        self._ray.kill(self._actor)

    def _take(self, answer: Answer) -> None:
        self.cpu, self.rss, self.machine = max(answer.cpu, self.cpu), answer.rss, answer.machine
        for name, content in answer.records.items():
            (self._records / Path(name).name).write_bytes(content)
        if answer.code is None or answer.records:
            return  # there may be more of them
        if answer.code < 0:
            self.lost = f"its process was ended by signal {-answer.code}"
            return
        self._code, self._error = answer.code, answer.error


class RaySwarm(Swarm):
    """Hosts on a cluster. One that is lost costs the test its own clients."""

    def __init__(self, hosts: Sequence[RayHost], fewest: int, say: Say) -> None:
        super().__init__(hosts)
        self._hosts, self._fewest, self._say = hosts, fewest, say
        self._told: set[str] = set()

    def check(self) -> None:
        """Say who is lost.

        Raises:
            UnavailableError: a program ended with an error, or too few clients are left.
        """
        super().check()
        left = sum(len(one.clients) for one in self._hosts if not one.lost)
        for one in self._hosts:
            if one.lost and one.name not in self._told:
                self._told.add(one.name)
                self.lost.append(f"{one.name}, {len(one.clients)} clients: {one.lost}")
                self._say(f"lost {self.lost[-1]}; {left} are left")
        if left < self._fewest:
            raise UnavailableError(
                f"{left} clients are left, and a round needs {self._fewest}: lost"
                f" {'; '.join(self.lost)}"
            )

    def machines(self) -> dict[str, MachineUse]:
        known = [one.machine for one in self._hosts if one.machine is not None]
        return {**{use.boot: use for use in known}, **super().machines()}


@contextmanager
def swarm_on_ray(
    ray: Any,
    parts: Sequence[Part],
    folder: Path,
    fewest: int,
    say: Say,
) -> Iterator[RaySwarm]:
    """An actor per part; they are gone afterwards.

    Args:
        ray: the module, connected.
        folder: of the test: each actor gets the credentials of its clients, and what they
            quantised comes there.
        fewest: clients that a round needs.

    Raises:
        UnavailableError: an actor finds no free core, cannot reach the server, or cannot start.
    """
    records = folder / INPUTS
    records.mkdir()
    # a core each: they are spread over the nodes, and what finds none is said below
    remote = ray.remote(ClientHost).options(num_cpus=1, scheduling_strategy="SPREAD")
    hosts: list[RayHost] = []
    try:
        starting = {}
        for part in parts:
            actor = remote.remote()
            hosts.append(RayHost(ray, actor, part, records))
            packed = _packed(folder / "certs", part.clients)
            starting[actor.start.remote(part, packed, __version__)] = part.name
        _wait_for(ray, starting, say)
        for one in hosts:
            while one.machine is None and one.running():
                time.sleep(0.05)
        yield RaySwarm(hosts, fewest, say)
    finally:
        closing = [one.close() for one in hosts if not one.lost]
        if closing:
            ray.wait(closing, num_returns=len(closing), timeout=_END_SECONDS)
        for one in hosts:
            one.kill()


def node_address(ray: Any) -> str:
    """Under which the cluster knows this machine."""
    return str(ray.util.get_node_ip_address())


def _wait_for(ray: Any, starting: dict[Any, str], say: Say) -> None:
    waiting, last = list(starting), time.monotonic()
    while waiting:
        done, waiting = ray.wait(waiting, timeout=2.0)
        for one in done:
            try:
                problem = ray.get(one)
            except ray.exceptions.RayError as error:
                problem = f"{_last_line(error)}; Auror {__version__} has to be installed there"
            if problem:
                raise UnavailableError(f"{starting[one]} cannot start on its node: {problem}")
            last = time.monotonic()
        if waiting:
            say(f"{len(starting) - len(waiting)} of {len(starting)} actors have started")
        if time.monotonic() - last > _START_SECONDS:
            raise UnavailableError(
                f"{len(waiting)} of {len(starting)} actors wait for a free core of the cluster:"
                " choose fewer workers"
            )


def _packed(folder: Path, clients: Sequence[int]) -> bytes:
    """Their credentials. What all of them hold is one file under many names, here too."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for client in clients:
            path = client_folder(folder, ClientId(client))
            archive.add(path, path.name)
    return content.getvalue()


def _taken(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The records in ``folder``, which are gone from there then."""
    taken = 0
    for path in sorted(folder.glob("*.npy")):
        size = path.stat().st_size
        if taken and taken + size > _RECORD_BYTES:
            return
        taken += size
        yield path.name, path.read_bytes()
        path.unlink()


def _knock(server: str) -> None:
    host, port = check_address("server", server)
    try:
        socket.create_connection((host, port), timeout=_KNOCK_SECONDS).close()
    except OSError as error:
        raise UnavailableError(
            f"it does not reach the server at {server} ({error.strerror or error}): give as host a"
            " name or address of the server's machine that it reaches"
        ) from error


def _last_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[-1]
