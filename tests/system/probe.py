"""What this machine lacks for tests/system, in one line; exit code 1 then.

    python tests/system/probe.py

It tries what the tests do: a namespace with a bridge and a cable, and a sandbox in it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import sandbox

TOOLS = ("bwrap", "chromium", "ip", "nsenter", "prometheus", "promtool", "setpriv",
         "systemd-analyze", "unshare")  # fmt: skip
CABLES = "ip link add auror0 type bridge && ip link add auror1 type veth peer name auror2"


def said(words: list[str]) -> str | None:
    """Why a command failed."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return None if done.returncode == 0 else (lines or [f"exit code {done.returncode}"])[-1]


def lacking() -> str | None:
    if os.geteuid() != 0:
        return "it makes network namespaces: run it as root"
    hadolint = Path(sys.prefix) / "bin" / "hadolint"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    missing += [] if hadolint.exists() else ["hadolint"]
    if missing:
        return f"{', '.join(missing)} not found: run make system-deps"
    why = said(["unshare", "--net", "true"])
    if why is not None:
        return f"no network namespaces ({why}): this needs CAP_SYS_ADMIN"
    why = said(["unshare", "--net", "sh", "-ec", CABLES])
    if why is not None:
        return f"no bridge and cable in a namespace ({why}): this needs CAP_NET_ADMIN, veth, bridge"
    why = said(sandbox.command(["true"], user="10001:10001"))
    if why is not None:
        return f"no sandbox ({why}): this needs CAP_SYS_ADMIN and mounts"
    return None


if __name__ == "__main__":
    reason = lacking()
    if reason is not None:
        sys.exit(f"test-system cannot run here: {reason}")
