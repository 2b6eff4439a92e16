"""A server and its clients, real processes under a witness, and what is done to them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import kit
import numpy as np
import witness
from fault_proxy import FaultProxy
from grpc_health.v1 import health_pb2, health_pb2_grpc

from auror.deployment.certs import create_deployment
from auror.deployment.run_reader import RunReader
from auror.deployment.run_tables import STATE
from auror.errors import UserError
from auror.programs.enrol import synthetic_terms, usual_params
from auror.programs.processes import RunningProgram, free_address

SERVER = "server"
_STOPPED = 6
_GIVE_UP_SECONDS = 60
_WATCH_SECONDS = 5
Json = dict[str, Any]


class House:
    """Use as a context: whatever happens, every process is ended."""

    def __init__(self, folder: Path, clients: int, together: int, dim: int) -> None:
        """``together``: clients per process."""
        usual = usual_params(clients, None, None)
        params = replace(usual, audit_probability=0.0, patience=2, training_patience=2)
        terms = synthetic_terms(dim, params, 20_000)
        create_deployment(folder / "certs", clients, ["127.0.0.1"], terms)
        self.folder, self.clients = folder, clients
        self.reader = RunReader(folder / "run")
        self.lives: list[tuple[str, int]] = []
        """(name, process id) of every process so far."""
        self.running: dict[str, RunningProgram] = {}
        self.ended: list[str] = []
        """What ended although nobody killed it."""
        self._ids = {
            f"clients-{first}-{last}": f"{first}-{last}"
            for first in range(0, clients, together)
            for last in [min(first + together, clients) - 1]
        }
        self.names = (*self._ids,)
        """Of the clients' processes."""
        self._address, self._probe = free_address(), free_address()
        self.proxy = FaultProxy(self._address)
        self.probed = 0
        """Answers of the health port."""
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def start(self, name: str) -> None:
        """The server, or the clients of one process."""
        if name == SERVER:
            settings = kit.server_settings(self.folder, self._address, session__rounds=10_000)
            more = {
                "server.health": self._probe,
                "server.verbose": True,
                "server.keep_totals": True,
                "session.min_clients": self.clients - self.clients // 5,
                "session.max_aborted": 1000,
                "session.phase_deadline_s": 20,
                "session.upload_deadline_s": 20,
            }
            self._start(name, "auror_server", settings | more)
            return
        settings = kit.client_settings(self.folder, self.proxy.address, self._ids[name])
        more = {"client.threads": 1, "client.give_up_after_s": 300}
        inputs = {"record.inputs": self.folder / "inputs"}
        self._start(name, "auror_client", settings | more | inputs)

    def _start(self, name: str, program: str, settings: dict[str, object]) -> None:
        self.running[name] = witness.start(self.folder, name, program, settings)
        self.lives.append((name, self.running[name].process.pid))

    def kill(self, name: str) -> None:
        self.running[name].process.kill()
        self.running.pop(name).process.wait()

    def look(self) -> None:
        """Note who ended by itself, and start it again."""
        for name, program in list(self.running.items()):
            if not program.running():
                line = f"{name}, exit code {program.process.returncode}: {program.last_line()}"
                self.ended.append(line)
                del self.running[name]
                self.start(name)

    def closed(self) -> int:
        """Rounds that are over, whatever became of them."""
        try:
            seen = self.reader.glance(1)
        except UserError:  # the server has not written anything yet
            return 0
        return seen.recent[-1]["index"] + 1 if seen is not None and seen.recent else 0

    def without_total(self) -> int:
        """Rounds that the server says it aborted, or found interrupted, so far."""
        said = (self.folder / "logs" / f"{SERVER}.log").read_text(errors="replace")
        aborted = said.count(" aborted=") - said.count(" aborted=None")
        return aborted + said.count("round was interrupted")

    def database_bytes(self) -> int:
        """Of ``state.db`` and its log, not of its copy."""
        files = (self.folder / "run" / name for name in (STATE, f"{STATE}-wal"))
        return sum(path.stat().st_size for path in files if path.exists())

    def _watch(self) -> None:
        """What a load balancer does: follow the server's health, whoever serves."""
        with grpc.insecure_channel(self._probe) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch
            while not self._over.is_set():
                with contextlib.suppress(grpc.RpcError):
                    for _said in watch(health_pb2.HealthCheckRequest(), timeout=_WATCH_SECONDS):
                        self.probed += 1
                self._over.wait(1)

    def crash(self, name: str) -> bool:
        """Whether a core was written; the process is gone."""
        program = self.running.pop(name)
        program.process.send_signal(signal.SIGABRT)
        end = os.waitid(os.P_PID, program.process.pid, os.WEXITED | os.WNOWAIT)
        program.process.wait()
        return end is not None and end.si_code == os.CLD_DUMPED

    def stop(self) -> None:
        """SIGTERM to the server; the clients follow."""
        self.running[SERVER].process.terminate()
        deadline = time.monotonic() + _GIVE_UP_SECONDS
        while any(p.running() for p in self.running.values()) and time.monotonic() < deadline:
            time.sleep(0.1)
        for name, program in self.running.items():
            if program.process.poll() != _STOPPED:
                self.ended.append(
                    f"{name} after SIGTERM, exit code {program.process.poll()}:"
                    f" {program.last_line()}"
                )

    def ask(self, name: str, *words: object) -> int:
        """Keep what a command says in ``folder``/said; its exit code."""
        (self.folder / "said").mkdir(exist_ok=True)
        with (self.folder / "said" / f"{name}.txt").open("wb") as file:
            command = [sys.executable, "-m", *map(str, words)]
            return subprocess.run(
                command, stdout=file, stderr=subprocess.STDOUT, check=False
            ).returncode

    def rounds(self) -> Json:
        """Rounds with a total; how many totals are the plain sums of what the accepted clients
        quantised, bit for bit; and what is wrong with the rounds' names."""
        every, right = self.reader.rounds(), 0
        done = [line for line in every if line["aborted"] is None]
        for line in done:
            total, counter = self.reader.total(line["index"]), line["round_id"]["counter"]
            plain = np.zeros_like(total)
            for client in line["accepted"]:
                sent = np.load(self.folder / "inputs" / f"{counter}-{client}.npy")
                plain += sent.astype(plain.dtype)
            right += bool(np.array_equal(total, plain))
        return {
            "with_total": len(done),
            "exact": right,
            "others": len(every) - len(done),
            "names": named_wrongly(every, self.reader.begun()),
        }

    def tracebacks(self) -> list[str]:
        """Logs that hold one."""
        logs = sorted((self.folder / "logs").glob("*.log"))
        return [path.name for path in logs if "Traceback" in path.read_text(errors="replace")]

    def samples(self, name: str, pid: int) -> list[witness.Sample]:
        path = self.folder / "seen" / f"{name}.{pid}.samples"
        return witness.read_samples(path) if path.exists() else []

    def last(self, name: str) -> witness.Sample | None:
        """The newest sample of who runs under ``name`` now."""
        if name not in self.running:
            return None
        return next(reversed(self.samples(name, self.running[name].process.pid)), None)

    def __enter__(self) -> House:
        self.proxy.__enter__()
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        for program in self.running.values():
            program.process.kill()
            program.process.wait()
        self._over.set()
        self._watcher.join(2 * _WATCH_SECONDS)
        self.proxy.__exit__()


def named_wrongly(rounds: Sequence[Json], begun: Sequence[int]) -> list[str]:
    """A line for everything that is wrong with the names of ``rounds``, in order; ``begun``: the
    counters of all rounds to which anybody was invited."""
    found = []
    counters = [line["round_id"]["counter"] for line in rounds]
    if [line["index"] for line in rounds] != list(range(len(rounds))):
        found.append("indices are not 0, 1, 2 …")
    if counters != sorted(set(counters)):
        found.append("a round has the name of one before it")
    if set(counters) - set(begun) or len(set(begun) - set(counters)) > 1:  # one is being played
        found.append("not every round that was begun is among them")
    models = [line["model"] for line in rounds if line["aborted"] is None]
    if len(models) != len(set(models)):
        found.append("a model has two totals")
    return found
