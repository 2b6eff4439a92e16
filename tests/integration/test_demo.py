"""The demonstration in small: real server and client programs, and a replay of what they did."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import kit
import psutil
import pytest

from auror.deployment.run_reader import RunReader
from auror.programs.replay import RANDOMNESS

WORDS = [
    *("--dataset", "digits", "--clients", "6", "--malicious", "2", "--group-size", "2"),
    *("--rounds", "3", "--colluders", "1", "--seed", "3", "--device", "cpu", "--format", "json"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], Path, str]:
    folder = tmp_path_factory.mktemp("demo") / "run"
    done = kit.invoked("auror", "demo", *WORDS, "--out", folder, cwd=folder.parent)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout), folder, done.stderr


def test_the_demo_leaves_a_whole_run_folder(run: tuple[dict[str, object], Path, str]) -> None:
    summary, folder, progress = run
    assert summary["transport"] == "grpc+mtls"
    assert summary["run"] == str(folder)
    assert "gRPC + mTLS" in progress
    for name in ("config.json", "rounds.jsonl", "verdict.json", "model.safetensors", "report.html"):
        assert (folder / name).is_file()
    done = kit.invoked("auror", "evaluate", folder, "--format", "json", cwd=folder)
    found = json.loads(done.stdout)
    assert found["as_recorded"] is True


def test_a_replay_from_recorded_randomness_gives_the_same_model_bit_for_bit(
    run: tuple[dict[str, object], Path, str],
) -> None:
    summary, folder, _ = run
    done = kit.invoked("auror", "replay", folder, "--format", "json", cwd=folder)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["equal"] is True
    assert found["model_sha256"] == summary["model_sha256"]
    own, served = (f / "model.safetensors" for f in (folder, folder / "server"))
    assert own.read_bytes() == served.read_bytes()


def test_a_replay_notices_other_randomness(run: tuple[dict[str, object], Path, str]) -> None:
    _, folder, _ = run
    # of a client whose update counts: an audit may leave its group out of the total
    counted = RunReader(folder / "server").rounds()[0]["accepted"]
    for path in sorted((folder / RANDOMNESS).glob("*.jsonl")):
        kept = path.read_text()
        first, _, rest = kept.partition("\n")
        line = json.loads(first)
        if line["client"] in counted:
            break
    assert line["counter"] == 0
    line["training_seed"] += 1
    try:
        path.write_text(json.dumps(line) + "\n" + rest)
        done = kit.invoked("auror", "replay", folder, "--format", "json", cwd=folder)
    finally:
        path.write_text(kept)
    assert done.exit_code == 1
    assert json.loads(done.stdout)["first_difference"] == 0


def test_the_demo_leaves_no_process_and_refuses_a_used_folder(
    run: tuple[dict[str, object], Path, str],
) -> None:
    _, folder, _ = run
    ours = [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if str(folder) in " ".join(process.info["cmdline"] or [])
    ]
    assert ours == []
    again = kit.invoked("auror", "demo", *WORDS, "--out", folder, cwd=folder)
    assert again.exit_code == 2
    assert "not empty" in again.stderr


@pytest.mark.slow
def test_a_terminated_demo_ends_its_programs(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "auror.cli", "demo", *WORDS, "--out", str(folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as demo:
        assert demo.stderr is not None
        for line in demo.stderr:
            if b"gRPC + mTLS" in line:  # a round is over: everything runs
                break
        programs = psutil.Process(demo.pid).children(recursive=True)
        demo.terminate()
        demo.communicate(timeout=kit.PATIENCE)
    assert len(programs) == 3
    assert demo.returncode == 130
    assert not any(program.is_running() for program in programs)
