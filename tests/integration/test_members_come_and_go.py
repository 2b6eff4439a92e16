"""Six sites with keys of their own; one is revoked and one joins while the server trains."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import kit
import pytest

from auror.audit.verify import verify_audit
from auror.deployment.certs import create_deployment
from auror.deployment.credentials import load_policy
from auror.deployment.run_reader import RunReader
from auror.programs.enrol import synthetic_terms
from auror.programs.processes import RunningProgram, Starter, free_address, programs

NAMES = ("anna", "bert", "carl", "dora", "emil", "fred")


class Consortium:
    """An operator, a server and sites, each with a folder of its own."""

    def __init__(self, home: Path) -> None:
        self.home, self.address = home, free_address()
        terms = synthetic_terms(500, kit.PARAMS, 500)
        create_deployment(home / "operator", 6, ["127.0.0.1"], terms, enrol_later=True)

    def said(self, *words: object) -> Any:
        code, told = kit.invoke("auror", *words, "--format", "json", cwd=self.home)
        assert code == 0, told
        return json.loads(told)

    def asks(self, name: str) -> str:
        request: str = self.said("enrol", name)["request"]
        return request

    def approved(self, *names: str) -> None:
        """Keys, request, approval, bundle: two files are copied per site."""
        requests = [self.asks(name) for name in names]
        made = self.said("approve", "operator", *requests, "--server", self.address)
        for name, one in zip(names, made["clients"], strict=True):
            self.said("enrol", name, "--finish", one["bundle"], "--operator", made["operator"])

    def serves(self) -> None:
        """The server's host makes its key, and is approved: it gets a folder."""
        asked = self.said("enrol", "server", "--server")["request"]
        made = self.said("approve", "operator", "--server-request", asked)
        self.said("enrol", "server", "--finish", "operator/server", "--operator", made["operator"])

    def copies_to_server(self) -> None:
        new = self.home / "server" / "policy.new"
        shutil.copy(self.home / "operator" / "server" / "policy.json", new)
        new.rename(self.home / "server" / "policy.json")

    def server(self, starter: Starter, rounds: int) -> RunningProgram:
        settings = kit.server_settings(self.home, self.address, session__rounds=rounds)
        return starter.server({**settings, "server.credentials": self.home / "server"})

    def client(self, starter: Starter, name: str) -> RunningProgram:
        settings = {
            "client.server": self.address,
            "client.credentials": self.home / name,
            "client.state": self.home / f"{name}-state",
            "client.give_up_after_s": 60,
            "data.dataset": "synthetic",
        }
        return starter.clients(settings, name)

    def rounds(self) -> list[dict[str, Any]]:
        return kit.rounds(self.home)

    def wait_for(self, starter: Starter, what: Any) -> None:
        kit.wait_for(lambda: what(self.rounds()), starter)


@pytest.mark.slow
def test_six_sites_enrol_one_is_revoked_one_joins_and_the_training_ends(tmp_path: Path) -> None:
    made = Consortium(tmp_path)
    made.approved(*NAMES)
    made.serves()
    with programs(tmp_path / "logs") as starter:
        server = made.server(starter, 60)
        clients = {name: made.client(starter, name) for name in NAMES}
        made.wait_for(starter, lambda rounds: len(rounds) >= 3)
        # one leaves: the server is told by one file, its clients by the server
        made.said("roster", "revoke", "operator", "3")
        starter.started.remove(clients["dora"])
        made.copies_to_server()
        kit.wait_until(lambda: clients["dora"].process.poll() is not None)
        assert clients["dora"].process.returncode == 3
        assert "client 3 was revoked by the operator" in clients["dora"].last_line()
        again = made.client(starter, "dora")
        starter.started.remove(again)
        assert again.process.wait(kit.PATIENCE) == 3, again.last_line()
        assert "revoked" in again.last_line()
        left = len(made.rounds())
        # one joins, whose program is started before the server has the version
        made.approved("gina")
        gina = made.client(starter, "gina")
        made.copies_to_server()
        made.wait_for(starter, lambda rounds: rounds and 6 in rounds[-1]["accepted"])
        joined = len(made.rounds())
        # and who was revoked comes back
        back = made.said("roster", "reinstate", "operator", "3", "--server", made.address)
        made.copies_to_server()
        made.said("enrol", "dora", "--finish", back["clients"][0]["bundle"])
        dora = made.client(starter, "dora")
        assert server.process.wait(kit.PATIENCE) == 0, server.last_line()
        others = [one for name, one in clients.items() if name != "dora"]
        for one in (*others, gina, dora):
            assert one.process.wait(kit.PATIENCE) == 0, one.last_line()
    rounds = made.rounds()
    assert len(rounds) == 60
    assert all(line["aborted"] is None for line in rounds)
    assert rounds[0]["accepted"] == [0, 1, 2, 3, 4, 5]
    assert all(3 not in line["accepted"] for line in rounds[left:joined])
    assert rounds[-1]["accepted"] == list(range(7))
    kept = RunReader(tmp_path / "run").glance(0)
    assert kept is not None
    assert kept.policy_version == 4
    assert load_policy(tmp_path / "server").version == 4
    verified = verify_audit(tmp_path / "run")
    assert verified.rounds == 60
    memory = json.loads(next(tmp_path.glob("anna-state/*/client-000.json")).read_text())
    assert memory["policy_version"] == 4
    assert memory["rounds"] == 60  # no version cost anybody a round
