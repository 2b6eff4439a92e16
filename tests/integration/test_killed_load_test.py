"""A load test that is killed leaves no server and no clients behind."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import psutil

from auror.child import module_command


def test_its_programs_end_with_it(tmp_path: Path) -> None:
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
        while len(started) < 3 and time.monotonic() < until:  # the server, and two of clients
            assert running.poll() is None
            time.sleep(0.2)
            started = psutil.Process(running.pid).children()
        assert len(started) == 3
        said = " ".join(word for one in started for word in one.cmdline())
        in_memory = set(re.findall(r"/dev/shm/auror-[^/\"]+", said))
    finally:
        running.kill()
        running.wait()
    alive = psutil.wait_procs(started, timeout=30 if psutil.LINUX else 0)[1]
    for one in alive:
        one.kill()
    assert not alive or not psutil.LINUX  # elsewhere nobody is told of a parent's death
    for left in in_memory:
        shutil.rmtree(left)
