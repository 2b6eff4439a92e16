"""Workers of this machine end with the process that gave them work, however that ends."""

from __future__ import annotations

import subprocess
import sys

import psutil

PARENT = """
import os, time
from auror.experiments.engine import Engine

def cell(number):
    print(os.getpid(), flush=True)
    time.sleep(60)

list(Engine(workers=2).computed(cell, [1, 2], lambda cell, why: None))
"""


def test_workers_end_with_a_parent_that_is_killed() -> None:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = [psutil.Process(int(parent.stdout.readline())) for _ in range(2)]
        assert parent.pid not in {worker.pid for worker in workers}
        parent.kill()
        assert not psutil.wait_procs(workers, timeout=30)[1]
