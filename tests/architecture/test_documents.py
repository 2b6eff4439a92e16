"""Documents written by hand can be read, and compared, line by line."""

from __future__ import annotations

from pathlib import PurePath

import pytest
from _tree import text_files

WIDTH = 120
FILES = dict(text_files())


def by_hand(path: str) -> bool:
    """A page beside data of its own name was made from it."""
    beside = (PurePath(path).with_suffix(suffix).as_posix() for suffix in (".csv", ".json"))
    return not any(data in FILES for data in beside)


def too_long(text: str) -> list[str]:
    """Lines beyond ``WIDTH`` that can be broken: neither rows of tables nor single words."""
    return [
        f"line {number}: {line[:60]} …"
        for number, line in enumerate(text.splitlines(), 1)
        if len(line) > WIDTH and not line.startswith("|") and len(line.split()) > 1
    ]


def test_the_check_sees_prose_and_passes_over_tables() -> None:
    long = "word " * 30
    assert too_long(f"short\n{long}\n") == [f"line 2: {long[:60]} …"]
    assert too_long(f"- {long}") == [f"line 1: - {long[:58]} …"]
    assert not too_long(f"| {long} |\n" + "[0.1.0]:" + "x" * WIDTH)
    assert not too_long("é" * WIDTH)


@pytest.mark.parametrize("path", [p for p in FILES if p.endswith(".md") and by_hand(p)])
def test_no_line_is_longer_than_a_page_is_wide(path: str) -> None:
    assert not too_long(FILES[path])


def test_both_kinds_of_page_are_told_apart() -> None:
    assert by_hand("README.md")
    assert by_hand("docs/results/defence/fresh-seeds.md")
    assert not by_hand("docs/results/defence/detection.md")


def test_the_readme_is_read_to_its_end() -> None:
    assert len(FILES["README.md"].splitlines()) <= 120
