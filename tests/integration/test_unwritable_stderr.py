"""Standard error that takes nothing costs lines of progress, and no result."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from auror.child import module_command

LOAD = ("loadtest", "--clients", "6", "--group-size", "2", "--dim", "100", "--rounds", "1",
        "--dropout", "0")  # fmt: skip
SIMULATE = ("simulate", "--dataset", "digits", "--clients", "6", "--rounds", "1", "--runs", "clean")
BENCH = ("bench", "defence", "--reduced")


def check(words: tuple[str, ...], stderr: int, code: int = 0) -> None:
    command = module_command("auror.cli", *words, "--format", "json")
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, check=False)
    assert done.returncode == code
    assert bool(done.stdout) == (code == 0)
    if done.stdout:
        json.loads(done.stdout)


@pytest.mark.parametrize(
    "words",
    [LOAD, SIMULATE, pytest.param(BENCH, marks=pytest.mark.slow)],
    ids=lambda words: words[0],
)
def test_a_full_disk_for_progress(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        check(words, full.fileno())


def test_nobody_reads_the_progress() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    check(SIMULATE, writes)
    check((*SIMULATE, "--clients", "1"), writes, 2)
    os.close(writes)


def test_it_is_closed() -> None:
    command = module_command("auror.cli", *SIMULATE)
    shell = ["sh", "-c", '"$@" 2>&-', "sh", *command]
    done = subprocess.run(shell, capture_output=True, check=False)
    assert done.returncode == 0
    assert b"accuracy" in done.stdout
