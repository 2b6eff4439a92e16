"""The programs under examples/ do what they print, and the README names each."""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import kit
import page_kit
import pytest

from auror.deployment.run_reader import RunReader
from auror.programs.processes import free_address

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PROGRAMS = Path(sys.executable).parent


def run(*command: str, cwd: Path) -> str:
    """What it printed."""
    environment = kit.environment()
    environment["PATH"] = f"{PROGRAMS}{os.pathsep}{environment['PATH']}"
    found = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=280
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def run_here(name: str, folder: Path) -> str:
    """What the program printed, run as ``python NAME.py`` would be, in this process."""
    said = io.StringIO()
    with kit.inside(copied(f"{name}.py", folder)), contextlib.redirect_stdout(said):
        sys.path.insert(0, str(folder))
        runpy.run_path(f"{name}.py", run_name="__main__")
    return said.getvalue()


def copied(name: str, folder: Path) -> Path:
    """The example as somebody would have it, alone in a folder."""
    shutil.copy(EXAMPLES / name, folder)
    return folder


def test_masked_sum(tmp_path: Path) -> None:
    said = run(sys.executable, "masked_sum.py", cwd=copied("masked_sum.py", tmp_path))
    assert "[129 136 123 139 126]" in said
    assert "[117 119 114 125 115]" in said
    assert "[3.875]" in said


def test_own_attack(tmp_path: Path) -> None:
    said = run_here("own_attack", tmp_path)
    shifted, pushed = said.split("own_attack:Push\n")
    assert shifted.startswith("own_attack:shift_labels\n")
    malicious, flagged = re.findall(r"\[([0-9, ]*)\]", shifted)
    assert malicious == flagged
    undefended = re.findall(r"undefended accuracy (\d+\.\d)%", pushed)
    honest = re.findall(r"undefended accuracy (\d+\.\d)%", shifted)
    assert float(undefended[0]) < float(honest[0]) - 10


def test_own_rule(tmp_path: Path) -> None:
    said = run_here("own_rule", tmp_path)
    assert "own_rule:clipped_mean: accuracy 9" in said
    assert "privacy: none" in said
    malicious, flagged = re.findall(r"\[([0-9, ]*)\]", said)
    assert malicious == flagged


@pytest.mark.slow
@pytest.mark.parametrize("name", ["own_data", "own_model"])
def test_own_data_and_model(name: str, tmp_path: Path) -> None:
    said = run(sys.executable, f"{name}.py", cwd=copied(f"{name}.py", tmp_path))
    accuracies = [float(found) for found in re.findall(r"accuracy (\d+\.\d)%", said)]
    assert min(accuracies) > 75
    lists = re.findall(r"\[([0-9, ]*)\]", said)
    assert len(lists) == 2 * len(accuracies)
    assert lists[::2] == lists[1::2]  # the malicious and the flagged


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("own_attack", "--attack own_attack:Push"),
        ("own_rule", "--rule own_rule:clipped_mean"),
        ("own_model", "--task own_model:Residual --group-size 2 --colluders 1"),
    ],
)
def test_the_same_by_name_on_the_command_line(name: str, words: str, tmp_path: Path) -> None:
    small = "--dataset digits --clients 6 --malicious 1 --rounds 1 --runs defended"
    command = ["simulate", *words.split(), *small.split()]
    code, said = kit.invoke("auror", *command, cwd=copied(f"{name}.py", tmp_path))
    assert code == 0, said
    assert "rounds," in said


def test_two_hosts(tmp_path: Path) -> None:
    port = free_address("127.0.0.1").rpartition(":")[2]
    (line,) = page_kit.lines("examples/two_hosts/README.md", {"/tmp/two-hosts": "run"})
    folder = shutil.copytree(EXAMPLES / "two_hosts", tmp_path, dirs_exist_ok=True)
    run(*shlex.split(line), port, cwd=folder)
    assert len(RunReader(tmp_path / "run/host-a/runs/server").rounds()) == 2
    assert (tmp_path / "run/host-b/state").is_dir()
    assert not (tmp_path / "run/host-a/clients").exists()


def test_the_readme_shows_every_example() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = [path.name for path in EXAMPLES.iterdir() if path.name != "__pycache__"]
    assert len(found) == 6
    assert not [name for name in found if f"examples/{name}" not in readme]
