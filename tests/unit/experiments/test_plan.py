"""``auror plan``: the numbers of the maths, in words and as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from auror.cli import main
from auror.secagg.topology import Topology


def planned(*words: str) -> Any:
    result = CliRunner().invoke(main, ["plan", *words, "--format", "json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_small_cohort_is_complete_and_its_lonely_groups_are_counted() -> None:
    made = planned("--clients", "30", "--colluders", "9", "--group-size", "5")
    assert made["graph"] == "complete"
    assert (made["topology"]["shares"], made["quorum"], made["topology"]["silent"]) == (20, 20, 10)
    assert made["lonely_sightings"] == pytest.approx(3.34, abs=0.01)
    large = planned("--clients", "30", "--colluders", "9", "--group-size", "10")
    assert large["lonely_sightings"] == pytest.approx(6e-5, rel=0.1)
    assert made["silent_beside_colluders"] == 1
    assert made["cost"] == made["complete"]


def test_a_large_cohort_is_sparse_and_within_the_promised_expansion() -> None:
    made = planned("--clients", "1024", "--colluders", "51", "--dim", str(2**20))
    assert made["graph"] == "sparse"
    assert made["topology"]["degree"] == Topology.for_cohort(1024, 51).degree
    assert made["ring_bits"] == 26
    assert 26 / 16 < made["cost"]["upload_expansion"] < 1.70 < made["complete"]["upload_expansion"]
    assert made["cost"]["client_seconds"] < made["complete"]["client_seconds"]


def test_the_published_parameters_can_be_asked_for() -> None:
    words = ("--clients", "1000", "--colluders", "50", "--dropouts", "0.33", "--published")
    assert planned(*words, "semi-malicious") == {"degree": 398, "threshold": 223}
    assert planned(*words, "curious") == {"degree": 72, "threshold": 24}
    assert planned("--clients", "20", "--colluders", "12", "--dropouts", "0.3", "--published",
                   "curious") is None  # fmt: skip


def test_text_names_every_threshold() -> None:
    text = CliRunner().invoke(main, ["plan", "--clients", "200", "--colluders", "10"]).output
    for word in ("sparse graph", "t ", "Q ", "x ", "in a row on the ring", "server unmasks"):
        assert word in text


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--clients", "10", "--colluders", "9"], "two clients must be honest"),
        (["--clients", "10", "--colluders", "10"], "choose 0 … 8"),
        (["--clients", "10", "--group-size", "11"], "group_size = 11 is larger"),
        (["--clients", "10", "--dropouts", "0.9"], "choose a fraction from 0 to 0.5"),
        (["--clients", "10", "--audit-probability", "1"], "below 1"),
        (["--clients", "10", "--dim", "0"], "--dim must be 1 or more"),
    ],
)
def test_bad_plans_are_one_line_with_the_fix(words: list[str], why: str) -> None:
    result = CliRunner().invoke(main, ["plan", *words])
    assert result.exit_code == 2
    assert why in result.output
    assert result.output.count("\n") == 1
