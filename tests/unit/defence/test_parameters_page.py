"""The page of parameters says what the code does."""

from __future__ import annotations

import importlib.util
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

from auror.defence.consistency import GuardParams
from auror.defence.selection import VerdictParams

SCRIPT = Path(__file__).parents[3] / "scripts" / "defence_parameters.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("defence_parameters", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_code_gives(script: ModuleType) -> None:
    assert script.PAGE.read_text() == script.page()


@pytest.mark.parametrize("kind", [VerdictParams, GuardParams])
def test_every_parameter_stands_there_with_its_default(
    script: ModuleType, kind: type[VerdictParams | GuardParams]
) -> None:
    page = script.page()
    for field in fields(kind):
        assert f"| `{field.name}` | {field.default!r} | " in page


def test_a_parameter_without_a_reason_is_refused(script: ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"Knobs\.odd has no docstring"):
        list(script.fields("class Knobs:\n    odd: int = 1\n    even: int = 2\n", "Knobs"))
