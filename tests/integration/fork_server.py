"""A process that has loaded what the programs load, and forks one for each that a test starts.

    python fork_server.py DESCRIPTOR

Loading torch takes a program seconds; a fork takes none. A forked program is a process as any
other, with a pid, output, folder, environment, TLS and gRPC of its own: nothing of these exists
here, and no thread runs. ``forks.py`` asks for programs and becomes their parent.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import runpy
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

LOADED = (
    "torch", "auror.learn.serving", "auror.learn.pinned", "auror.learn.device",
    "auror.round.client.machine", "auror.wire.codec", "auror.wire.frames",
    "auror_client.config", "auror_client.exclusion",
    "auror_client.participation", "auror_client.start", "auror_client.trainings",
    "auror_server.config", "auror_server.hosts", "auror_server.player", "auror_server.recorder",
    "auror_server.session", "auror_server.start", "auror_server.status_port",
)  # fmt: skip
"""All but gRPC, whose C core must not be in use where a process forks, and the command lines."""

LARGEST = 2**20
"""Bytes of one request."""


def wanted(connection: socket.socket) -> dict[str, Any]:
    """Return in a new process what it is to run, once for each request; this one never returns."""
    while True:
        try:
            message, files, _flags, _sender = socket.recv_fds(connection, LARGEST, 3)
        except KeyboardInterrupt:  # it reaches everybody at a terminal
            continue
        if not message:  # the tests are over
            os._exit(0)
        reader, writer = os.pipe()
        between = os.fork()
        if between == 0:
            pid = os.fork()
            if pid:
                os.write(writer, str(pid).encode())
                os._exit(0)  # an orphan's parent is the next process that asked for orphans
            for number, file in enumerate(files):
                os.dup2(file, number)
            for file in (*files, reader, writer, connection.detach()):
                os.close(file)
            request: dict[str, Any] = json.loads(message)
            return request
        os.waitpid(between, 0)
        connection.send(os.read(reader, 20))
        for file in (*files, reader, writer):
            os.close(file)


def unbuffered(file: int, like: io.TextIOWrapper) -> io.TextIOWrapper:
    """As an interpreter opens ``file`` under PYTHONUNBUFFERED: a pipe is not what was there."""
    raw = io.FileIO(file, "w", closefd=False)
    return io.TextIOWrapper(raw, like.encoding, like.errors, write_through=True)  # type: ignore[arg-type]


def become(request: dict[str, Any], own: dict[str, str]) -> None:
    """Run a program as ``python -m`` would; ``own`` are variables that modules set as they load."""
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update({**own, **request["environment"]})
    sys.stdin = open(0, encoding=sys.stdin.encoding, closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = unbuffered(1, sys.stdout), unbuffered(2, sys.stderr)
    tempfile.tempdir = None
    sys.modules["numpy"].random.seed()  # the only generator that all would share
    if "COVERAGE_PROCESS_CONFIG" in os.environ:
        importlib.import_module("coverage").process_startup(force=True)
    module, *words = request["words"]
    sys.argv = ["-m", *words]
    sys.path[0] = request["cwd"]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def main() -> None:
    before = dict(os.environ)
    for name in LOADED:
        importlib.import_module(name)
    own = {name: value for name, value in os.environ.items() if before.get(name) != value}
    assert "grpc" not in sys.modules
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "threads do not outlive a fork"
    become(wanted(socket.socket(fileno=int(sys.argv[1]))), own)


if __name__ == "__main__":
    main()
