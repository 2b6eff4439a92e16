"""The clients of a load test: processes with many of them each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from auror.errors import Excluded, UntrainedError
from auror.programs.processes import RunningProgram, Starter

STOPPED = 6
"""Exit code of clients whose server stopped before the end."""
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


def start_swarm(
    starter: Starter,
    clients: Sequence[int],
    workers: int,
    settings: Mapping[str, Any],
    more: Callable[[Sequence[int]], Mapping[str, Any]] = lambda _: {},
) -> list[RunningProgram]:
    """``clients`` in as many processes as ``workers``; ``more``: settings of those of a process."""
    started = []
    for worker, part in enumerate(np.array_split(np.array(clients), workers)):
        ids = [int(client) for client in part]
        if not ids:
            continue
        program = starter.clients(
            {
                "client.threads": 1,
                "client.quiet": True,
                # who vanished on purpose is ended with the test, not by its own patience
                "client.give_up_after_s": _PATIENCE_SECONDS,
                "data.dataset": "synthetic",
                "swarm.clients": _spelled(ids),
                **settings,
                **more(ids),
            },
            f"clients-{worker}",
            # a server that stops says why itself; and all clients of a process may have vanished on
            # purpose in every round, or one of them have been excluded, as it should be
            fine=(0, STOPPED, UntrainedError.exit_code, Excluded.exit_code),
        )
        started.append(program)
    return started


def _spelled(ids: Sequence[int]) -> str:
    """As ``swarm.clients`` has it."""
    whole = ids[-1] - ids[0] + 1 == len(ids)
    return f"{ids[0]}-{ids[-1]}" if whole else ",".join(map(str, ids))
