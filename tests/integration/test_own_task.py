"""docs/own-task.md: its file and its commands, in one process and over gRPC."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import kit
import numpy as np
import page_kit
import pytest
from own_tasks import images

from auror.deployment.run_reader import RunReader
from auror.programs.processes import free_address

PAGE = "docs/own-task.md"
MODULES = {"auror": "auror.cli", "auror-server": "auror_server.cli",
           "auror-client": "auror_client.cli"}  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the document's file, and samples of six sites and of the server."""
    (code,) = (block.text for block in page_kit.blocks(PAGE) if block.language == "python")
    (tmp_path / "site_task.py").write_text(code)
    (tmp_path / "sites").mkdir()
    for name, count, seed in [*((f"site-{i}", 60, i) for i in range(6)), ("server", 120, 99)]:
        x, y = images(count, seed)
        np.savez(tmp_path / "sites" / f"{name}.npz", x=x, y=y)
    return tmp_path


def command(beginning: str, *more: str) -> list[str]:
    """The document's command that begins so."""
    line = next(li for li in page_kit.lines(PAGE) if li.startswith(beginning))
    program, *rest = shlex.split(line)
    return [sys.executable, "-m", MODULES[program], *rest, *more]


def test_every_command_of_the_page_is_run_here() -> None:
    started = ("auror simulate", "auror certs", "auror-server", "auror-client")
    assert [line.startswith(name) for line, name in zip(page_kit.lines(PAGE), started, strict=True)]


def test_the_example_in_one_process(site: Path) -> None:
    _python, _m, _module, *words = command("auror simulate", "--rounds", "3", "--format", "json")
    done = kit.invoked("auror", *words, "--out", "run", cwd=site)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["clean"]["accuracy"] > 0.5
    assert len(found["malicious"]) == 2
    assert (site / "run" / "report.html").exists()


@pytest.mark.slow
def test_the_example_over_grpc(site: Path) -> None:
    address = free_address()
    enrolled = subprocess.run(
        command("auror certs"),
        cwd=site,
        env=kit.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert enrolled.returncode == 0, enrolled.stderr
    everybody = command("auror-client", "--server", address, "--clients", "0-5")
    everybody[everybody.index("certs/clients/000")] = "certs/clients"
    serving = command("auror-server", "--listen", address)
    with (site / "server.log").open("w") as log:
        server = subprocess.Popen(serving, cwd=site, env=kit.environment(), stderr=log)
        try:
            joined = subprocess.run(
                everybody, cwd=site, env=kit.environment(), capture_output=True, text=True,
                timeout=kit.PATIENCE, check=False,
            )  # fmt: skip
            assert joined.returncode == 0, joined.stderr + (site / "server.log").read_text()
            assert server.wait(kit.PATIENCE) == 0
        finally:
            server.kill()
            server.wait()
    lines = RunReader(site / "runs" / "server").rounds()
    assert [line["aborted"] for line in lines] == [None] * 3
    assert lines[-1]["metrics"]["accuracy"] > 0.5


@pytest.mark.slow
def test_a_client_without_the_setting_imports_nothing_and_says_what_to_set(site: Path) -> None:
    subprocess.run(command("auror certs"), cwd=site, env=kit.environment(), check=True)
    (site / "site_task.py").write_text("open('imported', 'w')\nraise SystemExit\n")
    words = command("auror-client", "--server", free_address())
    at = words.index("--task")
    del words[at : at + 2]
    done = subprocess.run(
        words,
        cwd=site,
        env=kit.environment(),
        capture_output=True,
        text=True,
        timeout=kit.PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    assert 'set data.task = "site_task:Scans"' in done.stderr
    assert not (site / "imported").exists()
