"""Whole sessions between real processes over mutual TLS, with clients and servers that die."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import grpc
import kit
import numpy as np
import pytest
import safetensors.numpy
from grpc_health.v1 import health_pb2, health_pb2_grpc

from auror.experiments.loadtest import LoadTest, read_lines, run_loadtest
from auror.experiments.processes import free_address, programs, wait_until_listening
from auror.round.description import model_digest
from auror.wire.certs import create_deployment

CLIENTS = 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_deployment(tmp_path / "certs", CLIENTS, ["127.0.0.1"])
    return tmp_path


def rounds(folder: Path) -> list[dict[str, Any]]:
    return read_lines(folder / "run" / "rounds.jsonl")


def test_three_rounds_of_learning(folder: Path) -> None:
    address = free_address()
    learning = {
        "learning.host": "torch",
        "learning.dataset": "digits",
        "learning.hidden": 16,
        "session.rounds": 3,
    }
    with programs(folder / "logs") as starter:
        server = starter.server({**kit.server_settings(folder, address), **learning})
        wait_until_listening(address, server)
        clients = starter.clients(
            kit.client_settings(folder, address, "0-5", data__dataset="digits")
        )
        assert server.process.wait(90) == 0, server.last_line()
        assert clients.process.wait(20) == 0, clients.last_line()
    lines = rounds(folder)
    assert [line["aborted"] for line in lines] == [None] * 3
    assert all(line["accepted"] == list(range(CLIENTS)) for line in lines)
    assert lines[-1]["metrics"]["accuracy"] > 0.5
    model = safetensors.numpy.load_file(folder / "run" / "model.safetensors")["model"]
    assert model.dtype == np.float32
    assert model_digest(model).hex() == lines[-1]["model"]
    journals = sorted((folder / "state").rglob("client-*.json"))
    assert len(journals) == CLIENTS
    assert all(len(json.loads(path.read_text())["totals"]) == 3 for path in journals)


def test_a_client_killed_in_a_round_stalls_nobody(folder: Path) -> None:
    address = free_address()
    with programs(folder / "logs") as starter:
        server = starter.server(kit.server_settings(folder, address, session__rounds=6))
        wait_until_listening(address, server)
        starter.clients(kit.client_settings(folder, address, "0-4"), "most")
        victim = starter.clients(kit.client_settings(folder, address, "5"), "victim")
        kit.wait_for(lambda: len(rounds(folder)) >= 2, starter)
        victim.process.kill()
        assert server.process.wait(60) == 0, server.last_line()
    lines = rounds(folder)
    assert len(lines) == 6
    assert lines[-1]["accepted"] == [0, 1, 2, 3, 4]
    assert lines[-1]["aborted"] is None


def test_cut_connections_come_back_within_the_round(folder: Path) -> None:
    address = free_address()
    with programs(folder / "logs") as starter, kit.Proxy(address) as proxy:
        settings = kit.server_settings(
            folder, address, session__rounds=8, session__reconnect_grace_s=20
        )
        server = starter.server(settings)
        wait_until_listening(address, server)
        clients = starter.clients(kit.client_settings(folder, proxy.address, "0-5"))
        kit.wait_for(lambda: len(rounds(folder)) >= 1, starter)
        assert proxy.cut() == CLIENTS
        kit.wait_for(lambda: len(rounds(folder)) >= 4, starter)
        proxy.cut()
        assert server.process.wait(60) == 0, server.last_line()
        assert clients.process.wait(20) == 0, clients.last_line()
    lines = rounds(folder)
    assert [line["dropped"] for line in lines] == [{}] * 8
    assert all(line["accepted"] == list(range(CLIENTS)) for line in lines)


def test_a_killed_server_resumes_with_new_round_ids(folder: Path) -> None:
    address = free_address()
    settings = kit.server_settings(folder, address, session__rounds=12)
    with programs(folder / "logs") as starter:
        first = starter.server(settings, "first")
        wait_until_listening(address, first)
        clients = starter.clients(kit.client_settings(folder, address, "0-5"))
        kit.wait_for(lambda: len(rounds(folder)) >= 3, starter)
        first.process.kill()
        first.process.wait()
        before = rounds(folder)
        starter.started.remove(first)  # killed on purpose: its exit code is no failure
        second = starter.server(settings, "second")
        wait_until_listening(address, second)
        assert second.process.wait(90) == 0, second.last_line()
        assert clients.process.wait(20) == 0, clients.last_line()
    after = rounds(folder)
    assert after[: len(before)] == before
    assert [line["index"] for line in after] == list(range(12))
    started = [
        line["counter"]
        for line in read_lines(folder / "run" / "journal.jsonl")
        if line["kind"] == "round"
    ]
    assert started == sorted(set(started))
    assert "resuming" in second.log.read_text()


def test_sigterm_tells_the_clients(folder: Path) -> None:
    address = free_address()
    with programs(folder / "logs") as starter:
        server = starter.server(kit.server_settings(folder, address, session__rounds=500))
        wait_until_listening(address, server)
        clients = starter.clients(kit.client_settings(folder, address, "0-5"))
        kit.wait_for(lambda: len(rounds(folder)) >= 2, starter)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 6
        assert clients.process.wait(20) == 6
    assert "server stopped before the end" in clients.log.read_text()


def test_nothing_secret_is_written(folder: Path) -> None:
    address = free_address()
    record = folder / "seeds.jsonl"
    with programs(folder / "logs") as starter:
        server = starter.server(kit.server_settings(folder, address, session__rounds=1))
        wait_until_listening(address, server)
        more = {"record__randomness": record}
        starter.clients(kit.client_settings(folder, address, "0-5", **more))
        assert server.process.wait(60) == 0, server.last_line()
    seeds = [line["rounding"] for line in read_lines(record)]
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
    report = run_loadtest(LoadTest(clients=16, dim=3000, dropout=0.2, rounds=2), said.append)
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
            said = stub.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=10)
        assert said.status == health_pb2.HealthCheckResponse.SERVING
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError):
            health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=2
            )  # the clients' port answers nobody without a certificate
