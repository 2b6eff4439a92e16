"""What gets installed."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

from _tree import ROOT


def test_the_wheel_holds_the_three_packages_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("auror-*.whl")
    archive = zipfile.ZipFile(wheel)
    names = archive.namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {
        "auror",
        "auror_server",
        "auror_client",
    }
    assert "auror/report/templates/report.html" in names
    (facts,) = (archive.read(name).decode() for name in names if name.endswith("/METADATA"))
    assert "License-Expression: Apache-2.0" in facts
    for kept in ("LICENSE", "NOTICE"):
        (terms,) = (archive.read(name) for name in names if name.endswith(f"/licenses/{kept}"))
        assert terms == (ROOT / kept).read_bytes()


def test_every_console_script_can_be_loaded() -> None:
    ours = [e for e in entry_points(group="console_scripts") if e.value.startswith("auror")]
    assert {script.name for script in ours} == {"auror", "auror-server", "auror-client"}
    assert all(callable(script.load()) for script in ours)
