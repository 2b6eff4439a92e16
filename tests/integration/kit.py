"""Real programs in real processes, and a proxy that cuts their connections."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from auror_client import cli as client_cli
from auror_server import cli as server_cli
from click.testing import CliRunner, Result

from auror import cli
from auror.cli import approve as approve_cli
from auror.cli import certs as certs_cli
from auror.cli import enrol as enrol_cli
from auror.cli import policy as policy_cli
from auror.cli import roster as roster_cli
from auror.deployment.certs import create_deployment
from auror.deployment.run_reader import RunReader
from auror.params import RoundParams
from auror.programs.enrol import synthetic_terms
from auror.programs.processes import (
    RunningProgram,
    Starter,
    free_address,
    programs,
    wait_until_listening,
)
from auror.round.policy import Policy

PATIENCE = 200
"""Seconds to wait for what takes few on an idle machine; pytest ends a test after 300."""

QUICK = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
    "AUROR_SERVER__SERVER__HEALTH": "",
}


def environment() -> dict[str, str]:
    """Of a program that a test starts."""
    return {**os.environ, **QUICK}


PARAMS = RoundParams(group_size=2, colluders=1, audit_probability=0.0)
"""Of small tests that want whole cohorts."""


def enrol(
    folder: Path,
    clients: int = 6,
    rounds: int = 500,
    trainings: int = 1,
    dim: int = 500,
    **params: Any,
) -> Policy:
    """A deployment in ``folder``/certs for quick rounds of numbers that nobody trains."""
    terms = synthetic_terms(dim, replace(PARAMS, **params), rounds, trainings)
    return create_deployment(folder / "certs", clients, ["127.0.0.1"], terms)


GUARDED = (server_cli, client_cli, approve_cli, certs_cli, enrol_cli, policy_cli, roster_cli)
"""What would lower this process's core limit for good."""
MAINS = {"auror": cli.main, "auror_server": server_cli.main, "auror_client": client_cli.main}


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """As a new process in ``folder`` would find things; what is imported from there is forgotten.

    For tests of what a program does, not of processes: torch is imported already.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [*sys.path])
        for name, value in QUICK.items():
            patch.setenv(name, value)
        for program in GUARDED:
            # it lasts, and children inherit it
            patch.setattr(program, "keep_memory_private", lambda: True)
        try:
            yield
        finally:
            for name, module in list(sys.modules.items()):
                if str(getattr(module, "__file__", None)).startswith(str(folder)):
                    del sys.modules[name]


def invoked(program: str, *words: object, cwd: Path) -> Result:
    with inside(cwd):
        return CliRunner().invoke(MAINS[program], list(map(str, words)))


def invoke(program: str, *words: object, cwd: Path) -> tuple[int, str]:
    """``run`` within this process."""
    done = invoked(program, *words, cwd=cwd)
    return done.exit_code, done.output


def run(program: str, *words: str, cwd: Path) -> tuple[int, str]:
    """Exit code and everything it said."""
    done = subprocess.run(
        [sys.executable, "-m", f"{program}.cli", *words],
        cwd=cwd,
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stdout


def wait_for(what: Callable[[], bool], starter: Starter) -> None:
    """… while no program of ``starter`` fails."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        starter.check()
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def wait_until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def server_settings(folder: Path, address: str, **more: Any) -> dict[str, Any]:
    """A synthetic session of quick rounds; keys of ``more`` are SECTION__KEY."""
    return {
        "server.listen": address,
        "server.health": "",
        "server.credentials": folder / "certs" / "server",
        "server.run_dir": folder / "run",
        "session.rounds": 3,
        "session.reconnect_grace_s": 1,
        **{key.replace("__", "."): value for key, value in more.items()},
    }


def client_settings(folder: Path, address: str, ids: str, **more: Any) -> dict[str, Any]:
    return {
        "client.server": address,
        "client.credentials": folder / "certs" / "clients",
        "client.state": folder / "state",
        "client.give_up_after_s": 30,
        "data.dataset": "synthetic",
        "swarm.clients": ids,
        **{key.replace("__", "."): value for key, value in more.items()},
    }


def rounds(folder: Path) -> list[dict[str, Any]]:
    """What the server whose run folder is ``folder``/run kept of its rounds."""
    return RunReader(folder / "run").rounds()


def exact(folder: Path, line: dict[str, Any]) -> bool:
    """Whether the total is the plain sum of what the accepted clients quantised: the server keeps
    totals, the clients record in ``folder``/inputs."""
    counter, inputs = line["round_id"]["counter"], folder / "inputs"
    sent = [np.load(inputs / f"{counter}-{client}.npy") for client in line["accepted"]]
    total = RunReader(folder / "run").total(line["index"])
    return np.array_equal(total, np.sum(sent, axis=0, dtype=np.int64))


@contextlib.contextmanager
def serving(starter: Starter, settings: dict[str, Any], name: str = "server") -> Iterator[Any]:
    program = starter.server(settings, name)
    wait_until_listening(settings["server.listen"], program)
    yield program


def session(folder: Path, name: str, code: int = 0, **settings: Any) -> str:
    """A server with all its clients, to the end; what the server said last."""
    address = free_address()
    with programs(folder / name) as starter:
        server = starter.server(server_settings(folder, address, **settings))
        if code:
            assert server.process.wait(PATIENCE) == code, server.last_line()
            return server.last_line()
        wait_until_listening(address, server)
        clients = starter.clients(client_settings(folder, address, "0-5"))
        assert server.process.wait(PATIENCE) == 0, server.last_line()
        assert clients.process.wait(PATIENCE) == 0, clients.last_line()
    return ""


def playing(
    starter: Starter, folder: Path, settings: dict[str, Any]
) -> tuple[RunningProgram, RunningProgram]:
    """The server and its six clients, two rounds of ``folder``/run later."""
    server = starter.server(settings)
    wait_until_listening(settings["server.listen"], server)
    clients = starter.clients(client_settings(folder, settings["server.listen"], "0-5"))
    wait_for(lambda: len(rounds(folder)) >= 2, starter)
    return server, clients
