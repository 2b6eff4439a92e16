"""Somebody's own attack and detector in the programs: six clients over gRPC with mutual TLS."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import kit

from auror.programs.processes import free_address

OWN = '''
from pathlib import Path
import numpy as np
import auror

def relabel(x, y, rng):
    Path("played.txt").write_text(f"{len(y)} samples")
    return x, np.where(y == 4, 9, y)

class Loudest:
    """Accuses who sits in the group farthest from the others, on average."""
    def __call__(self, ledger, invited):
        seen = {client: [] for client in invited}
        for observed in ledger.rounds:
            means = np.array([group.mean for group in observed.groups])
            far = np.linalg.norm(means - np.median(means, axis=0), axis=1)
            for group, distance in zip(observed.groups, far / far.mean()):
                for client in group.members:
                    seen.setdefault(client, []).append(distance)
        scores = {c: float(np.mean(d)) if d else 0.0 for c, d in seen.items()}
        return auror.PlainVerdict(scores=scores)
'''


def program(name: str, *words: str) -> list[str]:
    return [sys.executable, "-m", name, *words]


def test_ones_own_attack_and_detector_play_in_the_programs(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    sizes = ["--clients", "6", "--group-size", "2", "--colluders", "1", "--dataset", "digits"]
    code, said = kit.invoke(
        "auror", "certs", "certs", "--server", "127.0.0.1", *sizes, cwd=tmp_path
    )
    assert code == 0, said
    address = free_address("127.0.0.1")
    server = program(
        "auror_server.cli", "--listen", address, "--credentials", "certs/server",
        "--dataset", "digits", "--rounds", "4", "--set", 'session.detector="own:Loudest"',
        "--set", 'session.after_flag="continue"',
    )  # fmt: skip
    clients = program(
        "auror_client.cli", "--server", address, "--credentials", "certs/clients",
        "--clients", "0-5", "--state", "state", "--dataset", "digits",
        "--set", 'data.attack="own:relabel"', "--set", 'data.malicious="2"',
    )  # fmt: skip
    running = [
        subprocess.Popen(words, cwd=tmp_path, env=kit.environment()) for words in (server, clients)
    ]
    try:
        codes = [process.wait(kit.PATIENCE) for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert codes == [0, 0]
    assert "samples" in (tmp_path / "played.txt").read_text()
    verdict = json.loads((tmp_path / "runs/server/verdict.json").read_text())
    assert verdict.keys() == {"flagged", "doubted", "scores"}
    assert set(verdict["scores"]) == set("012345")
    assert all(score > 0 for score in verdict["scores"].values())
