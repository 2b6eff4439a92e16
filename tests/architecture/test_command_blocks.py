"""Every block of commands on a page is run by a test, or says why by none."""

from __future__ import annotations

import re

import page_kit
import pytest
from _tree import ROOT, text_files

PAGES = {
    path: text
    for path, text in text_files()
    if path.endswith(".md") and not path.startswith(("docs/results/", "docs/adr/", "tests/"))
}
PROGRAMS = re.compile(
    r"(auror|auror-server|auror-client|docker|make|pip|python3?|sh|sudo|cp) [-\w./]"
)


def with_commands(pages: dict[str, str]) -> set[str]:
    return {path for path in pages if any(b.language == "sh" for b in page_kit.blocks(path))}


def unmarked(page: str) -> list[str]:
    """Commands in blocks that are not marked ``sh``, which no test would see."""
    return [
        line
        for block in page_kit.blocks(page)
        if block.language in {"", "console", "bash", "shell"}
        for line in block.text.splitlines()
        if PROGRAMS.match(line)
    ]


def test_every_page_with_commands_has_a_test() -> None:
    assert with_commands(PAGES) == page_kit.PAGES.keys()


@pytest.mark.parametrize(("page", "test"), page_kit.PAGES.items())
def test_the_test_reads_the_page(page: str, test: str) -> None:
    assert f'"{page}"' in (ROOT / test).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_marked_as_such(page: str) -> None:
    assert unmarked(page) == []


def test_what_no_test_runs_is_on_the_page_and_says_why() -> None:
    for page, reasons in page_kit.NOT_RUN.items():
        found = [line for b in page_kit.blocks(page) if b.language == "sh" for line in b.lines()]
        for beginning, reason in reasons.items():
            assert sum(line.startswith(beginning) for line in found) == 1, (page, beginning)
            assert len(reason) > 20, (page, beginning)


def test_lines_are_read_as_a_shell_would() -> None:
    block = page_kit.Block("page.md", "sh", "auror a \\\n  --b  # why\n\n# all\nauror c 'x # y'\n")
    assert block.lines() == ["auror a --b", "auror c 'x"]
    with pytest.raises(AssertionError, match="does not say"):
        page_kit.lines("README.md", {"no such word": ""})
