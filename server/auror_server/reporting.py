"""``report.html`` at the end of a run, made by a process of its own: the server itself loads no
figures, no experiments and no torch for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from auror.child import module_command
from auror.deployment.logs import logger

_SECONDS = 120.0
_log = logger("report")


def make_report(folder: Path) -> None:
    """Write the page; a failure is a warning, the run itself is safe on disk."""
    command = f"auror report {folder}"
    _log.info("making the report", at_most_s=_SECONDS)
    try:
        done = subprocess.run(
            module_command("auror.cli", "report", str(folder)),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        _log.warning("no report was made", why=str(error), again=command)
        return
    if done.returncode:
        said = done.stderr.strip().splitlines()
        _log.warning("no report was made", why=said[-1] if said else "", again=command)
    else:
        _log.info("report made", page=str(folder / "report.html"))
