"""Real clients that are ended or started anew in the middle of a round."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import kit

from auror.programs.processes import free_address, programs, wait_until_listening

SLOW = Path(__file__).with_name("slow_client.py")


def test_a_client_ends_while_it_trains_and_started_anew_it_holds_up_nobody(tmp_path: Path) -> None:
    kit.enrol(tmp_path)
    address = free_address()
    # neither the deadline nor the grace may end the upload phase
    patient = {
        "session.reconnect_grace_s": 300,
        "session.upload_deadline_s": 300,
        "server.verbose": True,
    }
    own = kit.client_settings(tmp_path, address, "5")
    words = {key: value if isinstance(value, int) else str(value) for key, value in own.items()}
    flags = [part for key in own for part in ("--set", f"{key}={json.dumps(words[key])}")]
    with programs(tmp_path / "logs") as starter:
        settings = kit.server_settings(tmp_path, address, session__rounds=2)
        server = starter.server({**settings, **patient})
        wait_until_listening(address, server)
        starter.clients(kit.client_settings(tmp_path, address, "0-4"), "quick")
        slow = subprocess.Popen([sys.executable, str(SLOW), *flags], env=kit.environment())
        kit.wait_for(lambda: "phase=upload" in server.log.read_text(), starter)
        slow.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        assert slow.wait(kit.PATIENCE) == 6
        assert time.monotonic() - asked < 30  # it trains for 60; under a second on an idle machine
        starter.clients(own, "again")
        assert server.process.wait(kit.PATIENCE) == 0, server.last_line()
    first, second = kit.rounds(tmp_path)
    assert first["dropped"] == {"5": "REFUSED"}
    assert first["accepted"] == [0, 1, 2, 3, 4]
    assert second["accepted"] == [0, 1, 2, 3, 4, 5]
