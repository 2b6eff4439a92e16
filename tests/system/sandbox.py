"""A process as in a container: a root that nobody writes, a user without a name, no home.

bubblewrap makes the root from this machine's programs; there is no ``/etc/passwd`` in it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent.parent}
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64")
FILES = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/nsswitch.conf", "/etc/ssl")
ENVIRONMENT = {
    "PATH": f"{Path(sys.prefix) / 'bin'}:/usr/bin:/bin",
    "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("", "server", "client")),
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "OMP_NUM_THREADS": "1",
}
"""Of every process, and no other variable: what the image sets, and where this checkout is."""


@dataclass(frozen=True)
class Mount:
    source: Path
    target: str
    writable: bool = True


def command(
    argv: Sequence[str],
    *,
    user: str,
    mounts: Sequence[Mount] = (),
    folder: str = "/",
    environment: Mapping[str, str] = ENVIRONMENT,
    network_of: int | None = None,
) -> list[str]:
    """``argv`` as process 1 of a sandbox.

    Args:
        user: ``uid:gid``; no privileges, and none to be had.
        network_of: process whose network namespace it joins; None = no network but loopback.
    """
    uid, _, gid = user.partition(":")
    into = ["nsenter", f"--target={network_of}", "--net", "--"] if network_of else []
    words = [*into, "bwrap", "--die-with-parent", "--unshare-pid", "--unshare-ipc", "--as-pid-1"]
    words += [] if network_of else ["--unshare-net"]
    words += [
        part for name in ("SETUID", "SETGID", "SETPCAP") for part in ("--cap-add", f"CAP_{name}")
    ]
    for name in SYSTEM:
        path = Path(name)
        if path.is_symlink():
            words += ["--symlink", str(path.readlink()), name]
        elif path.exists():
            words += ["--ro-bind", name, name]
    shown = [path for path in (*map(Path, FILES), *sorted(PYTHON), ROOT) if path.exists()]
    words += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp"]
    for mount in (*(Mount(path, str(path), writable=False) for path in shown), *mounts):
        # bubblewrap would make them for root only
        words += [part for above in reversed(Path(mount.target).parents[:-1])
                  for part in ("--perms", "0755", "--dir", str(above))]  # fmt: skip
        words += ["--bind" if mount.writable else "--ro-bind", str(mount.source), mount.target]
    words += ["--remount-ro", "/", "--chdir", folder, "--clearenv"]
    words += [part for pair in environment.items() for part in ("--setenv", *pair)]
    dropped = ("--clear-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all")
    return [*words, "setpriv", f"--reuid={uid}", f"--regid={gid or uid}", *dropped,
            "--pdeathsig=KILL", *argv]  # fmt: skip


def within(process: subprocess.Popen[bytes]) -> int | None:
    """Process 1 of the sandbox that ``process`` keeps, as this machine numbers it."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    try:
        found = children.read_text(encoding="ascii").split()
    except OSError:
        return None
    return int(found[0]) if found else None
