"""``auror plan``: the numbers of the maths, in words and as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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
        (["--clients", "10", "--colluders", "9"], "two must be honest"),
        (["--clients", "10", "--colluders", "10"], "choose 0 … 8"),
        (
            ["--clients", "10", "--group-size", "11", "--colluders", "1"],
            "--group-size 11 is larger",
        ),
        (["--clients", "10", "--rounds", "0"], "--rounds 0: choose 1 or more"),
        (["--clients", "10", "--dropouts", "0.9"], "--dropouts 0.9: choose 0 … 0.5"),
        (["--clients", "10", "--audit-probability", "1"], "below 1"),
        (["--clients", "10", "--dim", "0"], "--dim 0: choose 1 or more"),
    ],
)
def test_bad_plans_are_one_line_with_the_fix(words: list[str], why: str) -> None:
    result = CliRunner().invoke(main, ["plan", *words])
    assert result.exit_code == 2
    assert why in result.output
    assert result.output.count("\n") == 1


def verdicts(made: Any) -> dict[str, bool]:
    return {promise["name"]: promise["kept"] for promise in made["promises"]}


@pytest.mark.parametrize("clients", ["15", "20", "30", "100", "1000"])
def test_the_default_policy_keeps_every_promise(clients: str) -> None:
    made = planned("--clients", clients)
    assert all(verdicts(made).values())
    assert [seat["alone"] for seat in made["seats"]] == [0, 0, 0]
    text = CliRunner().invoke(main, ["plan", "--clients", clients]).output
    assert text.count("  kept  ") == len(made["promises"])
    assert "WEAK" not in text


def test_where_a_lying_server_may_isolate_a_client_is_said_plainly() -> None:
    company = "a chosen client does not sit among colluders only"
    weak = planned("--clients", "30", "--colluders", "9", "--group-size", "5")
    assert not verdicts(weak)[company]
    whole, floor, disputed = weak["seats"]
    assert (whole["members"], floor["members"], disputed["members"]) == (30, 20, 15)
    assert whole["alone"] == pytest.approx(0.0053, rel=0.02)
    assert floor["alone"] == pytest.approx(0.033, rel=0.02)
    assert (whole["draws"], disputed["draws"]) == (220, 50)
    strong = planned("--clients", "30", "--colluders", "9", "--group-size", "10")
    assert verdicts(strong)[company]
    assert strong["seats"][1]["alone"] == pytest.approx(1e-5, rel=0.2)
    assert verdicts(planned("--clients", "1000", "--colluders", "50"))[company]
    text = CliRunner().invoke(main, ["plan", "--clients", "30", "--colluders", "9"]).output
    assert f"WEAK  {company}" in text


def test_weak_promises_of_other_kinds() -> None:
    clear = verdicts(planned("--clients", "30", "--group-size", "1", "--colluders", "9"))
    assert not clear["a group hides its members from g - 2 of them"]
    two = verdicts(planned("--clients", "30", "--group-size", "15", "--colluders", "9"))
    assert not two["audits can leave a group out of a total"]
    assert not two["colluders who fall silent stop no round"]


def test_below_fifteen_clients_the_error_rate_is_no_promise() -> None:
    rate = "a training without liars accuses somebody with a chance of error_rate at most"
    assert not verdicts(planned("--clients", "14"))[rate]
    text = CliRunner().invoke(main, ["plan", "--clients", "6"]).output
    assert f"WEAK  {rate}: 6 clients: below 15 error_rate is not claimed" in text


def test_groups_lost_to_dropouts_after_the_upload() -> None:
    lost = planned("--clients", "30")["groups_lost"]
    assert lost == pytest.approx({"1%": 0.049, "5%": 0.226, "10%": 0.41}, abs=0.001)


def test_a_console_without_the_signs_gets_question_marks() -> None:
    command = [sys.executable, "-m", "auror.cli", "plan", "--clients", "30", "--colluders", "9"]
    env = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(command, env=env, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert b"9 assumed to collude" in done.stdout
    assert b"?" in done.stdout
