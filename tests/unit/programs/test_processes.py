"""How a program that was started says that it failed."""

from __future__ import annotations

import os
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


def test_what_a_program_cost_in_all_is_known_after_its_end(tmp_path: Path) -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    process = subprocess.Popen([sys.executable, "-c", busy])
    program = RunningProgram("busy", process, tmp_path / "log")
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    program.look()
    assert program.cpu >= 0.29
    program.stop()
