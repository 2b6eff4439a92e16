"""Threads share pools of memory, so that what one of them freed serves the next; and garbage cycles
are seldom searched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

POOLS = """
import ctypes, sys, threading
from auror.deployment.allocator import few_arenas
if sys.argv[1] == "few":
    assert few_arenas()
libc, met = ctypes.CDLL(None), threading.Barrier(12)
libc.fopen.restype = ctypes.c_void_p
libc.malloc.restype = ctypes.c_void_p

def work():
    met.wait()
    libc.malloc(50_000)  # outside the interpreter's lock
    met.wait()

threads = [threading.Thread(target=work) for _ in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
to = libc.fopen(sys.argv[2].encode(), b"w")
libc.malloc_info(0, ctypes.c_void_p(to))
libc.fclose(ctypes.c_void_p(to))
"""


@pytest.mark.parametrize(("which", "pools"), [("few", 2), ("many", 5)])
def test_threads_share_two_pools(tmp_path: Path, which: str, pools: int) -> None:
    report = tmp_path / "malloc.xml"
    subprocess.run([sys.executable, "-c", POOLS, which, str(report)], check=True, timeout=100)
    found = report.read_text().count("<heap ")
    assert found == pools if which == "few" else found >= pools


CYCLES = """
import gc, sys
from auror.deployment.allocator import SEARCHED_AFTER, seldom_search_for_cycles
searched = []
gc.callbacks.append(lambda when, what: searched.append(when))
seldom_search_for_cycles()
searched.clear()
kept = [[] for _ in range(SEARCHED_AFTER - 5_000)]
assert not searched
kept += [[] for _ in range(10_000)]
assert searched
"""


def test_cycles_are_searched_after_ten_thousands_of_objects() -> None:
    subprocess.run([sys.executable, "-c", CYCLES], check=True, timeout=100)
