"""tests/gpu/run.py itself, on the CPU, and that it needs torch, torchvision and numpy only."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from script_kit import ROOT, load_script

SCRIPT = "tests/gpu/run.py"

_ONLY_TORCH = """
import importlib.abc, runpy, sys

class Absent(importlib.abc.MetaPathFinder):
    names = {"sklearn", "scipy", "mlxtend", "pandas", "cryptography", "grpc", "google", "pydantic",
             "click", "rich", "safetensors", "matplotlib", "structlog", "psutil", "pytest"}

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(name)
        return None

sys.meta_path.insert(0, Absent())
sys.argv = ["run.py", "--device", "cuda:77"]
runpy.run_path(%r, run_name="__main__")
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script(SCRIPT)


@pytest.mark.no_cover
def test_the_checks_pass_on_the_cpu_and_the_report_is_written(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results" / "gpu.json"
    small = ["--device", "cpu", "--clients", "3", "--repeats", "1"]
    assert script.main([*small, "--out", str(out)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    report = json.loads(out.read_text())
    assert report["passed"] is True
    assert lines[-1] == {"passed": True, "checks": len(report["checks"])}
    assert report["checks"] == [line for line in lines if "check" in line]
    assert {timing["clients"] for timing in report["timings"]} == {3}
    assert len(report["timings"]) == 4


def test_a_failed_check_is_exit_code_one(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    honest = script.together

    def wrong(*arguments: object) -> object:
        return honest(*arguments) * 1.5

    monkeypatch.setattr(script, "together", wrong)
    monkeypatch.setattr(script, "TOLERANCE", {"mlp": 1e-3})
    out = tmp_path / "gpu.json"
    arguments = ["--device", "cpu", "--clients", "2", "--repeats", "1", "--out", str(out)]
    assert script.main(arguments) == 1
    failed = [c["check"] for c in json.loads(out.read_text())["checks"] if not c["ok"]]
    assert failed == ["mlp: vmapped clients against one by one"]


def test_without_cuda_it_says_so_in_one_line(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert script.main([]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("not run: device 'cuda'")
    assert captured.err.count("\n") == 1


def test_it_starts_with_nothing_but_torch_torchvision_and_numpy() -> None:
    code = _ONLY_TORCH % str(ROOT / SCRIPT)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("not run: device 'cuda:77'")
