"""Trainings on digits between real processes, their server killed at random moments: how good the
model becomes beside the training that nobody disturbs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auror.audit.verify import verify_audit
from auror.deployment.certs import create_deployment
from auror.deployment.run_reader import RunReader
from auror.programs.enrol import Enrolment, terms_of
from auror.programs.processes import free_address, programs, wait_until_listening

CLIENTS, ROUNDS, KILLS = 8, 30, 3
SEEDS = range(20)
PATIENCE = 240
_found: dict[int, float] = {}


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deployment") / "certs"
    wanted = Enrolment(clients=CLIENTS, dataset="digits", rounds=ROUNDS)
    create_deployment(folder, CLIENTS, ["127.0.0.1"], terms_of(wanted))
    return folder


@pytest.fixture(scope="module")
def undisturbed(certs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[float]:
    """Its accuracy, in percent; at the end, how far all others are from it on average."""
    accuracy, _ = trained(certs, tmp_path_factory.mktemp("undisturbed"), ())
    yield accuracy
    off = [100 * (one - accuracy) for one in _found.values()]
    assert not off or abs(sum(off) / len(off)) <= 0.5
    print(f"{len(off)} trainings: {sum(off) / len(off):+.2f} points, worst {min(off):+.2f}")


def trained(certs: Path, folder: Path, kills: tuple[float, ...]) -> tuple[float, int]:
    """Accuracy, and rounds that were broken off. ``kills``: seconds from a start that goes on to
    the next SIGKILL."""
    address = free_address()
    settings: dict[str, Any] = {
        "server.listen": address, "server.health": "", "server.credentials": certs / "server",
        "server.run_dir": folder / "run", "server.report": False, "session.rounds": ROUNDS,
        "session.after_flag": "continue", "learning.dataset": "digits",
    }  # fmt: skip
    with programs(folder / "logs") as starter:
        server = starter.server(settings)
        wait_until_listening(address, server)
        clients = starter.clients(
            {
                "client.server": address, "client.credentials": certs / "clients",
                "client.state": folder / "state", "data.dataset": "digits",
                "swarm.clients": f"0-{CLIENTS - 1}",
            }
        )  # fmt: skip
        until = time.monotonic() + PATIENCE
        while not RunReader(folder / "run").rounds():
            starter.check()
            assert time.monotonic() < until
            time.sleep(0.05)
        for number, wait in enumerate(kills):
            time.sleep(wait)
            if not server.running():  # it was over sooner
                break
            server.process.kill()
            server.process.wait()
            starter.started.remove(server)
            server = starter.server(settings, f"server-{number}")
            wait_until_listening(address, server)
        assert server.process.wait(PATIENCE) == 0, server.last_line()
        assert clients.process.wait(PATIENCE) == 0, clients.last_line()
    lines = RunReader(folder / "run").rounds()
    counters = [line["round_id"]["counter"] for line in lines]
    assert counters == sorted(set(counters))
    assert [line["aborted"] for line in lines].count(None) == ROUNDS
    verified = verify_audit(folder / "run")
    assert verified.finished
    assert verified.rounds == len(lines)
    return lines[-1]["metrics"]["accuracy"], sum(line["interrupted"] for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_training_is_as_good_as_one_that_nobody_disturbs(
    certs: Path, undisturbed: float, tmp_path: Path, seed: int
) -> None:
    kills = tuple(np.random.default_rng(seed).uniform(0.0, 2.5, KILLS))
    accuracy, broken = trained(certs, tmp_path, kills)
    _found[seed] = accuracy
    print(f"seed {seed}: {100 * (accuracy - undisturbed):+.2f} points, {broken} rounds broken off")
    assert abs(accuracy - undisturbed) <= 0.03
