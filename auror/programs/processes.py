"""Server and client programs as processes: started, watched and, whatever happens, ended."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

from auror.child import module_command
from auror.errors import MachineError, UnavailableError

STOP_SECONDS = 10.0
_MODULES = ("auror_server", "auror_client")
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


@dataclass
class RunningProgram:
    """One running process and the file that gets its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    fine: tuple[int, ...] = (0,)
    """Exit codes that are no error."""
    cpu: float = 0.0
    """CPU seconds since its start, as of the last look."""
    rss: int = 0
    """Bytes of memory, as of the last look."""

    def ended(self) -> int | None:
        """Its exit code; None while it runs. It looks first: asking lets go of the times."""
        self.look()
        return self.process.poll()

    def look(self) -> None:
        """What it costs now; of one that has ended, what it cost in all."""
        if self.process.returncode is not None:
            return
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.process.pid)
            times = process.cpu_times()
            self.cpu = round(times.user + times.system, 2)
            self.rss = process.memory_info().rss or self.rss  # nothing once it has ended

    def running(self) -> bool:
        return self.ended() is None

    def last_line(self) -> str:
        """The last line of its log: what a program says before it exits with an error."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def check(self) -> None:
        """Raises UnavailableError when the process ended with an error, MachineError where that is
        this machine's doing."""
        code = self.ended()
        if code is not None and code not in self.fine:
            kind = MachineError if code == MachineError.exit_code else UnavailableError
            raise kind(f"{self.name} ended with exit code {code}: {self.last_line()}")

    def stop(self) -> None:
        """Ask it to end, then make it."""
        if self.running():
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def check_installed() -> None:
    """Raises UnavailableError when this Python has no server or no client program to start."""
    for name in _MODULES:
        if importlib.util.find_spec(name) is None:
            raise UnavailableError(
                f"this Python does not find {name}: install Auror (pip install .), or put the"
                " folders server and client on PYTHONPATH"
            )


@contextlib.contextmanager
def terminated_cleanly() -> Iterator[None]:
    """SIGTERM ends what is inside as Ctrl-C does: through every ``finally``, once. Other threads
    than the main one hear no signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one does not disturb the end
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for certificates and state that is gone afterwards.

    Raises:
        UnavailableError: no folder for temporary files can be written.
    """
    try:
        scratch = tempfile.TemporaryDirectory(prefix="auror-")
    except OSError as error:
        raise UnavailableError(
            "no folder for temporary files can be written: name one in the variable TMPDIR"
        ) from error
    with scratch as name:
        yield Path(name)


_MEMORY = Path("/dev/shm")  # noqa: S108 - nothing in it but folders of this user's own
"""A folder in memory, on Linux."""


@contextlib.contextmanager
def memory_folder(size: int, other: Path) -> Iterator[Path]:
    """A folder in memory for ``size`` bytes of small files that are made durable all the time, gone
    afterwards; ``other`` where there is none: a disk that many simulated machines share would be
    measured instead of them."""
    with contextlib.ExitStack() as stack:
        try:
            if shutil.disk_usage(_MEMORY).free < 2 * size:
                raise OSError("too small")
            name = stack.enter_context(
                tempfile.TemporaryDirectory(
                    prefix="auror-", dir=_MEMORY, ignore_cleanup_errors=True
                )
            )
        except OSError:
            other.mkdir(parents=True, exist_ok=True)
            name = str(other)
        yield Path(name)


@contextlib.contextmanager
def programs(folder: Path) -> Iterator[Starter]:
    """Start programs whose logs go to ``folder``; all of them are ended on leaving, on Linux even
    when this process is killed, or the thread that started them ends."""
    folder.mkdir(parents=True, exist_ok=True)
    starter = Starter(folder)
    try:
        yield starter
    finally:
        for program in reversed(starter.started):
            program.stop()


class Starter:
    """Starts the two programs with settings given as ``{"section.key": value}``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.started: list[RunningProgram] = []

    def server(self, settings: Mapping[str, Any], name: str = "server") -> RunningProgram:
        return self._start(name, f"{_MODULES[0]}.cli", settings)

    def clients(
        self, settings: Mapping[str, Any], name: str = "clients", fine: tuple[int, ...] = (0,)
    ) -> RunningProgram:
        return self._start(name, f"{_MODULES[1]}.cli", settings, fine)

    def check(self) -> None:
        """Raises UnavailableError when one of them ended with an error."""
        for program in self.started:
            program.check()

    def _start(
        self,
        name: str,
        module: str,
        settings: Mapping[str, Any],
        fine: tuple[int, ...] = (0,),
    ) -> RunningProgram:
        flags = [
            part
            for key, value in settings.items()
            for part in ("--set", f"{key}={json.dumps(_plain(value))}")
        ]
        path = self._folder / f"{name}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                module_command("auror.programs.leash", str(os.getpid()), module, *flags),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **_ONE_THREAD},
            )
        program = RunningProgram(name, process, path, fine)
        self.started.append(program)
        return program


def wait_until_listening(address: str, program: RunningProgram, seconds: float = 180.0) -> None:
    """Return when ``address`` accepts connections.

    Raises:
        UnavailableError: ``program`` ended, or nothing listens after ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        program.check()
        if listens(address, 1.0):
            return
        time.sleep(0.05)
    raise UnavailableError(f"{program.name} does not listen on {address} after {seconds:.0f} s")


def listens(address: str, seconds: float) -> bool:
    """Whether ``address``, as host:port, accepts a connection within ``seconds``."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=seconds):
            return True
    except OSError:
        return False


def free_address(host: str = "127.0.0.1") -> str:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return f"{host}:{probe.getsockname()[1]}"


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
