"""What code and documents cite can be found where they say it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from _tree import text_files

FILES = dict(text_files())
CITING = {
    path: text
    for path, text in FILES.items()
    if path.endswith((".py", ".md", ".toml", ".proto")) and not path.startswith("tests/arch")
}

_SECTION = re.compile(r"([a-z-]+\.md)\)?,? +(?:sections? |§) ?(\d+)")
_DECISION = re.compile(r"(?:docs/adr/|ADR )(\d{4})")
_STEP = re.compile(r"[Ss]teps? (\d\.\d+)")
_PATH = re.compile(
    r"`((?:auror|server|client|tests|scripts|docs|deploy|examples)/[\w./-]+\.(?:py|md|toml|proto|svg|csv))`"
)


def headings(page: str) -> set[str]:
    """Numbers of the numbered sections of ``page``."""
    return set(re.findall(r"^## (\d+)\.", page, re.M))


def sections(text: str) -> Iterator[tuple[str, str]]:
    """(page, number) of every section that ``text`` cites."""
    yield from _SECTION.findall(" ".join(text.split()))


@pytest.mark.parametrize("path", [p for p, text in CITING.items() if any(sections(text))])
def test_cited_sections_exist(path: str) -> None:
    for page, number in sections(CITING[path]):
        found = [text for name, text in FILES.items() if name.endswith(f"/{page}")]
        assert any(number in headings(text) for text in found), f"{page} has no section {number}"


@pytest.mark.parametrize("path", [p for p, text in CITING.items() if _DECISION.search(text)])
def test_cited_decisions_exist(path: str) -> None:
    for number in _DECISION.findall(CITING[path]):
        assert any(name.startswith(f"docs/adr/{number}-") for name in FILES), number


@pytest.mark.parametrize(
    "path", [p for p, text in CITING.items() if p.endswith(".py") and _STEP.search(text)]
)
def test_cited_steps_of_the_protocol_exist(path: str) -> None:
    steps = set(re.findall(r"^(\d\.\d+) ", FILES["docs/protocol.md"], re.M))
    assert set(_STEP.findall(CITING[path])) <= steps


@pytest.mark.parametrize(
    "path", [p for p, t in CITING.items() if p.endswith(".md") and p != "CHANGELOG.md"]
)
def test_cited_files_exist(path: str) -> None:
    assert {cited for cited in _PATH.findall(CITING[path]) if cited not in FILES} == set()


def test_the_checks_see_what_they_look_for() -> None:
    assert list(sections("(docs/defence.md,\n    section 4)")) == [("defence.md", "4")]
    assert list(sections("docs/protocol.md §2")) == [("protocol.md", "2")]
    assert headings("## 1. A\ntext\n## Phase 2\n## 5. B\n") == {"1", "5"}
    assert _STEP.findall("Step 5.0 and steps 3.4 and 3.5") == ["5.0", "3.4"]
