"""A load test that is killed leaves no server and no clients behind, one that is asked to end
nothing at all."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from auror.child import module_command


@dataclass
class Playing:
    """A load test whose programs run."""

    process: subprocess.Popen[bytes]
    programs: list[psutil.Process]
    """The server, and two of clients."""
    in_memory: set[str]
    """Its folders in memory."""


@contextmanager
def playing(tmp_path: Path) -> Iterator[Playing]:
    words = ("loadtest", "--clients", "6", "--group-size", "2", "--dim", "100", "--rounds", "9999")
    running = subprocess.Popen(
        module_command("auror.cli", *words),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    try:
        started: list[psutil.Process] = []
        until = time.monotonic() + 60
        while len(started) < 3 and time.monotonic() < until:
            assert running.poll() is None
            time.sleep(0.2)
            started = psutil.Process(running.pid).children()
        assert len(started) == 3
        said = " ".join(word for one in started for word in one.cmdline())
        yield Playing(running, started, set(re.findall(r"/dev/shm/auror-[^/\"]+", said)))
    finally:
        running.kill()
        running.wait()


def test_its_programs_end_with_it(tmp_path: Path) -> None:
    with playing(tmp_path) as test:
        pass
    alive = psutil.wait_procs(test.programs, timeout=30 if psutil.LINUX else 0)[1]
    for one in alive:
        one.kill()
    assert not alive or not psutil.LINUX  # elsewhere nobody is told of a parent's death
    for left in test.in_memory:
        shutil.rmtree(left)


def test_sigterm_takes_its_keys_with_it(tmp_path: Path) -> None:
    with playing(tmp_path) as test:
        assert list(tmp_path.glob("auror-*/certs/operator/operator.key"))
        test.process.send_signal(signal.SIGTERM)
        test.process.send_signal(signal.SIGTERM)
        assert test.process.wait(60) == 130
    assert not psutil.wait_procs(test.programs, timeout=0)[1]
    assert not list(tmp_path.iterdir())
    assert not any(Path(folder).exists() for folder in test.in_memory)
