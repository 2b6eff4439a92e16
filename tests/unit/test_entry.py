"""Ctrl-C while a command's modules are loaded."""

from __future__ import annotations

import importlib
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from auror import entry

COMMANDS = {
    "auror": "auror.cli",
    "auror-server": "auror_server.cli",
    "auror-client": "auror_client.cli",
}


def scripts() -> dict[str, str]:
    project = Path(__file__).parents[2] / "pyproject.toml"
    found: dict[str, str] = tomllib.loads(project.read_text())["project"]["scripts"]
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_runs_its_module(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def load(name: str) -> SimpleNamespace:
        loaded.append(name)
        return SimpleNamespace(main=lambda: loaded.append("ran"))

    monkeypatch.setattr(importlib, "import_module", load)
    module, name = scripts()[command].split(":")
    assert module == entry.__name__
    getattr(entry, name)()
    assert loaded == [COMMANDS[command], "ran"]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_interrupt_meanwhile_is_no_traceback(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(_name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib, "import_module", load)
    with pytest.raises(SystemExit) as ended:
        getattr(entry, scripts()[command].split(":")[1])()
    assert ended.value.code == (130 if command == "auror" else 6)


def test_nothing_heavy_is_loaded_before() -> None:
    assert "importlib" in sys.modules  # what the module itself needs is there already
    source = Path(entry.__file__).read_text()
    imports = [line for line in source.splitlines() if line.startswith(("import", "from"))]
    assert imports == ["from __future__ import annotations", "import importlib", "import sys"]
