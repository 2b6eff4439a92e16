from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "docs" / "results"


def test_the_page_says_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from budget_tables import render

    made = json.loads(RESULTS.joinpath("budget.json").read_text(encoding="utf-8"))
    assert RESULTS.joinpath("budget.md").read_text(encoding="utf-8") == render(made)
    made[0]["whose"][0]["sums"] += 0.3
    assert RESULTS.joinpath("budget.md").read_text(encoding="utf-8") != render(made)
    sys.modules.pop("budget_tables")
