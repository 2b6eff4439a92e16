"""Who computes: processes of this machine, or an existing Ray cluster."""

from __future__ import annotations

import functools
import itertools
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from auror.errors import ConfigError, UnavailableError
from auror.params import WORKERS

_KNOCK_SECONDS = 5
_LOOK_SECONDS = 1.0
"""How long a worker without its sweep lives on, at most."""
ENGINES = ("local", "ray")
_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass(frozen=True)
class Engine:
    """``name`` of ``ENGINES``.

    Attributes:
        workers: cells at a time; None: ``WORKERS`` here, and on Ray as many as it has cores.
        address: of a Ray cluster, as host:port or ray://host:port; None: the one that RAY_ADDRESS
            or this machine knows, else one of this machine alone.
    """

    name: str = "local"
    workers: int | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise ConfigError(f"engine = {self.name}: choose of {', '.join(ENGINES)}")
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"workers = {self.workers}: choose 1 or more")
        if self.address is not None and self.name != "ray":
            raise ConfigError("address has no effect on the engine local: leave it out")

    def check(self) -> str:
        """Who would compute, in words; errors as of ``computed``."""
        if self.name == "local":
            return f"{self.workers or WORKERS} processes of this machine"
        with ray_cluster(self.address) as ray:
            found = cores_of(ray)
            return f"{self.workers or found} cells at a time, Ray cluster of {found} cores"

    def computed(
        self,
        function: Callable[[_In], _Out],
        cells: Sequence[_In],
        lost: Callable[[_In, str], _Out],
    ) -> Iterator[_Out]:
        """``function`` of each of ``cells``, in the order in which they are done.

        Args:
            lost: what stands for a cell whose worker was lost again and again, and why.

        Raises:
            ConfigError: the engine is not installed.
            UnavailableError: no cluster answers at ``address``.
        """
        if not cells:
            return
        if self.name == "ray":
            yield from _on_ray(function, cells, lost, self.workers, self.address)
            return
        import joblib  # noqa: PLC0415 - keeps --help quick

        work = joblib.Parallel(n_jobs=self.workers or WORKERS, return_as="generator_unordered")
        own = os.getpid()
        yield from work(joblib.delayed(_leashed)(function, own, cell) for cell in cells)


def _leashed(function: Callable[[_In], _Out], parent: int, cell: _In) -> _Out:
    """``function`` of ``cell`` in a worker that ends when the process ``parent`` has ended: one
    that is killed says goodbye to nobody, and its workers would go on for minutes."""
    if os.getpid() != parent:
        _end_with(parent)
    return function(cell)


@functools.cache
def _end_with(parent: int) -> None:
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _on_ray(
    function: Callable[[_In], _Out],
    cells: Sequence[_In],
    lost: Callable[[_In, str], _Out],
    workers: int | None,
    address: str | None,
) -> Iterator[_Out]:
    # joblib's Ray backend hands everything over at the end only: a break would lose all of it
    with ray_cluster(address) as ray:
        remote, waiting, running = ray.remote(function), iter(cells), dict[Any, _In]()
        room = workers or cores_of(ray)
        while True:
            for cell in itertools.islice(waiting, room - len(running)):
                running[remote.remote(cell)] = cell
            if not running:
                return
            for done in ray.wait(list(running))[0]:
                cell = running.pop(done)
                try:
                    yield ray.get(done)
                except ray.exceptions.RayError as error:
                    yield lost(cell, first_line(error))


def first_line(error: BaseException) -> str:
    """Of what Ray says of a failure: a traceback of another process follows."""
    return str(error).strip().splitlines()[0]


def cores_of(ray: Any) -> int:
    """Of a whole cluster."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def _knock(address: str | None) -> None:
    """Ray itself tries for minutes whether a port answers."""
    host, _, port = (address or "").rpartition("://")[2].rpartition(":")
    if not (host and port.isdecimal()):
        return
    try:
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()
    except OSError as error:
        raise UnavailableError(f"no Ray cluster answers at {address}: {error}") from error


@contextmanager
def ray_cluster(address: str | None) -> Iterator[Any]:
    """The module ``ray``, connected to the cluster at ``address``, as of ``Engine``.

    Raises:
        ConfigError: Ray is not installed.
        UnavailableError: no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it reports to its makers otherwise
    try:
        import ray  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigError("engine = ray needs Ray: pip install 'auror[ray]'") from error
    _knock(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (OSError, RuntimeError, ValueError) as error:
        where = address or os.environ.get("RAY_ADDRESS") or "this machine"
        why = str(error).strip().splitlines()[0]
        raise UnavailableError(f"no Ray cluster can be used at {where}: {why}") from error
    try:
        yield ray
    finally:
        ray.shutdown()
