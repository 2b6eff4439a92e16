"""The page of parameters says what the code does."""

from __future__ import annotations

from dataclasses import fields
from types import ModuleType

import pytest
from script_kit import load_script

from auror.defence.consistency import GuardParams
from auror.defence.selection import VerdictParams


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("scripts/defence_parameters.py")


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
