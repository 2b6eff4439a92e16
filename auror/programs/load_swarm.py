"""The clients of a load test: processes with many of them each, here or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from auror.entry import STOPPED
from auror.errors import Excluded, UntrainedError
from auror.programs.machines import MachineUse, machine_use
from auror.programs.processes import RunningProgram, Starter

INPUTS = "inputs"
"""Folder of a test that gets what the clients quantised."""
STATE_BYTES = 32 << 10
"""What a client keeps on disk, in two small files, with room to spare."""
_FILES = 3
"""Of a client in its process: a connection, a lock, an event descriptor."""
_SERVER_FILES, _PROBES = 3, 64
"""Of a member in the server: two connections, one of which may replace the other, and its upload;
and the health port's."""
_PATIENCE_SECONDS = 3600


class Faulty(Protocol):
    """What makes clients unlike good ones on good machines."""

    @property
    def dropout(self) -> float: ...
    @property
    def delay(self) -> str: ...
    @property
    def bandwidth(self) -> str: ...
    @property
    def churn(self) -> float: ...
    @property
    def malformed(self) -> float: ...


def faults_of(test: Faulty) -> dict[str, Any]:
    """The clients' settings for the faults of ``test``."""
    asked = {
        "dropout": test.dropout,
        "delay": test.delay,
        "bandwidth": test.bandwidth,
        "churn": test.churn,
        "malformed": test.malformed,
    }
    return {f"faults.{name}": value for name, value in asked.items() if value}


def files_of(clients: int, workers: int) -> int:
    """Open at once in a process that holds its part of ``clients``."""
    return _FILES * -(-clients // workers)


def server_files(clients: int) -> int:
    """Open at once in a server of so many members."""
    return _SERVER_FILES * clients + _PROBES


def most_clients(files: int, workers: int) -> int:
    """How many a server and ``workers`` processes of ``files`` open files each can hold."""
    return max(0, min((files - _PROBES) // _SERVER_FILES, workers * (files // _FILES)))


class Host(Protocol):
    """A process of many clients, wherever it runs."""

    @property
    def name(self) -> str: ...
    @property
    def cpu(self) -> float:
        """CPU seconds since its start, as of the last look."""

    @property
    def rss(self) -> int:
        """Bytes of memory, as of the last look."""

    def look(self) -> None: ...
    def running(self) -> bool: ...
    def check(self) -> None:
        """Raises UnavailableError when it ended with an error."""

    def stop(self) -> None: ...


class Swarm:
    """All clients of a test, on this machine."""

    def __init__(self, hosts: Sequence[Host]) -> None:
        self.hosts = hosts
        self.lost: list[str] = []
        """Hosts that were lost with their clients, and why; of this machine's none ever is."""

    def check(self) -> None:
        """Raises UnavailableError when the test cannot go on."""
        for one in self.hosts:
            one.check()

    def machines(self) -> dict[str, MachineUse]:
        """All machines of the test, each once, as of the last look."""
        here = machine_use()
        return {here.boot: here}


@dataclass(frozen=True)
class Part:
    """The clients of one process."""

    name: str
    clients: tuple[int, ...]
    settings: Mapping[str, Any]
    """Of ``auror-client``."""

    def start(self, starter: Starter, folders: Mapping[str, Any]) -> RunningProgram:
        """``folders``: further settings, of the machine that it runs on."""
        # a server that stops says why itself; and all clients of a process may have vanished on
        # purpose in every round, or one of them have been excluded, as it should be
        fine = (0, STOPPED, UntrainedError.exit_code, Excluded.exit_code)
        return starter.clients({**self.settings, **folders}, self.name, fine)


def parts_of(
    clients: Sequence[int],
    workers: int,
    settings: Mapping[str, Any],
    more: Callable[[Sequence[int]], Mapping[str, Any]] = lambda _: {},
) -> list[Part]:
    """``clients`` in as many parts as ``workers``; ``more``: settings of those of one part."""
    parts = []
    for worker, part in enumerate(np.array_split(np.array(clients), workers)):
        ids = tuple(int(client) for client in part)
        if not ids:
            continue
        own = {
            "client.threads": 1,
            "client.quiet": True,
            # who vanished on purpose is ended with the test, not by its own patience
            "client.give_up_after_s": _PATIENCE_SECONDS,
            "data.dataset": "synthetic",
            "swarm.clients": _spelled(ids),
            **settings,
            **more(ids),
        }
        parts.append(Part(f"clients-{worker}", ids, own))
    return parts


def _spelled(ids: Sequence[int]) -> str:
    """As ``swarm.clients`` has it."""
    whole = ids[-1] - ids[0] + 1 == len(ids)
    return f"{ids[0]}-{ids[-1]}" if whole else ",".join(map(str, ids))
