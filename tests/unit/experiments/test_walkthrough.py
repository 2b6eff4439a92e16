"""``auror protocol``: the story that is told is the round that was played."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from auror.cli import main


def play(*words: str) -> Result:
    return CliRunner().invoke(main, ["protocol", *words])


def test_the_first_five_minutes_fit_on_a_screen_and_every_number_is_checked() -> None:
    result = play("--clients", "6", "--drop", "1", "--exclude-group", "0")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 110
    assert lines[-1].endswith("plain inputs: yes")
    for title in ("Advertise", "Share keys", "Upload", "Statistics", "Agree", "Unmask"):
        assert any(title in line for line in lines)


def test_json_tells_the_same_and_the_sets_fit_together() -> None:
    story = json.loads(play("--drop", "1", "--exclude-group", "0", "--format", "json").stdout)
    assert story["exact"] is True
    assert story["dropped"] == [5]
    assert set(story["accepted"]) == set(story["groups"][1]) - {5}
    assert len(story["scenes"]) == 7
    first = [sum(column) for column in zip(*[story["opened"]["1"]], strict=True)]
    assert story["total"][:3] == first  # one accepted group: its statistics are P·total


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("clients", [3, 7, 12])
def test_any_round_is_told_without_a_wrong_number(clients: int, seed: int) -> None:
    result = play("--clients", str(clients), "--drop", "1", "--seed", str(seed))
    assert result.exit_code == 0
    assert "plain inputs: yes" in result.stdout


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--drop", "3"], "survive at most 2 dropouts"),
        (["--exclude-group", "2"], "groups 0 … 1 of 3"),
        (["--clients", "2"], "three or more"),
        (["--clients", "500", "--drop", "1"], "at most 100 fit on a screen"),
        (["--group-size", "9"], "group_size = 9 is larger than the cohort"),
    ],
)
def test_what_cannot_be_played_is_refused_in_one_line(words: list[str], why: str) -> None:
    result = play(*words)
    assert result.exit_code == 2
    assert why in result.output
    assert result.output.count("\n") == 1
