"""A program that a test forks is what ``python -m`` starts: same words, codes, folder, settings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import forks
import kit
import psutil
import pytest

EXECUTED = {"PYTHONHASHSEED": "1"}
"""Counts when an interpreter starts, so that no fork can have it."""


def started(words: list[str], folder: Path, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *words], cwd=folder, env={**kit.environment(), **more},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def command_line(process: subprocess.Popen[Any]) -> str:
    return " ".join(psutil.Process(process.pid).cmdline())


def test_a_fork_is_a_child_of_its_own(tmp_path: Path) -> None:
    kit.enrol(tmp_path)
    words = ["auror_server.cli", "--credentials", "certs/server", "--listen", "127.0.0.1:0"]
    with started(words, tmp_path) as forked, started(words, tmp_path, **EXECUTED) as executed:
        assert ("fork_server" in command_line(forked)) == (sys.platform == "linux")
        kit.wait_until(lambda: "auror_server" in command_line(executed))  # empty as it begins
        assert psutil.Process(forked.pid).ppid() == os.getpid()
        assert forked.poll() is None
        for process in (forked, executed):
            process.kill()
            assert process.wait(kit.PATIENCE) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["auror_server.cli", "--config", "own.toml", "--print-config"], 0),
        (["auror_client.cli", "--credentials", "nowhere"], 3),
        (["auror_client.cli", "--sever", "x"], 2),
    ],
)
def test_forked_and_executed_say_the_same(tmp_path: Path, words: list[str], code: int) -> None:
    (tmp_path / "own.toml").write_text("[session]\nrounds = 3\n")
    more = {"AUROR_SERVER__SESSION__MIN_CLIENTS": "2"}
    said = []
    for environment in (more, {**more, **EXECUTED}):
        with started(words, tmp_path, **environment) as process:
            said.append(process.communicate(timeout=kit.PATIENCE))
        assert process.returncode == code
    assert said[0] == said[1]
    if not code:
        assert "rounds = 3" in said[0][0]
        assert "min_clients = 2" in said[0][0]


def test_what_counts_at_the_start_is_told_from_what_does_not() -> None:
    given = {"PYTHONPATH": "a", "LC_ALL": "C", "OMP_NUM_THREADS": "1", "HOME": "/", "TMPDIR": "/"}
    assert forks.at_start(given) == {
        k: given[k] for k in ("PYTHONPATH", "LC_ALL", "OMP_NUM_THREADS")
    }
