"""What ``import auror`` offers: documented, typed, and nothing loaded before it is asked for."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest

import auror

SOURCE = ast.parse(Path(auror.__file__).read_text(encoding="utf-8"))


def documented(found: object) -> bool:
    return bool((getattr(found, "__doc__", None) or "").strip())


@pytest.mark.parametrize("name", [name for name in auror.__all__ if name != "__version__"])
def test_a_public_name_has_a_docstring_and_types(name: str) -> None:
    found = getattr(auror, name)
    assert documented(found)
    if not isinstance(found, type):
        hints = get_type_hints(found)
        assert set(inspect.signature(found).parameters) <= hints.keys()
        assert "return" in hints
        return
    for key, value in vars(found).items():
        if key.startswith("_"):
            continue
        inner = (getattr(value, within, None) for within in ("__func__", "fget", "func"))
        method = next((part for part in inner if part is not None), value)
        if inspect.isfunction(method):
            assert documented(method), f"{name}.{key}"
            assert "return" in get_type_hints(method), f"{name}.{key}"


def test_a_type_checker_sees_the_same_names_from_the_same_modules() -> None:
    (guarded,) = (node for node in SOURCE.body if isinstance(node, ast.If))
    assert ast.unparse(guarded.test) == "TYPE_CHECKING"
    seen = {
        alias.name: node.module
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == auror._HOME
    assert {*seen, "__version__"} == set(auror.__all__)
    assert sorted(auror.__all__) == list(auror.__all__)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'simulat'"):
        auror.simulat  # type: ignore[attr-defined]


def test_importing_it_loads_neither_torch_nor_numpy() -> None:
    program = (
        "import sys, auror; print(sorted({'torch', 'numpy', 'scipy'} & sys.modules.keys()));"
        "auror.masked_sum([[1], [2]]); auror.run_round; auror.judge; auror.Attack;"
        "print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", program]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.split("\n")[:2] == ["[]", "False"]


def test_importing_it_takes_no_time() -> None:
    program = "import time; s = time.process_time(); import auror; print(time.process_time() - s)"
    command = [sys.executable, "-c", program]
    runs = [subprocess.run(command, capture_output=True, check=True) for _ in range(3)]
    assert min(float(run.stdout) for run in runs) < 0.25
