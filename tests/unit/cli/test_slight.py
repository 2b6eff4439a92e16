"""Attackers who have next to nothing to relabel are told apart in the text."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from auror.cli import main

FEW = ("simulate", "--dataset", "digits", "--clients", "60", "--attack", "flip:3:8",
       "--rounds", "1", "--runs", "defended")  # fmt: skip


@pytest.mark.parametrize("words", [("--aggregation", "plain"), ("--rule", "krum")])
def test_who_is_not_counted_as_to_be_found_is_named(words: tuple[str, ...]) -> None:
    found = json.loads(CliRunner().invoke(main, [*FEW, *words, "--format", "json"]).stdout)
    slight = [name for name, count in found["poisoned_samples"].items() if count < 3]
    assert 1 < len(slight) < len(found["malicious"])
    line = (
        f"slight:    clients {', '.join(slight)}   (changed fewer than 3 labels: not counted as to"
        " be found)"
    )
    assert line in CliRunner().invoke(main, [*FEW, *words]).stdout.splitlines()


def test_nobody_is_named_where_all_have_enough() -> None:
    done = CliRunner().invoke(main, [*FEW, "--clients", "15", "--aggregation", "plain"])
    assert "slight" not in done.stdout
