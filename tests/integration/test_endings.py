"""How a training ends between real processes: with all its rounds, or with a code that says why."""

from __future__ import annotations

from pathlib import Path

import kit
import numpy as np
import pytest

from auror.deployment.credentials import load_policy
from auror.deployment.first_models import load_first_models
from auror.deployment.model_file import model_bytes, read_model
from auror.programs.processes import free_address, programs, wait_until_listening

CLIENTS = 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    kit.enrol(tmp_path, CLIENTS, rounds=4)
    return tmp_path


def test_a_finished_run_is_extended_with_the_same_clients(folder: Path) -> None:
    kit.session(folder, "first", session__rounds=2)
    before = read_model(folder / "run" / "model.safetensors")
    assert "extend it with `--rounds +N`" in kit.session(folder, "again", 2, session__rounds=2)
    kit.session(folder, "more", session__add_rounds=3)
    lines = kit.rounds(folder)
    assert [line["accepted"] for line in lines] == [list(range(CLIENTS))] * 5
    assert [line["index"] for line in lines] == list(range(5))
    assert len({line["model"] for line in lines}) == 5
    counters = [line["round_id"]["counter"] for line in lines]
    assert counters == sorted(set(counters))
    assert (read_model(folder / "run" / "model.safetensors") != before).any()
    # four rounds were enrolled for, and ten to spare
    said = kit.session(folder, "too-many", 2, session__add_rounds=10)
    assert "the policy allows 14 steps of a training and 5 are used: add at most 9" in said
    assert len(kit.rounds(folder)) == 5


def test_a_cap_on_rounds_without_a_total_has_its_own_code(folder: Path) -> None:
    address = free_address()
    settings = kit.server_settings(
        folder, address, session__rounds=2, session__max_failed=2, session__min_clients=5
    )
    with programs(folder / "logs") as starter:
        server = starter.server(settings)
        wait_until_listening(address, server)
        # five come, and none of them trains with fewer than six
        clients = starter.clients(kit.client_settings(folder, address, "0-4", rules__min_present=6))
        assert server.process.wait(kit.PATIENCE) == 7
        assert clients.process.wait(kit.PATIENCE) == 7
    assert "the server stopped before the end and no round trained" in clients.last_line()
    said = server.last_line()
    assert "max_failed = 2: 2 rounds of this training ended without a total, 0 of 2 with" in said
    assert not (folder / "run" / "model.safetensors").exists()
    kit.session(folder, "later", session__rounds=2, session__max_failed=3)
    assert [line["aborted"] is None for line in kit.rounds(folder)] == [False, False, True, True]
    assert (folder / "run" / "model.safetensors").exists()


def test_a_new_training_begins_from_a_model_that_the_policy_signs(tmp_path: Path) -> None:
    """… as its first; for any other the server says that clients would refuse it."""

    def enrolled(folder: str, *words: object) -> tuple[int, str]:
        sizes = ["--clients", "4", "--group-size", "2", "--colluders", "0", "--dataset", "digits"]
        given = ("certs", folder, "--server", "127.0.0.1", *sizes, *words)
        return kit.invoke("auror", *given, cwd=tmp_path)

    assert enrolled("first")[0] == 0
    before = load_policy(tmp_path / "first" / "server")
    trained = load_first_models(tmp_path / "first" / "server", before)[0] + np.float32(1)
    model = tmp_path / "model.safetensors"
    model.write_bytes(model_bytes(before.task, trained))
    assert enrolled("second", "--from-model", model)[0] == 0
    server = tmp_path / "second" / "server"
    after = load_policy(server)
    assert np.array_equal(load_first_models(server, after)[0], trained)
    assert after.first_models[1:] == before.first_models[1:]  # a restart begins afresh
    words = ["--check", "--dataset", "digits", "--listen", free_address(), "--health", ""]
    for folder, code in (("second", 0), ("first", 2)):
        credentials = tmp_path / folder / "server"
        given = [*words, "--credentials", credentials, "--from", model]
        found, said = kit.invoke("auror_server", *given, cwd=tmp_path)
        assert found == code, said
    assert "clients refuse any other: let the operator enrol with `auror certs --from" in said
    small = tmp_path / "small.safetensors"
    small.write_bytes(model_bytes(b'{"synthetic": 3}', trained[:3]))
    code, said = enrolled("third", "--from-model", small)
    assert code == 4
    assert "3 numbers, the task trains" in said
    assert not (tmp_path / "third").exists()
