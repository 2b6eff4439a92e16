"""The table of mutants fits the sources; ``make mutants`` then kills them."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest
from script_kit import load_script

ROOT = Path(__file__).parents[2]
TABLE = tomllib.loads((ROOT / "tests" / "mutants" / "mutants.toml").read_text())["mutant"]


def test_there_are_enough_and_their_names_are_their_own() -> None:
    assert len(TABLE) >= 40
    assert len({row["name"] for row in TABLE}) == len(TABLE)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["name"].replace(" ", "-"))
def test_the_check_is_where_the_table_says_and_its_test_exists(row: dict[str, str]) -> None:
    text = (ROOT / row["file"]).read_text()
    assert text.count(row["old"]) == 1
    ast.parse(text.replace(row["old"], row["new"]))
    file, name = row["test"].split("::")
    names = {
        node.name
        for node in ast.walk(ast.parse((ROOT / file).read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    assert name in names


def test_a_word_that_no_mutant_has_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["mutants.py", "--only", "no-such-check"])
    assert load_script("scripts/mutants.py").main() == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "--only no-such-check: no mutant" in said.err
