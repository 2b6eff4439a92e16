"""Whole sessions between real processes over mutual TLS, with clients and servers that die."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import grpc
import kit
import pytest
from fault_proxy import FaultProxy
from grpc_health.v1 import health_pb2, health_pb2_grpc

from auror.deployment.run_reader import RunReader
from auror.programs.loadtest import LoadTest, run_loadtest
from auror.programs.processes import free_address, programs, wait_until_listening

CLIENTS = 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    kit.enrol(tmp_path, CLIENTS)
    return tmp_path


def test_a_client_killed_in_a_round_stalls_nobody(folder: Path) -> None:
    address = free_address()
    with programs(folder / "logs") as starter:
        server = starter.server(kit.server_settings(folder, address, session__rounds=6))
        wait_until_listening(address, server)
        starter.clients(kit.client_settings(folder, address, "0-4"), "most")
        victim = starter.clients(kit.client_settings(folder, address, "5"), "victim")
        kit.wait_for(lambda: len(kit.rounds(folder)) >= 2, starter)
        victim.process.kill()
        assert server.process.wait(kit.PATIENCE) == 0, server.last_line()
    lines = kit.rounds(folder)
    assert len(lines) == 6
    assert lines[-1]["accepted"] == [0, 1, 2, 3, 4]
    assert lines[-1]["aborted"] is None


def test_cut_connections_come_back_within_the_round(folder: Path) -> None:
    address = free_address()
    with programs(folder / "logs") as starter, FaultProxy(address) as proxy:
        settings = kit.server_settings(
            folder, address, session__rounds=8, session__reconnect_grace_s=20
        )
        server = starter.server(settings)
        wait_until_listening(address, server)
        clients = starter.clients(kit.client_settings(folder, proxy.address, "0-5"))
        kit.wait_for(lambda: len(kit.rounds(folder)) >= 1, starter)
        assert proxy.cut() == CLIENTS
        kit.wait_for(lambda: len(kit.rounds(folder)) >= 4, starter)
        proxy.cut()
        assert server.process.wait(kit.PATIENCE) == 0, server.last_line()
        assert clients.process.wait(kit.PATIENCE) == 0, clients.last_line()
    assert "the policy keeps the final model at the server" in clients.log.read_text()
    assert not list((folder / "state").rglob("model.safetensors"))
    lines = kit.rounds(folder)
    assert [line["dropped"] for line in lines] == [{}] * 8
    assert all(line["accepted"] == list(range(CLIENTS)) for line in lines)


def test_a_killed_server_resumes_with_new_round_ids(folder: Path) -> None:
    address = free_address()
    settings = kit.server_settings(folder, address, session__rounds=12)
    with programs(folder / "logs") as starter:
        first = starter.server(settings, "first")
        wait_until_listening(address, first)
        clients = starter.clients(kit.client_settings(folder, address, "0-5"))
        kit.wait_for(lambda: len(kit.rounds(folder)) >= 3, starter)
        first.process.kill()
        first.process.wait()
        before = kit.rounds(folder)
        starter.started.remove(first)  # killed on purpose: its exit code is no failure
        second = starter.server(settings, "second")
        wait_until_listening(address, second)
        assert second.process.wait(kit.PATIENCE) == 0, second.last_line()
        assert clients.process.wait(kit.PATIENCE) == 0, clients.last_line()
    after = kit.rounds(folder)
    assert after[: len(before)] == before
    assert [line["index"] for line in after] == list(range(len(after)))
    played = [line for line in after if not line["interrupted"]]
    assert (len(played), len(after) - len(played)) in {(12, 0), (12, 1)}
    started = RunReader(folder / "run").begun()
    assert started == sorted(set(started))
    assert started == [line["round_id"]["counter"] for line in after]
    assert "resuming" in second.log.read_text()


def test_sigterm_tells_the_clients(folder: Path) -> None:
    address = free_address()
    with programs(folder / "logs") as starter:
        settings = kit.server_settings(folder, address, session__rounds=500)
        server, clients = kit.playing(starter, folder, settings)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(kit.PATIENCE) == 6
        assert clients.process.wait(kit.PATIENCE) == 6
    assert "server stopped before the end" in clients.log.read_text()


def test_who_can_take_part_in_nothing_ends_at_once_and_the_others_go_on(folder: Path) -> None:
    address = free_address()
    settings = kit.server_settings(folder, address, session__rounds=2)
    with programs(folder / "logs") as starter:
        server = starter.server(settings)
        wait_until_listening(address, server)
        own = kit.client_settings(folder, address, "5")
        large = starter.clients(own | {"client.max_dim": 499}, "large")
        groups = starter.clients(own | {"rules.min_group": 3}, "groups")
        assert large.process.wait(kit.PATIENCE) == groups.process.wait(kit.PATIENCE) == 2
        assert "client.max_dim = 499: the policy's task trains a model of 500" in large.last_line()
        assert "rules.min_group = 3: the operator's policy has 2 clients" in groups.last_line()
        # what the server asks for is known with the first invitation only
        shy = starter.clients(own | {"rules.max_statistics": 1}, "shy")
        kit.wait_until(lambda: "connected" in shy.log.read_text())
        starter.clients(kit.client_settings(folder, address, "0-4"), "willing")
        assert shy.process.wait(kit.PATIENCE) == 2
        assert server.process.wait(kit.PATIENCE) == 0, server.last_line()
    assert "statistics plan beyond the caps (" in shy.last_line()
    assert "raise rules.max_statistics" in shy.last_line()
    assert shy.log.read_text().count("connected ") == 1
    assert "reason=STATISTICS_TOO_LARGE" in server.log.read_text()
    first, second = kit.rounds(folder)
    assert first["withdrawn"] == {"5": "STATISTICS_TOO_LARGE"}
    assert second["cohort"] == [0, 1, 2, 3, 4]
    assert first["accepted"] == second["accepted"] == [0, 1, 2, 3, 4]


def test_a_second_process_changes_nothing_and_a_killed_one_holds_nothing(folder: Path) -> None:
    address = free_address()
    settings = kit.server_settings(folder, address, session__rounds=500)
    other = kit.server_settings(folder, free_address(), session__rounds=7)
    with programs(folder / "logs") as starter:
        server = starter.server(settings)
        wait_until_listening(address, server)
        victim = starter.clients(kit.client_settings(folder, address, "0"), "victim")
        starter.clients(kit.client_settings(folder, address, "1-5"), "most")
        kit.wait_for(lambda: len(kit.rounds(folder)) >= 1, starter)
        before = (folder / "run" / "config.toml").read_bytes()
        second = starter.server(other, "second")
        assert second.process.wait(kit.PATIENCE) == 2
        assert f"another auror-server runs on {folder / 'run'}" in second.last_line()
        assert (folder / "run" / "config.toml").read_bytes() == before
        again = starter.clients(kit.client_settings(folder, address, "0"), "again")
        assert again.process.wait(kit.PATIENCE) == 2
        assert "another process runs client 0" in again.last_line()
        for refused in (second, again):
            starter.started.remove(refused)  # refused on purpose
        victim.process.kill()
        victim.process.wait()
        starter.started.remove(victim)
        count = len(kit.rounds(folder))
        returned = starter.clients(kit.client_settings(folder, address, "0"), "returned")
        kit.wait_for(
            lambda: any(0 in r["accepted"] for r in kit.rounds(folder)[count + 1 :]), starter
        )
        assert returned.running()
        server.process.kill()
        server.process.wait()
        starter.started.remove(server)
        third = starter.server(settings, "third")
        wait_until_listening(address, third)
        assert "resuming" in third.log.read_text()


def test_nothing_secret_is_written(folder: Path) -> None:
    address = free_address()
    record = folder / "seeds.jsonl"
    with programs(folder / "logs") as starter:
        server = starter.server(kit.server_settings(folder, address, session__rounds=1))
        wait_until_listening(address, server)
        more = {"record__randomness": record}
        starter.clients(kit.client_settings(folder, address, "0-5", **more))
        assert server.process.wait(kit.PATIENCE) == 0, server.last_line()
    seeds = [line["rounding"] for line in map(json.loads, record.read_text().splitlines())]
    assert len(seeds) == CLIENTS
    assert record.stat().st_mode & 0o077 == 0
    kept = [p.read_bytes() for p in (folder / "run").rglob("*") if p.is_file()]
    kept += [p.read_bytes() for p in (folder / "logs").rglob("*.log")]
    assert kept
    for seed in seeds:
        raw = bytes.fromhex(seed)
        assert not any(seed.encode() in content or raw in content for content in kept)
    assert not list((folder / "run" / "spool").iterdir())


def test_a_load_test_with_dropouts_is_exact() -> None:
    said: list[str] = []
    test = LoadTest(clients=16, dim=3000, dropout=0.2, rounds=2, group_size=2)
    report = run_loadtest(test, said.append)
    assert report.exact
    assert report.rounds_finished == 2
    assert set(report.phases) >= {"advertise", "share_keys", "upload", "unmask"}
    assert report.bytes_up > 2 * 8 * 3000 * 4
    assert report.server_peak_rss_bytes > 0
    assert json.loads(json.dumps(report.to_dict()))["test"]["clients"] == 16
    assert said


def test_health_is_served_on_its_own_plaintext_port(folder: Path) -> None:
    address, probe = free_address(), free_address()
    with programs(folder / "logs") as starter:
        settings = {**kit.server_settings(folder, address), "server.health": probe}
        server = starter.server(settings)
        wait_until_listening(address, server)
        with grpc.insecure_channel(probe) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            said = stub.Check(
                health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=kit.PATIENCE
            )
        assert said.status == health_pb2.HealthCheckResponse.SERVING
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError):
            health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=2
            )  # the clients' port answers nobody without a certificate
