"""What ``auror audit show`` says of a client whom the present verdict flags, and of others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from audit_kit import audited
from auror_server.state.identity import RunIdentity
from auror_server.state.opening import begin
from auror_server.state.rows import Closing
from click.testing import CliRunner
from kept_runs import KIT, begun, fresh, played

from auror.audit.explain import explain
from auror.cli import main
from auror.deployment.run_reader import RunReader
from auror.errors import ConfigError
from auror.ids import ClientId
from auror.round.messages import Exclusion, ExclusionCause
from auror.round.record_json import record_from_json

VERDICT: dict[str, Any] = {
    "flagged": [3], "doubted": [5], "strength": 11.2, "required": 4.6,
    "indications": [{"attack": "flip", "source": 4, "target": 9, "evidence": 11.2, "effect": 5.5,
                     "clients": [3, 7]}],
    "clients": [
        {"client": 3, "score": 6.5, "cleared": False, "reason": "differs from the cohort"},
        {"client": 1, "score": 0.1, "cleared": True, "reason": "lies with the cohort"},
    ],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two rounds; after the second client 3 is flagged, client 5 is doubted and 6 was silent."""
    state = fresh()
    run = begin(tmp_path, RunIdentity(KIT.policy, "settings"), state)
    audited(run, KIT, state)
    played(run, state)
    record = record_from_json(RunReader(tmp_path).rounds()[0])
    fact = begun(state)
    run.note(fact)
    three = ClientId(3)
    state.exclusions[three] = Exclusion(ExclusionCause.FLAG, 4, 9, 11.2, 4.6, 2, 3)
    flagged = replace(record, index=1, round_id=fact.round_id, flagged=(three,))
    state.index, state.counter = 2, 2
    run.close_rounds([Closing(record=flagged, extra={"metrics": {}})], state, VERDICT)
    run.close()
    return tmp_path


def test_a_flag_is_explained_with_classes_strength_rounds_and_what_to_check(folder: Path) -> None:
    found = explain(folder, 2, 3)
    assert found.standing == "accused: differs from the cohort"
    assert (found.score, found.strength, found.required) == (6.5, 11.2, 4.6)
    assert [(p.what, p.clients) for p in found.patterns] == [("class 4 towards class 9", 2)]
    assert (found.rounds, found.accused_in, found.flagged_in) == ((1,), (2,), 2)
    asked = ["audit", "show", str(folder), "--round", "2", "--client", "3"]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 0, done.output
    for line in (
        "verdict: accused: differs from the cohort (score 6.50, strength 11.2 of 4.6 needed)",
        "pattern: class 4 towards class 9, with 2 clients (log-odds 11.2, effect 5.5 honest",
        "check its samples of class 4 for labels class 9",
    ):
        assert line in done.output


def test_before_its_flag_nothing_is_said_of_it(folder: Path) -> None:
    found = explain(folder, 1, 3)
    assert (found.flagged_in, found.told, found.accused_in) == (None, None, ())


@pytest.mark.parametrize(
    ("client", "standing"),
    [(5, "doubted"), (1, "cleared: lies with the cohort"), (0, "not accused")],
)
def test_others_are_told_where_they_stand(folder: Path, client: int, standing: str) -> None:
    asked = ["audit", "show", str(folder), "--round", "2", "--client", str(client)]
    done = CliRunner().invoke(main, [*asked, "--format", "json"])
    said = json.loads(done.output)
    assert said["standing"] == standing
    assert (said["told"], said["flagged_in"], said["patterns"]) == (None, None, [])


def test_a_round_or_client_that_there_is_not_is_one_line(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"round = 9: .* has no audit of it; choose 1 … 2"):
        explain(folder, 9, 3)
    with pytest.raises(ConfigError, match="client = 77 is no member"):
        explain(folder, 1, 77)


def test_verifying_says_in_one_line_and_a_code_of_its_own_what_does_not_hold(folder: Path) -> None:
    """These rounds were played by nobody: no client signed anything in them."""
    asked = ["audit", "verify", str(folder), "--own-detector"]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 12
    assert done.output == "auror: entry 1 (round 1): what clients signed is missing\n"
