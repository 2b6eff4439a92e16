"""What of this machine a process may use, and has used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from auror import cores
from auror.cores import peak_memory

_MOST = 300 << 20


def test_memory_at_its_peak_stays_after_it_is_given_back() -> None:
    before = peak_memory()
    held = bytearray(2 * before)
    held[::4096] = b"x" * len(held[::4096])
    del held
    assert peak_memory() > 1.5 * before


def test_the_memory_of_the_process_that_started_this_one_does_not_count() -> None:
    asked = [sys.executable, "-c", "from auror.cores import *; print(peak_memory())"]
    parent = f"import subprocess; held = b'x' * {_MOST}; subprocess.run({asked!r}, check=True)"
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, check=True)
    assert 0 < int(done.stdout) < _MOST


@pytest.mark.parametrize("status", [None, "Name:\tpython\nVmRSS:\t 1 kB\n"])
def test_a_sandbox_that_tells_no_peak_is_asked_otherwise(
    status: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "status"
    if status is not None:
        path.write_text(status)
    monkeypatch.setattr(cores, "_STATUS", path)
    assert peak_memory() > 1 << 20
