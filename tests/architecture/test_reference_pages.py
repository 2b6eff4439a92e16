"""Documentation that cannot be incomplete: settings, exit codes and events are what programs do.

Metrics: ``tests/unit/server/test_monitor.py`` compares them with docs/operating.md.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys

import pytest
from _tree import PACKAGES, ROOT, python_files

from auror.errors import UserError

sys.path.insert(0, str(ROOT / "scripts"))
settings_page = importlib.import_module("settings_page")
protocol_pictures = importlib.import_module("protocol_pictures")
scaling_page = importlib.import_module("scaling_page")

EVENTS = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
DEPLOY = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
LEVELS = ("info", "warning", "error")


@pytest.mark.parametrize("path", sorted(settings_page.made()))
def test_settings_are_documented_as_they_are(path: str) -> None:
    """Make them anew with scripts/settings_page.py."""
    assert (ROOT / path).read_text(encoding="utf-8") == settings_page.made()[path]


def test_the_protocol_is_drawn_as_the_machines_play_it() -> None:
    """Draw it anew with scripts/protocol_pictures.py."""
    page = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    assert protocol_pictures.page(page) == page
    drawn = protocol_pictures.pictures()
    assert drawn.count("S->>C") == drawn.count("C->>S") == len(protocol_pictures.ORDER)
    assert "Uploaded --> SignedUploads: UploadList" in drawn


def test_what_a_client_costs_is_what_the_rows_say() -> None:
    """Write it anew with scripts/scaling_page.py."""
    page = scaling_page.PAGE.read_text(encoding="utf-8")
    assert scaling_page.page(page) == page
    measured = scaling_page.rows()
    assert len(measured) > 5
    assert all(row["exact"] for row in measured)
    svg = scaling_page.plot(measured)
    assert svg.count("<use") >= len(measured) * len(scaling_page.COSTS)
    for key, fit in scaling_page.fitted(measured).items():
        assert f"n^{fit.exponent:.2f}" in scaling_page.PLOT.read_text(encoding="utf-8"), key


def test_a_power_law_is_found_with_its_interval() -> None:
    ns = [100, 200, 400, 800, 1600]
    clean = scaling_page.Fit.of(ns, [3 * n**1.5 for n in ns])
    assert (clean.exponent, clean.factor) == pytest.approx((1.5, 3))
    assert clean.half == pytest.approx(0, abs=1e-6)
    assert clean.at(10**5) == pytest.approx(3 * 10**7.5)
    noisy = scaling_page.Fit.of(
        ns, [3 * n**1.5 * up for n, up in zip(ns, (1.1, 0.9, 1.1, 0.9, 1.1), strict=True)]
    )
    assert abs(noisy.exponent - 1.5) < noisy.half < 0.3
    assert 1 < noisy.times(400) < noisy.times(1600) < noisy.times(10**5)


def test_every_setting_says_what_it_is() -> None:
    lines = [line for line in settings_page.page().splitlines() if line.startswith("| `")]
    assert len(lines) > 60
    assert not [line for line in lines if re.search(r"\|\s*(\([^|]*\))?\s*\|$", line)]


def logged(source: str) -> set[tuple[str, str]]:
    """(event, level) of each line of a log whose text is fixed."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            known = node.func.attr in LEVELS and ast.unparse(node.func.value).endswith("_log")
            if known and node.args and isinstance(node.args[0], ast.Constant):
                found.add((str(node.args[0].value), node.func.attr))
    return found


def documented(program: str) -> set[tuple[str, str]]:
    part = EVENTS.split(f"\n## {program}\n")[1].split("\n## ")[0]
    return {
        ((spaced or plain).strip(), level)
        for spaced, plain, level in re.findall(
            r"^\| (?:`` ?(.+?) ``|`([^`]+)`) \| (\w+) \|", part, re.MULTILINE
        )
    }


def test_the_search_for_events_sees() -> None:
    assert logged('self._log.info("a", b=1); _log.error(f"{x}"); log.info("c")') == {("a", "info")}


@pytest.mark.parametrize(("program", "package"), [("Server", PACKAGES[1]), ("Client", PACKAGES[2])])
def test_every_event_is_documented(program: str, package: object) -> None:
    files = [file.read_text(encoding="utf-8") for file in python_files(package)]  # type: ignore[arg-type]
    found = set().union(*map(logged, files))
    # one call, two names: server/auror_server/notices.py says which
    found |= (
        {("client flagged", "warning"), ("client proven to have lied", "warning")}
        if (program == "Server")
        else set()
    )
    assert documented(program) == found


def kinds(root: type[UserError]) -> set[int]:
    return {root.exit_code}.union(*(kinds(kind) for kind in root.__subclasses__()))


def epilog(module: str, name: str) -> set[int]:
    """Codes that a program's --help lists."""
    text = getattr(importlib.import_module(module), name)
    return {int(code) for code in re.findall(r"^ *(\d+)  ", text, re.MULTILINE)}


def test_every_exit_code_is_documented() -> None:
    importlib.import_module("auror.audit.broken")
    table = DEPLOY.split("## Exit codes")[1]
    rows = [line.split("|")[1:-1] for line in table.splitlines() if re.match(r"\| \d", line)]
    columns = {
        program: {int(row[0]) for row in rows if row[column].strip()}
        for column, program in enumerate(("server", "client", "auror"), 1)
    }
    assert columns["server"] == epilog("auror_server.cli", "_EPILOG")
    assert columns["client"] == epilog("auror_client.cli", "_EPILOG")
    assert columns["auror"] >= epilog("auror.cli.shared", "EPILOG")
    assert kinds(UserError) <= set().union(*columns.values())
