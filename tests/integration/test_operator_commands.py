"""What an operator tells a running server over its socket, with real programs."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import kit
from kit import rounds

from auror.programs.processes import Starter, free_address, programs


def told(folder: Path, *words: str, code: int = 0) -> dict[str, Any]:
    """What ``auror`` says as JSON; of a refusal, its text."""
    got, said = kit.invoke("auror", *words, "--format", "json", cwd=folder)
    assert got == code, said
    return {"refused": said} if code else json.loads(said)


def newest(folder: Path) -> list[int]:
    cohort: list[int] = rounds(folder)[-1]["cohort"]
    return cohort


def line_of(folder: Path, client: int) -> dict[str, Any]:
    lines = told(folder, "clients", "run")["clients"]
    found: dict[str, Any] = next(line for line in lines if line["client"] == client)
    return found


def stands_still(folder: Path, starter: Starter) -> int:
    """How many rounds there are once none is in progress any more."""

    def paused() -> bool:
        live = told(folder, "status", "run")["live"]
        return live is not None and live["activity"] == "paused by the operator"

    kit.wait_for(paused, starter)
    return len(rounds(folder))


def test_an_operator_excludes_pauses_resumes_and_stops(tmp_path: Path) -> None:
    kit.enrol(tmp_path, 6)
    address = free_address()
    metrics = free_address()
    settings = kit.server_settings(tmp_path, address, session__rounds=490, server__metrics=metrics)
    with programs(tmp_path / "logs") as starter:
        server, _clients = kit.playing(starter, tmp_path, settings)

        said = told(tmp_path, "exclude", "run", "5")
        assert said == {"paused": False, "excluded": [5]}
        kit.wait_for(lambda: newest(tmp_path) == [0, 1, 2, 3, 4], starter)
        assert rounds(tmp_path)[-1]["by_hand"] == [5]
        with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        assert 'auror_clients{state="excluded_by_hand"} 1.0\n' in text
        assert float(text.split('auror_rounds_total{result="total"} ')[1].split()[0]) >= 3
        assert line_of(tmp_path, 5)["standing"] == "excluded by hand"
        first = line_of(tmp_path, 0)
        assert (first["standing"], first["connected"]) == ("invited", True)
        assert 3 <= first["in_total"] <= first["invited"] <= 20
        refused = told(tmp_path, "exclude", "run", "3-4", code=2)["refused"]
        assert "3 of 6 members would be left" in refused
        assert "`auror roster revoke DIR 3,4,5`" in refused
        assert "client 17 is no member" in told(tmp_path, "exclude", "run", "17", code=2)["refused"]
        assert "not excluded" in told(tmp_path, "reinstate", "run", "0", code=2)["refused"]

        told(tmp_path, "pause", "run")
        done = stands_still(tmp_path, starter)
        time.sleep(1.0)  # dozens of rounds otherwise
        assert len(rounds(tmp_path)) == done
        server.process.kill()
        server.process.wait()
        starter.started.remove(server)
        server = starter.server(settings, "again")
        assert stands_still(tmp_path, starter) == done
        assert told(tmp_path, "status", "run")["by_hand"] == [5]
        told(tmp_path, "resume", "run")
        kit.wait_for(lambda: len(rounds(tmp_path)) > done + 1, starter)
        assert newest(tmp_path) == [0, 1, 2, 3, 4]
        told(tmp_path, "reinstate", "run", "5")
        kit.wait_for(lambda: newest(tmp_path) == [0, 1, 2, 3, 4, 5], starter)

        assert told(tmp_path, "log", "run") == {"level": "info"}
        told(tmp_path, "log", "run", "--level", "debug")
        log = tmp_path / "logs" / "again.log"
        kit.wait_for(lambda: "phase=upload" in log.read_text(encoding="utf-8"), starter)

        told(tmp_path, "stop", "run", "--after-round")
        assert server.process.wait(kit.PATIENCE) == 6
        last = rounds(tmp_path)[-1]
        assert (last["aborted"], last["interrupted"]) == (None, False)
        assert told(tmp_path, "status", "run")["broken_off"] == []
        gone = told(tmp_path, "pause", "run", code=5)["refused"]
        assert "no server takes commands on run" in gone
