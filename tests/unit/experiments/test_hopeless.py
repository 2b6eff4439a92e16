"""Settings under which nobody can be flagged are said before anything is trained."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from auror.cli import main
from auror.experiments.hopeless import too_short, undetectable
from auror.experiments.options import experiment_config
from auror.params import RoundParams

ROWS = Path(__file__).parents[3] / "docs" / "results" / "defence"
SMALL = ("--dataset", "digits", "--clients", "16", "--rounds", "1", "--runs", "defended",
         "--aggregation", "plain")  # fmt: skip


@pytest.mark.parametrize(
    ("options", "starts"),
    [
        ({}, []),
        ({"clients": 15, "malicious": 4}, []),
        ({"clients": 15, "malicious": 7, "colluders": 7, "group_size": 2}, []),
        ({"clients": 15, "malicious": 8}, ["malicious = 8 of 15", "malicious = 8, above"]),
        ({"clients": 12, "malicious": 3}, ["12 clients: below 15"]),
        ({"clients": 12, "flag_small_cohorts": True}, ["12 clients: ", "group_size = 5 makes 2"]),
        ({"malicious": 16}, ["malicious = 16 of 30", "malicious = 16, above colluders = 9"]),
        ({"malicious": 15, "colluders": 15}, ["malicious = 15 of 30"]),
        ({"malicious": 10}, ["malicious = 10, above colluders = 9"]),
        ({"group_size": 16}, ["group_size = 16 puts all 30 clients into one group"]),
        (
            {"group_size": 15},
            ["group_size = 15 makes 2 groups of 30 clients, and a total needs 24"],
        ),
        ({"group_size": 10}, []),
        ({"group_size": 16, "detector": "direction"}, ["group_size = 16 puts all"]),
        ({"malicious": 16, "runs": "undefended"}, []),
        ({"rounds": 10}, []),
        (
            {"rounds": 9},
            ["rounds = 9: with 6 groups of 30 clients nobody is judged"],
        ),
        ({"rounds": 9, "attack": "none"}, ["rounds = 9"]),
        ({"rounds": 20, "group_size": 10}, ["rounds = 20: with 3 groups"]),
        ({"rounds": 7, "group_size": 1, "malicious": 9}, ["rounds = 7: with 30 groups"]),
        ({"rounds": 1, "clients": 12}, ["12 clients: below 15"]),
        ({"rounds": 1, "runs": "undefended"}, []),
        ({"attack": "flip:4:9+sleep:29"}, []),
        ({"attack": "flip:4:9+sleep:30"}, ["attack = flip:4:9+sleep:30 begins after 30 rounds"]),
        ({"attack": "flip:4:9+sleep:30", "runs": "undefended"}, ["attack = "]),
        ({"attack": "flip:4:9+sleep:30", "rule": "median"}, ["attack = "]),
        ({"attack": "flip:4:9+sleep:30", "detector": "direction"}, ["attack = "]),
        ({"attack": "flip:4:9+sleep:30", "runs": "clean"}, []),
        ({"malicious": 16, "rule": "median"}, []),
    ],
)
def test_who_cannot_be_found_is_said(options: dict[str, object], starts: list[str]) -> None:
    found = experiment_config(options).warnings
    assert len(found) == len(starts)
    for line, start in zip(found, starts, strict=True):
        assert line.startswith(start)


def test_nobody_can_be_left_out_exactly_where_a_total_needs_them() -> None:
    for clients in range(4, 40):
        for size in range(1, clients // 2 + 1):
            params = RoundParams(group_size=size, colluders=clients * 3 // 10)
            smallest = clients // (clients // size)
            fewest = params.fewest_accepted(clients, clients)
            said = bool(undetectable(clients, 0, params))
            assert said == (clients - smallest < fewest)


def test_no_committed_row_flags_earlier_than_is_said() -> None:
    first: dict[tuple[int, int], int] = {}
    for section in ("detection", "noniid", "attackers", "few_classes"):
        with (ROWS / f"{section}.csv").open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["first"] and row.get("detector", "decoded") == "decoded":
                    cohort = int(row["clients"]), int(row["group_size"])
                    first[cohort] = min(int(row["first"]), first.get(cohort, 99))
    for (clients, size), found in first.items():
        params = RoundParams(group_size=size)
        assert too_short(clients, found, params) is None, (clients, size)
    assert too_short(30, first[30, 5] - 1, RoundParams(group_size=5)) is not None


def test_a_check_and_a_run_say_it() -> None:
    words = ("simulate", *SMALL, "--malicious", "8")
    shown = CliRunner().invoke(main, [*words, "--check"])
    assert shown.exit_code == 0
    assert "! --malicious 8 of 16 clients, half or more" in shown.stdout
    assert "! --malicious 8, above --colluders 4" in shown.stdout
    listed = json.loads(CliRunner().invoke(main, [*words, "--check", "--format", "json"]).stdout)
    assert [line.partition(",")[0] for line in listed["warnings"]] == [
        "--malicious 8 of 16 clients",
        "--malicious 8",
    ]
    assert listed["ok"]
    done = CliRunner().invoke(main, [*words, "--format", "json"])
    found = [line.partition(",")[0] for line in json.loads(done.stdout)["warnings"]]
    assert found == ["malicious = 8 of 16 clients", "malicious = 8"]
    assert done.stderr.index("half or more") < done.stderr.index("accuracy")


def test_what_is_odd_about_the_samples_is_said_too(tmp_path: Path) -> None:
    y = np.repeat([0, 1], 60)
    np.savez(tmp_path / "own.npz", x=np.repeat(np.arange(24.0).reshape(12, 2), 10, axis=0), y=y)
    words = ("simulate", "--data", str(tmp_path / "own.npz"), "--clients", "15", "--rounds", "1",
             "--runs", "clean", "--attack", "none")  # fmt: skip
    equal = "120 of 120 samples are equal to one in another part (test, clean, train)"
    assert equal in CliRunner().invoke(main, [*words, "--check"]).stdout
    done = CliRunner().invoke(main, [*words, "--format", "json"])
    (line,) = json.loads(done.stdout)["warnings"]
    assert equal in line
    assert done.stderr.index(equal) < done.stderr.index("accuracy")
