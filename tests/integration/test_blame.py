"""A liar among real processes: named by proof, not invited again, and training goes on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import kit
import pytest

from auror.programs.processes import free_address, programs, wait_until_listening

LIAR = 5


def test_a_liar_is_excluded_by_proof_while_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.enrol(tmp_path)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    address = free_address()
    with programs(tmp_path / "logs") as starter:
        server = starter.server(
            kit.server_settings(tmp_path, address, session__rounds=16, session__max_aborted=5)
        )
        wait_until_listening(address, server)
        honest = starter.clients(kit.client_settings(tmp_path, address, "0-4"), "honest")
        liar = starter._start("liar", "liar", kit.client_settings(tmp_path, address, str(LIAR)))
        assert server.process.wait(kit.PATIENCE) == 0, server.last_line()
        assert honest.process.wait(kit.PATIENCE) == 0, honest.last_line()
        assert liar.process.wait(kit.PATIENCE) == 10, liar.last_line()  # it is told that it is out
    lines = kit.rounds(tmp_path)
    failed = [line for line in lines if line["aborted"] == "BINDING_FAILED"]
    assert failed
    assert all(any(LIAR in mark[1] for mark in line["marks"]) for line in failed)
    assert [line["excluded"] for line in lines if line["excluded"]] == [[LIAR]]
    proven = next(k for k, line in enumerate(lines) if line["excluded"])
    after = lines[proven + 1 :]
    assert after
    assert all(line["aborted"] is None and LIAR not in line["cohort"] for line in after)
    trained = [line for line in lines[:proven] if line["aborted"] is None]
    assert trained or proven <= 2  # rounds without the liar passed meanwhile
