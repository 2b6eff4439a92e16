"""``auror protocol``: the story that is told is the round that was played."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from auror.cli import main


def play(*words: str) -> Result:
    return CliRunner().invoke(main, ["protocol", *words])


def test_the_first_five_minutes_fit_on_a_screen_and_every_number_is_checked() -> None:
    result = play("--drop", "1", "--exclude-group", "0")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 110
    assert lines[-1].endswith("plain inputs: yes")
    headings = [line.split("  (docs/protocol.md")[0] for line in lines if "(docs/protocol" in line]
    assert headings == [
        "0  Advertise",
        "1  Share keys",
        "1b Receipts",
        "2  Upload",
        "3a Agree on the uploads",
        "3b Draw",
        "4  Statistics",
        "5  Agree",
        "6  Unmask",
        "7  Localise",
    ]


def test_json_tells_the_same_and_the_sets_fit_together() -> None:
    story = json.loads(play("--drop", "1", "--exclude-group", "0", "--format", "json").stdout)
    assert story["exact"] is True
    assert story["dropped"] == [9]
    assert sorted(client for group in story["groups"] for client in group) == list(range(9))
    assert set(story["accepted"]) == {*story["groups"][1], *story["groups"][2]}
    assert len(story["scenes"]) == 10
    rows = [story["opened"]["1"], story["opened"]["2"]]
    first = [sum(column) for column in zip(*rows, strict=True)]
    assert story["total"][:3] == first  # the accepted groups' statistics are P·total


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("clients", [3, 7, 12])
def test_any_round_is_told_without_a_wrong_number(clients: int, seed: int) -> None:
    size = min(3, clients - 1)
    words = ["--clients", str(clients), "--drop", "1", "--seed", str(seed)]
    result = play(*words, "--group-size", str(size))
    assert result.exit_code == 0
    assert "6  Unmask" in result.stdout
    assert "plain inputs: yes" in result.stdout


def test_the_numbers_told_are_those_of_the_phases() -> None:
    lines = play("--clients", "9", "--drop", "2").stdout
    for told in (
        "any 5 of 9 shares restore one",  # t > n / 2
        "8 envelopes",
        "whose it cannot read: nobody's",
        "9 dealers; U2 is final",
        "7 vectors that look random",
        "7 signatures under one U3, 5 are needed",
        "client 0 gives its shares of 9 r",  # absentees' too
        "of 7 self-mask seeds (clients in A) and of 2 mask keys",
    ):
        assert told in lines, told
    assert lines.index("1b Receipts") < lines.index("U2 is final") < lines.index("2  Upload")
    assert lines.index("under one U3") < lines.index("the dice fall") < lines.index("groups: 0")


def test_a_round_in_which_no_group_is_left_opens_nothing_more() -> None:
    result = play("--clients", "6", "--drop", "1", "--exclude-group", "0")
    assert result.exit_code == 0
    assert "5  Abort" in result.stdout
    assert "left out: group 0 (as asked)" in result.stdout
    assert "too few groups accepted: no total" in result.stdout
    assert "Unmask" not in result.stdout
    assert "plain inputs: yes" in result.stdout


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--drop", "4"], "survive at most 3 dropouts (7 must stay)"),
        (["--clients", "3", "--drop", "1"], "survive at most 0 dropouts (3 must stay)"),
        (["--group-size", "10", "--drop", "1"], "survive at most 0 dropouts (10 must stay)"),
        (["--clients", "6", "--exclude-group", "1"], "5 uploads make groups 0 … 0 of 3"),
        (["--exclude-group", "3"], "groups 0 … 2 of 3"),
        (["--exclude-group", "-1"], "--exclude-group -1: choose 0 or more"),
        (["--clients", "2"], "--clients 2: choose 3 or more"),
        (["--clients", "500", "--drop", "1"], "at most 100 fit on a screen"),
        (["--group-size", "11"], "--group-size 11"),
    ],
)
def test_what_cannot_be_played_is_refused_in_one_line(words: list[str], why: str) -> None:
    result = play(*words)
    assert result.exit_code == 2
    assert why in result.output
    assert result.output.count("\n") == 1
