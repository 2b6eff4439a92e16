"""The machines that a test runs on: what they are, and how busy everything on them keeps them."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from auror.cores import cores

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_IDLE = ("idle", "iowait", "steal", "guest", "guest_nice")


@dataclass(frozen=True)
class MachineUse:
    """One machine at one moment."""

    boot: str
    """Which machine it is: several nodes of a cluster may be one."""
    cores: int
    """That the process that looked may use."""
    cpu: float
    """CPU seconds of everything on it, whoever started it, since it runs."""


def machine_use() -> MachineUse:
    """This machine now."""
    times = psutil.cpu_times()._asdict()
    used = sum(value for name, value in times.items() if name not in _IDLE)
    try:
        boot = _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        boot = platform.node()
    return MachineUse(boot, cores(), round(used, 2))


def machine() -> dict[str, Any]:
    """On which it was measured."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    """As Linux names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")
