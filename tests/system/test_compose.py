"""docs/containers.md, run: start, train, kill, restart, revoke, finish; a network per network.

Each line of its first part is carried out in the order of the page: what a container engine is
asked for by ``engine.Engine``, the rest by the operator, a user without a name.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import engine
import page_kit
import pytest
import sandbox

PAGE = "docs/containers.md"
OPERATOR = "10002:10002"
RUN = f"{engine.IMAGE_FOLDER}/runs/0001"
QUICK = {"AUROR_DATASET": "digits"}
PATIENCE_S = 200
STOPPED, REFUSED = 6, 3
ROUNDS = 100
"""As many as leave time to pause it and revoke somebody."""


class House:
    """The operator's folder ``deploy``, and the engine that plays what is in it."""

    def __init__(self, folder: Path, deploy: Path, played: engine.Engine) -> None:
        self._folder, self._deploy, self.engine = folder, deploy, played

    def carry_out(self, line: str) -> str:
        """Returns what the command printed."""
        match shlex.split(line):
            case ["docker", "compose", "up", *_]:
                self.engine.up()
                return ""
            case ["docker", "compose", "exec", name, *argv]:
                done = self.engine.exec(name, argv)
            case ["docker", "compose", "stop", name]:
                self.engine.stop(name)
                return ""
            case ["docker", "compose", "cp", source, "."]:
                name, _, path = source.partition(":")
                shutil.copy(self.engine.on_this_machine(name, path), self._folder)
                return ""
            case ["docker", "compose", "down"]:
                for name in self.engine.containers:
                    self.engine.stop(name)
                return ""
            case ["docker", *_]:
                raise AssertionError(f"no such command here: {line}")
            case _:
                mounts = [sandbox.Mount(self._deploy, "/deploy")]
                words = sandbox.command(["sh", "-ec", line], user=OPERATOR, mounts=mounts,
                                        folder="/deploy")  # fmt: skip
                done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout

    def status(self) -> Any:
        done = self.engine.exec("server", ["auror", "status", RUN, "--format", "json"])
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def order(self, word: str) -> None:
        done = self.engine.exec("server", ["auror", word, RUN])
        assert done.returncode == 0, (done.stdout, done.stderr)

    def until(self, wanted: Callable[[], Any], what: str) -> None:
        stop = time.monotonic() + PATIENCE_S
        while not wanted():
            if time.monotonic() > stop:
                logs = {n: c.text()[-1500:] for n, c in self.engine.containers.items()}
                raise AssertionError(f"{what} did not happen: {logs}")
            time.sleep(0.5)

    def watched(self) -> list[str]:
        """How Prometheus finds the servers that it watches."""
        code = "import urllib.request as r; print(r.urlopen('http://localhost:9090/api/v1/targets').read().decode())"
        done = self.engine.exec("prometheus", ["python", "-c", code])
        found = json.loads(done.stdout)["data"]["activeTargets"] if done.returncode == 0 else []
        return [target["health"] for target in found if target["labels"]["job"] == "auror"]

    def reaches_metrics(self, name: str) -> bool:
        compose = engine.read(self._deploy / "compose.yaml", {})
        (setting,) = (w for w in compose["services"]["server"]["command"] if "metrics" in w)
        host, _, port = setting.rpartition("=")[2].partition(":")
        code = f"import socket; socket.create_connection(('{host}', {port}), timeout=3)"
        return self.engine.exec(name, ["python", "-c", code]).returncode == 0

    def rounds(self) -> int:
        return int(self.status().get("rounds_done", 0))


@pytest.fixture
def house(tmp_path: Path) -> Any:
    deploy = tmp_path / "deploy"
    shutil.copytree(sandbox.ROOT / "deploy", deploy)
    uid, gid = map(int, OPERATOR.split(":"))
    for path in (deploy, *deploy.rglob("*")):
        os.chown(path, uid, gid)
    with engine.Engine(deploy / "compose.yaml", tmp_path, QUICK) as played:
        yield House(tmp_path, deploy, played)


def test_start_train_kill_restart_revoke_finish(house: House, tmp_path: Path) -> None:
    ours = page_kit.lines(PAGE, section="Server, Prometheus and five clients on one machine")
    enrol, user, up, start, look, revoke, stop, verify, copy, down = ours
    containers = house.engine.containers
    house.carry_out(enrol.replace("auror certs certs", "auror certs certs --dataset digits"))
    house.carry_out(user)
    house.carry_out(up)
    house.until(lambda: "standing" in containers["server"].text(), "a server that stands")
    asked = house.carry_out(start.replace("--rounds 10", f"--rounds {ROUNDS}"))
    assert "0001" in asked
    house.until(lambda: house.rounds() >= 1, "a first round")
    assert "running" in house.carry_out(look)

    house.until(lambda: house.watched() == ["up"], "a server that Prometheus sees")
    assert house.reaches_metrics("prometheus")
    assert not house.reaches_metrics("client-0")

    house.engine.kill("client-3")
    house.engine.kill("server")
    before = house.rounds()
    house.until(lambda: house.rounds() > before, "a round after two kills")
    assert containers["client-3"].codes == containers["server"].codes == [137]

    house.order("pause")
    house.carry_out(revoke)
    house.until(lambda: containers["client-4"].codes, "the end of who is revoked")
    before = house.rounds()
    assert before < ROUNDS
    house.order("resume")
    house.until(lambda: house.rounds() > before, "a round without who is revoked")
    house.carry_out(stop)
    assert set(containers["client-4"].codes) <= {REFUSED, STOPPED}
    assert containers["client-4"].codes[0] == REFUSED
    house.until(lambda: house.status().get("finished"), "the end of the training")
    assert house.rounds() == ROUNDS
    house.carry_out(verify)
    house.carry_out(copy)
    assert (tmp_path / "model.safetensors").stat().st_size > 1000

    house.carry_out(down)
    assert containers["server"].codes == [137, 0]
    assert {containers[f"client-{i}"].codes[-1] for i in range(4)} == {STOPPED}
    for name, container in containers.items():
        assert "Traceback" not in container.text(), name
