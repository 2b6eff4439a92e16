"""How much of this machine a process may use, and has used."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_KIB = 1024


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes.

    On Linux by ``VmHWM``: ``ru_maxrss`` begins with the size of the process that started this one.
    """
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        lines = []
    said = [int(line.split()[1]) * _KIB for line in lines if line.startswith("VmHWM:")]
    if said:
        return said[0]
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # elsewhere, and in some sandboxes
    return most if sys.platform == "darwin" else most * _KIB
