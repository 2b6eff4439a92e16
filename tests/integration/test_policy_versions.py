"""The next version of the policy, and a client whose budget ends, between real programs."""

from __future__ import annotations

import json
from pathlib import Path

import kit
from auror_server.config import load_config
from auror_server.hosts import SyntheticHost
from auror_server.start import identity_of
from auror_server.state.opening import begin

from auror.crypto.entropy import system_entropy
from auror.deployment.credentials import load_server
from auror.ids import ClientId
from auror.programs.processes import free_address, programs, wait_until_listening
from auror.training.campaign import Campaign


def exclude(folder: Path, settings: dict[str, object], *clients: int) -> None:
    """Leave a run folder as a server does that has proven these clients to lie."""
    config = load_config(
        None, {}, [f"{k}={json.dumps(v, default=str)}" for k, v in settings.items()]
    )
    credentials = load_server(folder / "certs" / "server")
    policy = credentials.policy
    campaign = Campaign(
        config.campaign(synthetic=True), SyntheticHost(policy.task, 500), policy, system_entropy
    )
    campaign.state.conduct.excluded = {ClientId(client): 0 for client in clients}
    (folder / "run").mkdir()
    begin(folder / "run", identity_of(config, policy), campaign.state).close()


def test_too_few_members_then_the_next_version_and_the_run_goes_on(tmp_path: Path) -> None:
    kit.enrol(tmp_path, 6)
    address = free_address()
    settings = kit.server_settings(tmp_path, address)
    exclude(tmp_path, settings, 1, 3, 4)
    with programs(tmp_path / "logs") as starter:
        server = starter.server(settings, "first")
        wait_until_listening(address, server)
        own = kit.client_settings(tmp_path, address, "0-5", client__give_up_after_s=3)
        clients = starter.clients(own, "before")
        assert server.process.wait(kit.PATIENCE) == 5
        # whoever was connected is told so, whoever was not finds nobody there
        assert clients.process.wait(kit.PATIENCE) in (5, 6)
    said = server.last_line()
    assert "3 of 6 members are left, the policy's floor is 4" in said
    command = said.split("`")[1]
    assert command == "auror roster revoke DIR 1,3,4"
    code, told = kit.invoke("auror", *command.replace("DIR", "certs").split()[1:], cwd=tmp_path)
    assert code == 0, told
    assert "version 2, 3 members" in told
    with programs(tmp_path / "logs") as starter:
        server = starter.server(settings, "second")
        wait_until_listening(address, server)
        clients = starter.clients(kit.client_settings(tmp_path, address, "0,2,5"), "after")
        assert server.process.wait(kit.PATIENCE) == 0, server.last_line()
        assert clients.process.wait(kit.PATIENCE) == 0, clients.last_line()
    lines = kit.rounds(tmp_path)
    assert [line["accepted"] for line in lines] == [[0, 2, 5]] * 3
    memory = json.loads(next(tmp_path.rglob("client-005.json")).read_text())
    assert memory["policy_version"] == 2
    # the version before is not taken any more, and who was excluded is told so
    old = tmp_path / "certs" / "clients" / "001" / "policy.json"
    new = tmp_path / "certs" / "clients" / "005" / "policy.json"
    kept = new.read_bytes()
    new.write_bytes(old.read_bytes())
    words = ("--dataset", "synthetic", "--state", "state")
    code, told = kit.invoke(
        "auror_client", "--credentials", "certs/clients/005", *words, cwd=tmp_path
    )
    assert code == 2
    assert "policy.json is version 1, but this client has held version 2" in told
    old.write_bytes(kept)
    code, told = kit.invoke(
        "auror_client", "--credentials", "certs/clients/001", *words, cwd=tmp_path
    )
    assert code == 3
    assert "client 1 was revoked by the operator and is no member in version 2" in told


def test_a_client_stops_when_its_budget_is_spent(tmp_path: Path) -> None:
    kit.enrol(tmp_path, 6)
    address = free_address()
    with programs(tmp_path / "logs") as starter:
        server = starter.server(kit.server_settings(tmp_path, address, session__rounds=4))
        wait_until_listening(address, server)
        others = starter.clients(kit.client_settings(tmp_path, address, "0-4"), "others")
        own = kit.client_settings(tmp_path, address, "5", rules__max_openings=2)
        thrifty = starter.clients(own, "thrifty")
        assert thrifty.process.wait(kit.PATIENCE) == 8
        assert server.process.wait(kit.PATIENCE) == 0, server.last_line()
        assert others.process.wait(kit.PATIENCE) == 0, others.last_line()
        starter.started.remove(thrifty)
        again = starter.clients(own, "again")  # before it connects anywhere
        assert again.process.wait(kit.PATIENCE) == 8
        starter.started.remove(again)
    line = "client 5: the budget of this client's data is spent (2 attempts, rules.max_openings 2)"
    assert line in thrifty.last_line()
    assert line in again.last_line()
    found = kit.rounds(tmp_path)
    assert [5 in line["accepted"] for line in found] == [True, True, False, False]
