"""``auror status`` of real processes: before and in a round, and once the server is killed."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import kit
from auror_server.config import SessionSection

from auror.programs.processes import free_address, programs, wait_until_listening


def looked(folder: Path) -> dict[str, Any]:
    code, said = kit.invoke("auror", "status", "run", "--format", "json", cwd=folder)
    assert code == 0, said
    found: dict[str, Any] = json.loads(said)
    return found


def live(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = looked(folder)["live"]
    return found


def test_an_operator_sees_whom_a_round_waits_for_and_that_a_killed_server_runs_no_more(
    tmp_path: Path,
) -> None:
    kit.enrol(tmp_path, 6)
    address = free_address()
    settings = kit.server_settings(tmp_path, address, session__rounds=500)
    with programs(tmp_path / "logs") as starter:
        server = starter.server(settings)
        wait_until_listening(address, server)
        assert live(tmp_path)["waiting_for"] == list(range(6))
        starter.clients(kit.client_settings(tmp_path, address, "0-4"), "most", (0, -9))
        sleeper = starter.clients(kit.client_settings(tmp_path, address, "5"), "sleeper", (0, -9))
        kit.wait_for(lambda: len(kit.rounds(tmp_path)) >= 1, starter)
        os.kill(sleeper.process.pid, signal.SIGSTOP)
        kit.wait_for(lambda: live(tmp_path)["waiting_for"] == [5], starter)
        asked = time.monotonic()
        found = looked(tmp_path)
        assert time.monotonic() - asked < 2.0  # though the round stands still
        assert found["live"]["activity"] == "playing a round"
        timing = SessionSection()  # which phase it fell asleep in is chance
        uploading = found["live"]["phase"] == "upload"
        longest = timing.upload_deadline_s if uploading else timing.phase_deadline_s
        assert 0.0 < found["live"]["deadline_s"] <= longest
        assert found["live"]["connected"] == list(range(6))
        head = found["audit_head"]
        server.process.kill()
        server.process.wait()
        found = looked(tmp_path)
        assert (found["server"], found["live"]) == ("not running", None)
        assert found["broken_off"] == [found["last"]["round"]]
        assert found["rounds_done"] == len(kit.rounds(tmp_path))
        code, said = kit.invoke("auror", "audit", "verify", "run", "--head", head, cwd=tmp_path)
        assert code == 0, said
        assert said.startswith(f"holds: {found['rounds_done'] + 1} entries, ")
        os.kill(sleeper.process.pid, signal.SIGKILL)
