"""Honest rounds complete while somebody floods the server, and the server stays small."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import floods
import kit
import pytest

from auror.deployment.run_reader import RunReader
from auror.programs.processes import RunningProgram, free_address, programs, wait_until_listening

HONEST, ROUNDS = set(range(floods.ROGUE)), 4
MOST_MIB = 400
"""Peak of the server's memory. 3,000 idle connections hold 60 MiB, and leave as much behind."""


@contextlib.contextmanager
def flooded(kind: str, address: str, certs: Path) -> Iterator[None]:
    command = [sys.executable, floods.__file__, kind, address, str(certs)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=kit.environment()
    ) as flood:
        try:
            assert flood.stdout is not None
            assert flood.stdout.readline().strip() == "under way"
            yield
            assert flood.poll() is None, "the flood went dry"
        finally:
            flood.kill()


def peak_mib(server: RunningProgram) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def play(folder: Path, kinds: list[str]) -> tuple[list[dict[str, Any]], str, float]:
    """The rounds of a session that runs to its end under floods of ``kinds``; what the server
    said, and the peak of its memory in MiB."""
    kit.enrol(folder)
    address, health = free_address(), free_address()
    settings = kit.server_settings(
        folder,
        address,
        session__rounds=ROUNDS,
        session__min_clients=5,
        session__phase_deadline_s=5,  # the member that floods is silent in every round
        server__health=health,
    )
    with programs(folder / "logs") as starter, contextlib.ExitStack() as stack:
        server = starter.server(settings)
        wait_until_listening(address, server)
        for kind in kinds:
            stack.enter_context(
                flooded(kind, health if kind == "probes" else address, folder / "certs")
            )
        starter.clients(kit.client_settings(folder, address, "0-4"))
        reader = RunReader(folder / "run")
        kit.wait_for(lambda: len(reader.rounds()) >= ROUNDS - 1, starter)
        peak = peak_mib(server)
        assert server.process.wait(kit.PATIENCE) == 0, server.last_line()
    return reader.rounds(), server.log.read_text(), peak


def check(lines: list[dict[str, Any]], peak: float) -> None:
    """Every honest client that was invited is in every total; the first round may come before the
    last of them is connected."""
    assert len(lines) == ROUNDS
    for line in lines:
        assert line["aborted"] is None
        assert set(line["accepted"]) >= HONEST & set(line["cohort"])
    assert set(lines[-1]["cohort"]) >= HONEST
    assert peak < MOST_MIB


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(floods.KINDS))
def test_a_flood_of_one_kind_stops_no_round(tmp_path: Path, kind: str) -> None:
    lines, _said, peak = play(tmp_path, [kind])
    check(lines, peak)


@pytest.mark.slow
def test_floods_of_all_kinds_at_once_stop_no_round_and_are_counted(tmp_path: Path) -> None:
    lines, said, peak = play(tmp_path, sorted(floods.KINDS))
    check(lines, peak)
    refused = RunReader(tmp_path / "run").timings()[-1]["refused"]
    assert refused["TooOften"] > 100
    # a line in ten seconds for each reason, however many there were
    assert 0 < said.count("TooOften") < 20


def test_idle_connections_endless_messages_and_probes_stop_no_round(tmp_path: Path) -> None:
    lines, _said, peak = play(tmp_path, ["idle", "messages", "probes"])
    check(lines, peak)
