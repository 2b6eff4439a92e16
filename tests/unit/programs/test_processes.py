"""How a program that was started says that it failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from auror.errors import MachineError, UnavailableError, UserError
from auror.programs.processes import RunningProgram


@pytest.mark.parametrize(("code", "kind"), [(11, MachineError), (3, UnavailableError)])
def test_what_its_machine_did_keeps_its_code(
    code: int, kind: type[UserError], tmp_path: Path
) -> None:
    process = subprocess.Popen([sys.executable, "-S", "-c", f"raise SystemExit({code})"])
    log = tmp_path / "clients.log"
    log.write_text("/state: No space left on device\n")
    process.wait()
    with pytest.raises(kind, match=f"clients ended with exit code {code}: /state: No") as failed:
        RunningProgram("clients", process, log).check()
    assert failed.type is kind
