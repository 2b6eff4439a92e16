"""Two machines: the README's own commands, in separate folders, on separate loopback addresses."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import kit
import pytest

from auror.deployment.run_reader import RunReader
from auror.programs.processes import free_address

ROOT = Path(__file__).resolve().parents[2]
SERVER_HOST = "127.0.0.2"
MODULES = {"auror": "auror.cli", "auror-server": "auror_server.cli",
           "auror-client": "auror_client.cli"}  # fmt: skip


def commands(document: Path) -> list[str]:
    """The lines of the shell blocks in the part on separate machines."""
    text = document.read_text()
    part = text if document.name == "deploy.md" else text.split("## On separate machines", 1)[1]
    part = part if document.name == "deploy.md" else part.split("\n## ", 1)[0]
    blocks = re.findall(r"```(?:sh)?\n(.*?)```", part, flags=re.DOTALL)
    whole = "".join(blocks).replace("\\\n", " ")  # continued lines
    return [" ".join(line.split()) for line in whole.splitlines() if line.strip()]


def words(line: str, port: str) -> list[str]:
    """The command as this test runs it: other host names, a free port, nothing else changed."""
    line = line.replace("server.example.org", SERVER_HOST).replace("0.0.0.0", SERVER_HOST)
    program, *rest = shlex.split(line.replace("7443", port).replace("--rounds 10", "--rounds 2"))
    return [sys.executable, "-m", MODULES[program], *rest]


def three(document: Path) -> list[str]:
    """Enrolling, serving and joining, as ``document`` says it."""
    lines = commands(document)
    programs = ("auror certs", "auror-server", "auror-client")
    return [next(line for line in lines if line.startswith(name)) for name in programs]


def test_both_documents_say_the_same_commands() -> None:
    assert three(ROOT / "docs" / "deploy.md") == three(ROOT / "README.md")


@pytest.mark.slow
def test_the_documented_commands_work_between_machines(tmp_path: Path) -> None:
    """In six machines' folders; ``examples/two_hosts`` is the quick one of this kind."""
    enrol, serve, join = three(ROOT / "README.md")
    port = free_address(SERVER_HOST).rpartition(":")[2]
    operator, server = tmp_path / "operator", tmp_path / "server-machine"
    clients = [tmp_path / f"client-machine-{i}" for i in range(6)]
    for machine in (operator, server, *clients):
        machine.mkdir()
    subprocess.run(words(enrol, port), cwd=operator, check=True, timeout=kit.PATIENCE)
    shutil.copytree(operator / "certs" / "server", server / "server")
    for i, machine in enumerate(clients):
        shutil.copytree(operator / "certs" / "clients" / f"{i:03d}", machine / f"{i:03d}")
    running: list[subprocess.Popen[bytes]] = []
    try:
        running.append(subprocess.Popen(words(serve, port), cwd=server, env=kit.environment()))
        for i, machine in enumerate(clients):
            own = words(join.replace("--credentials 000", f"--credentials {i:03d}"), port)
            running.append(subprocess.Popen(own, cwd=machine, env=kit.environment()))
        codes = [process.wait(kit.PATIENCE) for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert codes == [0] * 7
    found = RunReader(server / "runs" / "server").rounds()
    for line in found:
        audited = [client for index in line["audited"] for client in line["groups"][index]]
        assert sorted([*line["accepted"], *audited]) == list(range(6))
    assert len(found) == 2
    assert not (operator / "runs").exists()
    assert all((machine / "state").is_dir() for machine in clients)
