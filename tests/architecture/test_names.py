"""A public class name means one thing."""

from __future__ import annotations

import ast
from collections import defaultdict

from _tree import PACKAGES, ROOT, python_files


def classes() -> dict[str, list[str]]:
    """Public class → the files that define it."""
    found = defaultdict(list)
    for path in python_files(*PACKAGES):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(path.relative_to(ROOT).as_posix())
    return found


def test_no_public_class_name_is_used_twice() -> None:
    assert {name: files for name, files in classes().items() if len(files) > 1} == {}


def test_the_check_sees_the_classes() -> None:
    assert classes()["Campaign"] == ["auror/training/campaign.py"]


def test_no_two_test_files_share_a_name() -> None:
    """pytest imports them by their bare name."""
    names = [path.name for path in python_files(ROOT / "tests") if path.name.startswith("test_")]
    assert sorted(names) == sorted(set(names))
