"""The same certificates and state folders, one training after the other, with real programs."""

from __future__ import annotations

import json
from pathlib import Path

import kit
import pytest

from auror.deployment.run_reader import RunReader
from auror.programs.processes import free_address, programs, wait_until_listening


@pytest.mark.slow
def test_three_trainings_and_no_fourth(tmp_path: Path) -> None:
    kit.enrol(tmp_path, 6, trainings=3)
    counters = []
    for training in range(4):
        address = free_address()
        run_dir = tmp_path / f"run-{training}"
        settings = kit.server_settings(tmp_path, address, server__run_dir=run_dir)
        with programs(tmp_path / f"logs-{training}") as starter:
            server = starter.server(settings)
            wait_until_listening(address, server)
            clients = starter.clients(kit.client_settings(tmp_path, address, "0-5"))
            code = server.process.wait(kit.PATIENCE)
            if training == 3:
                assert code == 2
                assert "signs 3 trainings and clients took part in 3" in server.last_line()
                clients.process.wait(kit.PATIENCE)
                break
            assert code == 0, server.last_line()
            assert clients.process.wait(kit.PATIENCE) == 0, clients.last_line()
        lines = RunReader(run_dir).rounds()
        assert [(line["era"], line["aborted"]) for line in lines] == [(training, None)] * 3
        counters += [line["round_id"]["counter"] for line in lines]
        assert kit.run("auror", "audit", "verify", str(run_dir), cwd=tmp_path)[0] == 0
    assert counters == list(range(9))
    account = kit.run(
        "auror_client", "--account", "--format", "json", "--credentials", "certs/clients/000",
        cwd=tmp_path,
    )  # fmt: skip
    assert json.loads(account[1])[0]["totals"] == 9


def test_the_operator_allows_further_trainings(tmp_path: Path) -> None:
    kit.enrol(tmp_path, 6)
    for training in range(2):
        if training:
            code, said = kit.invoke(
                "auror", "policy", "next", "certs", "--trainings", 1, cwd=tmp_path
            )
            assert code == 0
            assert "2 trainings; copy server/policy.json, and server/models, to the server" in said
        kit.session(tmp_path, f"logs-{training}", server__run_dir=tmp_path / str(training))
    assert {line["era"] for line in RunReader(tmp_path / "1").rounds()} == {1}


def test_a_server_killed_in_its_first_round_goes_on_where_it_followed(tmp_path: Path) -> None:
    kit.enrol(tmp_path, 6, trainings=2)
    address = free_address()
    kit.session(tmp_path, "logs", server__run_dir=tmp_path / "first")
    settings = kit.server_settings(tmp_path, address)
    ids = "0-5"
    with programs(tmp_path / "more") as starter:
        server = starter.server(settings, "killed")
        wait_until_listening(address, server)
        clients = starter.clients(kit.client_settings(tmp_path, address, ids))
        kit.wait_for(lambda: "follows earlier trainings" in server.log.read_text(), starter)
        server.process.kill()
        server.process.wait()
        starter.started.remove(server)
        server = starter.server(settings, "resumed")
        wait_until_listening(address, server)
        assert server.process.wait(kit.PATIENCE) == 0, server.last_line()
        assert clients.process.wait(kit.PATIENCE) == 0, clients.last_line()
    lines = kit.rounds(tmp_path)
    assert {line["era"] for line in lines} == {1}
    assert [line["aborted"] for line in lines].count(None) == 3
    counters = [line["round_id"]["counter"] for line in lines]
    assert counters == sorted(set(counters))
    assert counters[0] >= 3
