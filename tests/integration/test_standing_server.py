"""A server and clients that stand, with real programs: trainings are started, killed, resumed."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import kit
import pytest
from kit import invoke

from auror.programs.processes import free_address, programs


def runs(folder: Path) -> dict[str, Any]:
    code, said = invoke("auror", "runs", "runs", "--format", "json", cwd=folder)
    assert code == 0, said
    found: dict[str, Any] = json.loads(said)
    return found


def state(folder: Path, run: str) -> str:
    return {line["run"]: line["state"] for line in runs(folder)["runs"]}[run]


def ready(folder: Path) -> bool:
    return (folder / "runs" / "control.sock").exists()


def settings(folder: Path, address: str) -> dict[str, Any]:
    made = kit.server_settings(folder, address, server__runs=folder / "runs")
    del made["server.run_dir"]
    return made


@pytest.mark.slow
def test_trainings_one_after_the_other_and_what_is_refused(tmp_path: Path) -> None:
    kit.enrol(tmp_path, 6, trainings=3)
    address = free_address()
    ask = ("auror", "start", "runs")
    with programs(tmp_path / "logs") as starter:
        own = kit.client_settings(tmp_path, address, "0-5", client__stand=True)
        del own["client.give_up_after_s"]
        clients = starter.clients(own)
        server = starter.server(settings(tmp_path, address))
        kit.wait_for(lambda: ready(tmp_path), starter)
        assert runs(tmp_path) == {"folder": "runs", "standing": True, "runs": []}
        code, said = invoke(*ask, "--rounds", 700, cwd=tmp_path)
        assert code == 2
        assert "--rounds 700: the policy allows" in said
        assert runs(tmp_path)["runs"] == []
        for number in (1, 2):
            code, said = invoke(*ask, "--rounds", 2, "--wait", "--format", "json", cwd=tmp_path)
            assert code == 0, said
            line = json.loads(said.splitlines()[-1])
            assert (line["run"], line["state"]) == (f"000{number}", "finished")
            assert (line["era"], line["rounds_done"]) == (number - 1, 2)
        # a long one: a second is refused meanwhile; killed, the next start goes on by itself
        code, said = invoke(*ask, "--rounds", 40, cwd=tmp_path)
        assert code == 0
        code, said = invoke(*ask, cwd=tmp_path)
        assert code == 2
        assert "training 0003 is under way" in said
        kit.wait_for(lambda: runs(tmp_path)["runs"][-1]["rounds_done"] > 3, starter)
        server.process.kill()
        server.process.wait()
        starter.started.remove(server)
        assert state(tmp_path, "0003") == "broken off"
        code, said = invoke(*ask, cwd=tmp_path)
        assert code == 5
        assert "no server stands on runs" in said
        server = starter.server(settings(tmp_path, address), "again")
        kit.wait_for(lambda: state(tmp_path, "0003") == "finished", starter)
        # the policy signs no fourth: clients say so, and the server goes on standing
        code, said = invoke(*ask, "--wait", cwd=tmp_path)
        assert code == 2
        assert "signs 3 trainings and clients took part in 3" in said
        assert [line["state"] for line in runs(tmp_path)["runs"]] == ["finished"] * 3 + [
            "ended early"
        ]
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(kit.PATIENCE) == 0, server.last_line()
        assert clients.process.poll() is None
        clients.process.send_signal(signal.SIGTERM)
        assert clients.process.wait(kit.PATIENCE) == 6
    code, said = invoke("auror", "audit", "verify", "runs/0003", cwd=tmp_path)
    assert code == 0, said


def test_a_training_that_ended_early_goes_on_when_asked_to(tmp_path: Path) -> None:
    kit.enrol(tmp_path, 6)
    address = free_address()
    patient = settings(tmp_path, address) | {"session.join_timeout_s": 3}
    with programs(tmp_path / "logs") as starter:
        server = starter.server(patient)
        kit.wait_for(lambda: ready(tmp_path), starter)
        code, said = invoke("auror", "start", "runs", "--rounds", 2, "--wait", cwd=tmp_path)
        assert code == 5
        assert "0 of 6 clients connected within 3 s" in said
        code, said = invoke("auror", "start", "runs", "--resume", "0002", cwd=tmp_path)
        assert code == 2
        assert "--resume 0002: " in said
        clients = starter.clients(kit.client_settings(tmp_path, address, "0-5"))
        kit.wait_until(lambda: "no connection" in clients.log.read_text())
        code, said = invoke("auror", "start", "runs", "--resume", "0001", "--wait", cwd=tmp_path)
        assert code == 0, said
        assert clients.process.wait(kit.PATIENCE) == 0, clients.last_line()
        code, said = invoke("auror", "start", "runs", "--resume", "0001", cwd=tmp_path)
        assert code == 2
        assert "it is finished" in said
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(kit.PATIENCE) == 0


def test_a_signal_in_a_training_stops_it_and_the_next_start_goes_on(tmp_path: Path) -> None:
    kit.enrol(tmp_path, 6)
    address = free_address()
    with programs(tmp_path / "logs") as starter:
        server = starter.server(settings(tmp_path, address))
        kit.wait_for(lambda: ready(tmp_path), starter)
        code, said = invoke("auror", "start", "runs", "--rounds", 3, cwd=tmp_path)
        assert code == 0, said
        time.sleep(0.2)  # while it prepares, or waits for clients
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(kit.PATIENCE) == 6, server.last_line()
        starter.started.remove(server)
        assert state(tmp_path, "0001") == "broken off"
        starter.clients(kit.client_settings(tmp_path, address, "0-5"))
        server = starter.server(settings(tmp_path, address), "again")
        kit.wait_for(lambda: state(tmp_path, "0001") == "finished", starter)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(kit.PATIENCE) == 0
