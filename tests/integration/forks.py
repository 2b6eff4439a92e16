"""Programs that tests start are forked from a process that has loaded torch (``fork_server``)."""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROGRAMS = ("auror_server.cli", "auror_client.cli")
_SERVER = Path(__file__).with_name("fork_server.py")
_PR_SET_CHILD_SUBREAPER = 36
_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "OMP_", "MKL_", "OPENBLAS_")
"""Variables that begin so count when an interpreter starts or a library is loaded."""


def at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """What a process cannot change any more once it runs."""
    return {name: value for name, value in environment.items() if name.startswith(_AT_START)}


class ForkServer:
    """Is started for the first program that is asked for; ends with this process."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = {
            name: value for name, value in environment.items() if not name.startswith("COVERAGE_")
        }
        self._one_at_a_time = threading.Lock()
        self._connection: socket.socket | None = None
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl

    def fork(
        self, words: list[str], cwd: str, environment: Mapping[str, str], files: tuple[int, ...]
    ) -> int:
        """Pid of a new child of this process.

        Args:
            words: a module of ``PROGRAMS`` and its arguments.
            files: descriptors of its input, output and errors.
        """
        request = {"words": words, "cwd": cwd, "environment": dict(environment)}
        with self._one_at_a_time:
            self._connection = self._connection or self._started()
            self._adopt_orphans(True)
            try:
                socket.send_fds(self._connection, [json.dumps(request).encode()], files)
                return int(self._connection.recv(20))
            finally:
                self._adopt_orphans(False)

    def _adopt_orphans(self, whether: bool) -> None:
        assert self._prctl(_PR_SET_CHILD_SUBREAPER, int(whether), 0, 0, 0) == 0

    def _started(self) -> socket.socket:
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        server = subprocess.Popen(
            [sys.executable, str(_SERVER), str(its.fileno())],
            env=self.environment,
            pass_fds=[its.fileno()],
            stdin=subprocess.DEVNULL,
        )
        its.close()

        def end() -> None:
            ours.close()
            server.wait()

        atexit.register(end)
        return ours


def popen(server: ForkServer) -> type[subprocess.Popen[Any]]:
    """``Popen`` that forks ``python -m`` of ``PROGRAMS`` and starts everything else as ever."""

    class Popen(subprocess.Popen):  # type: ignore[type-arg]
        def _execute_child(self, args: Any, *given: Any) -> None:
            # as subprocess calls it, Python 3.11 to 3.13
            _executable, preexec, _close, passed, cwd, env, _info, _flags, shell, *more = given
            pipes, (_signals, *identity) = more[:6], more[6:]
            environment = os.environ if env is None else env
            if (
                isinstance(args, list)
                and args[:2] == [sys.executable, "-m"]
                and args[2] in PROGRAMS
                and at_start(environment) == at_start(server.environment)
                and not (preexec or passed or shell)
                and identity == [None, None, None, -1, False, -1]
            ):
                inputs, _, _, outputs, _, errors = pipes
                files = tuple(
                    number if file == -1 else file
                    for number, file in enumerate((inputs, outputs, errors))
                )
                words = list(map(str, args[2:]))
                self.pid = server.fork(words, str(Path(cwd or ".").resolve()), environment, files)
                self._child_created = True
                self._close_pipe_fds(*pipes)
            else:
                super()._execute_child(args, *given)

    return Popen
