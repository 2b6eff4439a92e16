"""docs/threat-model.md names tests that exist, and every adversary test stands in it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "threat-model.md").read_text()
NAMED = set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT))


def defined(file: Path) -> set[str]:
    kinds = ast.FunctionDef | ast.ClassDef
    return {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, kinds)}


def test_every_named_test_exists() -> None:
    assert len(NAMED) >= 40
    for file, name in sorted(NAMED):
        assert name in defined(ROOT / file), f"{file}::{name}"


def test_every_adversary_test_is_named() -> None:
    for file in sorted((ROOT / "tests" / "adversary").glob("test_*.py")):
        if file == Path(__file__):
            continue
        relative = str(file.relative_to(ROOT))
        for name in defined(file):
            if name.startswith("test_"):
                assert (relative, name) in NAMED, f"{relative}::{name}"
