"""A program on a leash ends with the process that started it, however that ends."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil

PARENT = """
import os, subprocess, sys
leash = [sys.executable, "-m", "auror.programs.leash", sys.argv[1] or str(os.getpid())]
child = subprocess.Popen([*leash, "timeit", "-n1", "-r1", "print('up', flush=True)", *sys.argv[2:]])
print(child.pid, flush=True)
child.wait()
sys.exit(child.returncode)
"""


def start(parent: str, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PARENT, parent, *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_it_is_killed_with_a_parent_that_is_killed() -> None:
    with start("", "import time", "time.sleep(60)") as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert parent.stdout.readline() == "up\n"  # the module runs, with its own words
        parent.kill()
        assert psutil.wait_procs([child], timeout=30)[0]


def test_it_does_not_start_when_the_parent_is_gone() -> None:
    with start(str(os.getpid())) as parent:  # who is not the one that starts it
        out, error = parent.communicate(timeout=60)
    assert parent.returncode == 1
    assert "timeit: the process that started it is gone" in error
    assert "up" not in out
