"""Real programs show no secret: not in what they write, with faults, nor when they crash.

What is secret is known from a witness inside the client's process (``tests/witness.py``).
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import canaries
import kit
import pytest
import witness
from fault_proxy import FaultProxy

from auror.deployment import private_memory
from auror.deployment.logs import configure
from auror.programs.processes import RunningProgram, free_address, wait_until_listening

OWN = ("certs", "seen", "inputs")
"""Folders where secrets belong: of keys, of the witness, and what ``record.inputs`` asks for."""


class House:
    """A server and six clients in three processes, under a witness."""

    def __init__(self, folder: Path, core_dumps: bool = False) -> None:
        kit.enrol(folder)
        self.folder, self._more, self.started = folder, core_dumps, list[RunningProgram]()
        self.address = free_address()

    def server(self) -> RunningProgram:
        settings = kit.server_settings(self.folder, self.address, session__rounds=500)
        settings |= {"server.keep_totals": True, "server.core_dumps": self._more}
        found = self._start("server", "auror_server", settings)
        wait_until_listening(self.address, found)
        return found

    def clients(self, ids: str, server: str = "", leak: bool = False) -> RunningProgram:
        settings = kit.client_settings(self.folder, server or self.address, ids)
        settings |= {"record.inputs": self.folder / "inputs", "client.core_dumps": self._more}
        return self._start(f"clients-{ids}", "auror_client", settings, leak)

    def _start(self, *given: object) -> RunningProgram:
        found = witness.start(self.folder, *given)  # type: ignore[arg-type]
        self.started.append(found)
        return found

    def wait_for_rounds(self, more: int) -> None:
        there = len(kit.rounds(self.folder))
        kit.wait_until(lambda: len(kit.rounds(self.folder)) >= there + more)

    def last_sample(self, program: RunningProgram) -> witness.Sample:
        path = self.folder / "seen" / f"{program.name}.{program.process.pid}.samples"
        return witness.read_samples(path)[-1]

    def hits(self) -> list[canaries.Hit]:
        found = canaries.of_run(self.folder)
        assert {*witness.KINDS, "TLS key", "operator's key", "quantised update"} <= set(
            found.counts()
        )
        hits, size = found.search(self.folder, [self.folder / name for name in OWN])
        assert size > 10_000
        return hits


@contextmanager
def house(folder: Path, core_dumps: bool = False) -> Iterator[House]:
    """Its programs may dump cores as large as this machine allows."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    made = House(folder, core_dumps)
    try:
        yield made
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
        for program in made.started:
            program.stop()


def crash(program: RunningProgram) -> bool:
    """Whether it dumped a core."""
    program.process.send_signal(signal.SIGABRT)
    end = os.waitid(os.P_PID, program.process.pid, os.WEXITED | os.WNOWAIT)
    assert end is not None
    assert end.si_status == signal.SIGABRT
    program.process.wait()
    return end.si_code == os.CLD_DUMPED


def test_what_tests_run_within_their_process_leaves_its_core_limit(tmp_path: Path) -> None:
    """Else the programs that they start would inherit a limit of 0, whatever they do themselves."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    kit.enrol(tmp_path, 3)
    words = ("--credentials", "certs/server", "--listen", free_address(), "--check")
    code, said = kit.invoke("auror_server", *words, cwd=tmp_path)
    assert code == 0, said
    assert resource.getrlimit(resource.RLIMIT_CORE) == before


def core_limit(program: RunningProgram) -> list[str]:
    """Soft and hard."""
    lines = Path(f"/proc/{program.process.pid}/limits").read_text().splitlines()
    return next(line for line in lines if line.startswith("Max core file size")).split()[4:6]


def test_a_run_with_faults_shows_no_secret_and_leaves_no_core(tmp_path: Path) -> None:
    with house(tmp_path) as made, FaultProxy(made.address) as proxy:
        server = made.server()
        clients = [made.clients("0-1"), made.clients("2-3", proxy.address)]
        victim = made.clients("4-5")
        made.wait_for_rounds(2)
        victim.process.kill()
        victim = made.clients("4-5")
        assert proxy.cut() > 0
        made.wait_for_rounds(2)
        server.process.kill()
        server.process.wait()
        server = made.server()
        made.wait_for_rounds(2)
        for program in (server, *clients):
            assert core_limit(program) == ["0", "0"]
            assert made.last_sample(program).dumpable == 0
        assert not any(crash(program) for program in (server, clients[0]))
        assert made.hits() == []
    assert not list((tmp_path / "cwd").iterdir())


def test_a_planted_leak_is_found_and_so_is_a_core_that_a_setting_allows(tmp_path: Path) -> None:
    with house(tmp_path, core_dumps=True) as made:
        server = made.server()
        made.clients("0-3", leak=True)
        client = made.clients("4-5")
        made.wait_for_rounds(1)
        assert made.last_sample(server).dumpable == made.last_sample(client).dumpable == 1
        crash(client)
        hits = made.hits()
    assert {(hit.path.name, hit.kind) for hit in hits if hit.path.suffix == ".log"} == {
        ("clients-0-3.log", kind) for kind in witness.KINDS
    }
    cores = {hit.path for hit in hits if hit.path.parent.name == "cwd"}
    assert cores == set((tmp_path / "cwd").iterdir())  # none where cores go elsewhere or are off


OPERATOR = """
import ctypes, resource, sys
from auror.cli import certs, main
from auror.params import RoundParams
from auror.programs.enrol import synthetic_terms
from auror.crypto.signing import SigningKey

certs.terms_of = lambda _: synthetic_terms(9, RoundParams(group_size=2, colluders=0), 9)
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
made = SigningKey.__init__

def seen(key, secret):
    dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
    print("key", dumpable, *resource.getrlimit(resource.RLIMIT_CORE), file=sys.stderr)
    made(key, secret)

SigningKey.__init__ = seen
main(sys.argv[1:])
"""
"""The command ``auror``, which says whenever it holds a key how its memory is guarded; it
loads no data."""


@pytest.mark.parametrize("command", ["certs", "policy"])
def test_the_operators_commands_guard_their_key_too(tmp_path: Path, command: str) -> None:
    words = ["certs", "made", "--server", "localhost", "--clients", "4"]
    if command == "policy":
        kit.enrol(tmp_path)
        words = ["policy", "next", "certs", "--days", "9"]
    done = subprocess.run(
        [sys.executable, "-c", OPERATOR, *words],
        cwd=tmp_path,
        env=kit.environment(),
        capture_output=True,
        text=True,
        timeout=kit.PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stderr.splitlines()) == {"key 0 0 0"}


def test_where_there_is_no_prctl_a_line_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(private_memory.ctypes, "CDLL", lambda *_given, **_more: object())
    monkeypatch.setattr(resource, "setrlimit", lambda *_given: None)  # the tests keep theirs
    configure("console")
    assert private_memory.keep_memory_private() is False
    assert "run it as a user of its own" in "".join(capsys.readouterr())
