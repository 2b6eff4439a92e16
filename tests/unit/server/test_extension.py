"""Which rounds a folder's run may be given: its own, or more once it is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from auror_server.cli import _flags
from auror_server.config import SessionSection
from auror_server.extension import rounds_to_train
from rounds_kit import Deployment

from auror.defence.ledger import Ledger
from auror.errors import ConfigError
from auror.params import Budget
from auror.training.state import CampaignState
from auror.training.succession import ModelSuccession

BUDGET = Budget(max_openings=14, max_totals=13, max_steps=12, max_disputed=1, max_watched=12)
FOLDER = Path("run")


def found(**values: Any) -> CampaignState:
    models = ModelSuccession(np.zeros(3, dtype=np.float32), step=values.pop("step", 0))
    return CampaignState(models, Ledger(()), **values)


def wanted(state: CampaignState | None, **settings: int) -> int:
    policy = Deployment(4, budget=BUDGET).policy
    return rounds_to_train(SessionSection(**settings), state, policy, FOLDER)


def test_a_run_keeps_its_rounds() -> None:
    assert wanted(None, rounds=7) == 7
    assert wanted(found(rounds=7), rounds=7) == 7
    with pytest.raises(ConfigError, match="holds an unfinished run of 7 rounds: use `--rounds 7`"):
        wanted(found(rounds=7), rounds=8)


def test_one_command_extends_and_resumes() -> None:
    state = found(rounds=4, over=True, step=5)
    assert wanted(state, add_rounds=3) == 7
    state.extend(7)
    assert (state.rounds, state.extended, state.over) == (7, 4, False)
    assert wanted(state, add_rounds=3) == 7  # a crash came between
    state.extend(7)
    assert (state.rounds, state.extended) == (7, 4)
    with pytest.raises(ConfigError, match="unfinished run of 7 rounds; finish it with"):
        wanted(state, add_rounds=2)
    state.over = True
    assert wanted(state, add_rounds=3) == 10


def test_what_cannot_be_extended() -> None:
    with pytest.raises(ConfigError, match="add_rounds = 3: run holds no run to extend"):
        wanted(None, add_rounds=3)
    with pytest.raises(ConfigError, match="unfinished run of 4 rounds"):
        wanted(found(rounds=4), add_rounds=4)


@pytest.mark.parametrize(
    ("used", "says"),
    [
        ({"step": 8}, "allows 12 steps of a training and 8 are used: add at most 4"),
        ({"totals": 9}, "allows 13 totals of a client and 9 are used: add at most 4"),
        ({"attempts": 15}, "allows 14 attempts of a client and 15 are used: add at most 0"),
    ],
)
def test_what_the_policy_does_not_allow(used: dict[str, int], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        wanted(found(rounds=4, over=True, **used), add_rounds=5)
    if "attempts" not in used:
        assert wanted(found(rounds=4, over=True, **used), add_rounds=4) == 8


def test_the_command_line_tells_a_number_from_an_addition() -> None:
    assert _flags({"rounds": "12"}) == ["session.rounds=12"]
    assert _flags({"rounds": "+12"}) == ["session.add_rounds=12"]
    for nothing in ("+0", "+00", "+ 0"):
        with pytest.raises(ConfigError, match=r"--rounds \+ ?00?: extend a finished run by \+1"):
            _flags({"rounds": nothing})
