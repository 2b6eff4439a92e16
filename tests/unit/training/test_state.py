"""A training that is resumed from its state goes on bit for bit."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from campaign_kit import PLAN, Host, Scripted
from rounds_kit import DIM, PARAMS, Deployment

from auror.crypto.entropy import Secret
from auror.errors import AbortReason
from auror.ids import ClientId
from auror.round.description import model_digest
from auror.round.record import Mark, MarkKind
from auror.round.record_json import record_to_json
from auror.round.server.context import Phase
from auror.sim.plain import plain_round
from auror.sim.seeded import seeded_bytes, seeded_entropy, seeded_public_seed
from auror.training.campaign import Campaign
from auror.training.config import CampaignConfig
from auror.training.state import CampaignState

ROUNDS = 16
KIT = Deployment(
    12,
    params=replace(PARAMS, challenge_rows=0, audit_probability=0.3, colluders=2),
    task=Host.task,
    first_models=tuple(model_digest(Host().initial(era)) for era in (0, 1)),
)
CONFIG = CampaignConfig(rounds=ROUNDS // 2, plan=PLAN, detector=Scripted({2: {4}, 6: {5}}))


class Drawn:
    """An entropy that every round begins anew, so that a resumed run draws the same."""

    def __init__(self) -> None:
        self.at(0)

    def at(self, index: int) -> None:
        self._entropy = seeded_entropy(9, "round", index)

    def __call__(self, count: int) -> bytes:
        return self._entropy(count)


def begin(drawn: Drawn, state: CampaignState | None = None) -> Campaign:
    return Campaign(CONFIG, Host(), KIT.policy, drawn, state)


def play(campaign: Campaign, index: int) -> dict[str, Any]:
    """One round: sometimes a client is silent, every eighth check fails and marks a pair."""
    start = campaign.next_round()
    assert start is not None
    rng = np.random.default_rng(index)
    updates = {c: rng.normal(size=DIM).astype(np.float32) / 4 for c in start.description.cohort}
    outcome = plain_round(
        start,
        KIT.policy,
        updates,
        lambda client: Secret(seeded_bytes(index, "rounding", client)),
        campaign.decide,
        {ClientId(index % 3): Phase.STATISTICS} if index % 5 == 0 else {},
        seeded_public_seed(3),
    )
    summary, total, aborted = outcome.summary, outcome.total, outcome.aborted
    if index % 8 == 1:
        mark = Mark(MarkKind.PAIR, (ClientId(7), ClientId(8 + index % 3)))
        summary = replace(summary, marks=(mark,), withheld=frozenset({ClientId(6)}))
        total, aborted = None, AbortReason.BINDING_FAILED
    _end, record = campaign.finish(summary, total, aborted)
    return record_to_json(record)


def test_every_part_of_a_resumed_run_goes_on_bit_for_bit() -> None:
    """One run goes straight on, one is written to JSON and read again after every round."""
    drawn, drawn_again = Drawn(), Drawn()
    straight, resumed = begin(drawn), begin(drawn_again)
    for index in range(ROUNDS):
        drawn.at(index)
        drawn_again.at(index)
        assert play(resumed, index) == play(straight, index)
        written = json.dumps(resumed.state.to_dict())
        assert written == json.dumps(straight.state.to_dict())
        tensors = {name: array.copy() for name, array in resumed.state.tensors().items()}
        resumed = begin(
            drawn_again,
            CampaignState.from_dict(json.loads(written), tensors, straight.ledger.rounds),
        )
    state = straight.state
    assert np.array_equal(state.models.model, resumed.state.models.model)
    # and every part had something to say
    assert straight.flagged == (4,)
    assert state.confirmation.disputed == 9
    assert (state.models.era, state.models.trained) == (1, True)
    assert state.conduct.pairs
    assert state.conduct.withheld == {6: 2}
    assert state.conduct.liability.marks
    assert state.conduct.disputed
    assert any(state.conduct.silences.values())


@pytest.mark.parametrize(
    "part", ["models", "evidence", "confirmation", "conduct", "doubt", "index"]
)
def test_a_state_without_a_part_is_no_state(part: str) -> None:
    state = begin(Drawn()).state
    raw = state.to_dict()
    del raw[part]
    with pytest.raises(KeyError):
        CampaignState.from_dict(raw, state.tensors(), ())
