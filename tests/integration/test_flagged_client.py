"""A client that is flagged is told, between real processes, and so is its operator."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import kit
import page_kit

from auror.deployment.run_reader import RunReader
from auror.programs.processes import free_address

OWN = """
import auror

def accuses_client_2(ledger, invited):
    return auror.PlainVerdict(frozenset({2}), strength=9.5, required=7.0)
"""
ROUNDS = 6
PAGE = "docs/when-things-go-wrong.md"


def test_a_flagged_client_ends_with_a_code_and_a_line_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    sizes = ["--clients", "6", "--group-size", "2", "--colluders", "1", "--dataset", "digits"]
    code, said = kit.invoke(
        "auror", "certs", "certs", "--server", "127.0.0.1", *sizes, cwd=tmp_path
    )
    assert code == 0, said
    address = free_address("127.0.0.1")

    def started(name: str, *words: str) -> subprocess.Popen[bytes]:
        with (tmp_path / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=tmp_path, env=kit.environment(), stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    server = started(
        "server", "auror_server.cli", "--listen", address, "--credentials", "certs/server",
        "--dataset", "digits", "--rounds", str(ROUNDS),
        "--set", 'session.detector="own:accuses_client_2"',
        "--set", 'session.after_flag="continue"', "--set", "server.report=false",
    )  # fmt: skip
    join = ["auror_client.cli", "--server", address, "--credentials", "certs/clients"]
    data = ["--dataset", "digits"]
    honest = started("honest", *join, "--clients", "0-1,3-5", "--state", "state", *data)
    flagged = started("flagged", *join, "--clients", "2", "--state", "state-2", *data)
    running = [server, honest, flagged]
    try:
        codes = [process.wait(kit.PATIENCE) for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
    logs = {
        name: (tmp_path / f"{name}.log").read_text() for name in ("server", "flagged", "honest")
    }
    assert codes == [0, 0, 10], logs
    lines = RunReader(tmp_path / "runs/server").rounds()
    fell = next(line["index"] for line in lines if line["flagged"])
    assert "client 2 is excluded for good: its updates stand apart" in logs["flagged"]
    assert f"(strength 9.5, 7.0 needed; {fell + 1} rounds, 3 of them audited)" in logs["flagged"]
    assert "final model kept" in logs["flagged"]
    # it was told after its last round, not while it was being tested
    told = logs["flagged"].index("is excluded for good")
    assert logs["flagged"][:told].count("round ended") == fell + 1
    assert "excluded for good" not in logs["honest"]
    assert logs["server"].count("client flagged") == 1
    check_audit(tmp_path, fell)
    assert f"client=2 component=session index={fell}" in logs["server"]
    check_page(tmp_path, fell)


def check_audit(folder: Path, fell: int) -> None:
    """What the run proves to a client that trusts its own credentials only."""
    asked = ["audit", "verify", "runs/server", "--credentials", "certs/clients/002"]
    code, said = kit.invoke("auror", *asked, cwd=folder)
    assert code == 2
    assert "own:accuses_client_2 is code of the run's own" in said
    code, said = kit.invoke("auror", *asked, "--own-detector", "--format", "json", cwd=folder)
    assert code == 0, said
    found = json.loads(said)
    assert (found["rounds"], found["finished"], found["roots"]) == (ROUNDS, True, "given")
    assert found["signatures"] >= 4 * ROUNDS * 4
    assert found["verdicts"] >= fell
    show = ["audit", "show", "runs/server", "--client", "2", "--round"]
    code, said = kit.invoke("auror", *show, str(fell + 1), cwd=folder)
    assert code == 0, said
    assert f"flagged in: round {fell + 1}\n" in said
    assert "verdict: accused\n" in said
    assert "client 2 is excluded for good: its updates stand apart" in said
    assert "check its labels" in said
    code, said = kit.invoke("auror", *show, str(ROUNDS), cwd=folder)
    assert "not invited" in said
    code, said = kit.invoke("auror", *show, "99", cwd=folder)
    assert code == 2
    assert f"choose 1 … {ROUNDS}" in said


def check_page(folder: Path, fell: int) -> None:
    """Every command of the page does what the page says, with the round of this run."""
    lines = page_kit.lines(PAGE, {"--round 4": f"--round {fell + 1}"})
    assert len(lines) == 7
    for line in lines:
        program, *words = line.split()
        if program == "du":
            assert subprocess.run([program, *words], cwd=folder, check=False).returncode == 0
            continue
        more = ["--own-detector"] if "verify" in words else []  # the page says when
        code, said = kit.invoke(program.replace("-", "_"), *words, *more, cwd=folder)
        assert code == 0, (line, said)
        assert said.strip()
