"""Which model a round trains: spent steps, attempts, the restart."""

from __future__ import annotations

import numpy as np
import pytest
from campaign_kit import Host, Run, lying, without

from auror.errors import AbortReason, ConfigError
from auror.ids import ClientId
from auror.round.description import model_digest
from auror.round.messages import (
    RandomnessShares,
    UpdateShares,
)
from auror.training.succession import ModelSuccession


def test_restart_once_from_a_new_initial_model_without_the_flagged() -> None:
    run = Run(rounds=4, flags={1: {4}, 5: {5}})
    records = run.to_the_end()
    assert [r.era for r in records] == [0] * 4 + [1] * 4
    assert all(4 not in r.cohort for r in records[4:])
    assert run.campaign.flagged == (4, 5)
    state = run.campaign.state.models
    assert (state.era, state.step) == (1, 4)
    memory = run.machines[ClientId(0)].memory  # which checks the first model of either era
    assert (memory.totals, memory.era, memory.step) == (8, 1, 3)


def test_failed_binding_leaves_the_model_and_the_next_round_uses_another() -> None:
    run = Run(rounds=3)
    first = run.round()
    second = run.round(lying)
    assert second.aborted is AbortReason.BINDING_FAILED
    assert second.model == first.model
    assert second.total_opened
    assert second.accepted  # the account must know what that total was a sum of
    assert len(run.campaign.ledger.rounds) == 1
    spent = run.campaign.state.models.model
    third = run.round()
    assert third.aborted is None
    assert run.campaign.state.models.previous is not None
    assert not np.array_equal(run.campaign.state.models.previous, spent)
    assert run.campaign.state.models.step == 3
    assert run.machines[third.cohort[0]].memory.step == 2


def test_failed_binding_on_the_first_model_moves_on_to_another_step() -> None:
    run = Run(rounds=3)
    assert run.round(lying).aborted is AbortReason.BINDING_FAILED
    first = Host().initial(0)
    assert run.round().aborted is None  # clients take the model that follows
    state = run.campaign.state.models
    assert state.previous is not None
    assert np.allclose(state.previous, 0.9 * first)
    assert (state.era, state.step) == (0, 2)


@pytest.mark.parametrize("kind", [RandomnessShares, UpdateShares])
def test_rounds_that_fail_late_never_end_in_refusals(kind: type) -> None:
    """Clients book attempts and totals before the opening succeeds; so must the campaign."""
    run = Run(rounds=8)
    assert run.round().aborted is None
    for _ in range(4):
        assert run.round(without(kind)).aborted is AbortReason.TOO_FEW_SHARES
    assert run.round().aborted is None
    assert run.machines[ClientId(0)].memory.totals == (2 if kind is RandomnessShares else 6)
    assert run.machines[ClientId(0)].memory.all_attempts == 6
    assert not any(record.dropped for record in run.records[-1:])


def test_attempts_are_counted_and_limited() -> None:
    run = Run(rounds=8)
    run.round()
    models = []
    for _ in range(4):
        record = run.round(without(RandomnessShares))
        models.append((record.attempt, run.campaign.state.models.model.tobytes()))
    assert [attempt for attempt, _ in models] == [0, 1, 2, 0]
    assert models[0][1] == models[2][1] != models[3][1]


def test_every_failed_total_takes_a_step_half_way_back() -> None:
    run = Run(rounds=12)
    run.round()
    state = run.campaign.state.models
    model, previous = state.model, state.previous
    assert previous is not None
    for times in range(1, 6):
        assert run.round(without(UpdateShares)).aborted is AbortReason.TOO_FEW_SHARES
        start = run.campaign.next_round()
        assert start is not None
        part = np.float32(0.5**times)
        assert np.allclose(start.model, previous + part * (model - previous), atol=1e-6)
        assert start.description.step == times + 1
        assert start.description.parent == run.records[-1].model
    assert run.round().aborted is None


def test_a_spent_or_tried_step_is_left_and_any_other_is_kept() -> None:
    models = ModelSuccession(np.ones(3, dtype=np.float32))
    models.book(attempted=True, unmasking=False)
    models.leave_spent_step(2)
    assert (models.step, models.attempts) == (0, 1)
    models.book(attempted=True, unmasking=False)
    models.leave_spent_step(2)
    assert (models.step, models.attempts) == (1, 0)
    assert models.parent == model_digest(np.ones(3, dtype=np.float32))
    models.add(np.full(3, 0.5))
    assert models.trained
    before, now = models.previous, models.model
    assert before is not None
    models.book(attempted=False, unmasking=True)
    models.leave_spent_step(2)
    assert np.array_equal(models.model, (before + now) / 2)
    assert models.previous is before  # half-way to the same model every time
    assert (models.step, models.spent) == (3, False)


def test_the_moves_to_a_model_are_made_again_and_nothing_else_leads_there() -> None:
    def first(era: int) -> np.ndarray:
        return np.full(3, era, dtype=np.float32)

    def trained() -> ModelSuccession:
        models = ModelSuccession(first(0))
        models.add(np.ones(3))
        models.book(attempted=True, unmasking=True)
        return models

    went = trained()
    went.leave_spent_step(9)
    again = trained()
    again.reach(0, 2, model_digest(went.model), first)
    assert again.to_dict() == went.to_dict()
    assert again.model.tobytes() == went.model.tobytes()
    went.restart(first(1))
    went.book(attempted=True, unmasking=True)
    went.leave_spent_step(9)
    again.reach(1, 1, model_digest(went.model), first)
    assert again.model.tobytes() == went.model.tobytes()
    assert (again.era, again.step, again.attempts, again.spent) == (1, 1, 0, False)
    for era, step in ((0, 1), (1, 0), (1, 1), (1, 2)):
        with pytest.raises(ConfigError, match=f"era {era}, step {step}"):
            again.reach(era, step, model_digest(first(7)), first)


def test_a_restart_has_no_model_before_it() -> None:
    models = ModelSuccession(np.ones(3, dtype=np.float32))
    models.era_round = 4
    models.add(np.ones(3))
    models.book(attempted=True, unmasking=True)
    models.restart(np.zeros(3, dtype=np.float32))
    assert models == ModelSuccession(models.model, era=1)
    assert not models.trained
    assert models.tensors().keys() == {"model"}
