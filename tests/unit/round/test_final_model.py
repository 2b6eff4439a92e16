"""What a client can tell about the model that it is given when the training is over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rounds_kit import Deployment

from auror.errors import AbortReason, Refusal, Refused
from auror.ids import ClientId, Digest
from auror.round.client.final_model import LastRound, check_final_model
from auror.round.client.memory import ClientMemory
from auror.round.description import model_digest
from auror.round.messages import FinalModel, RoundEnd, RoundStart

KIT = Deployment(7)
DIM = KIT.plan.dim
START = KIT.start(counter=3, step=4)
RANGE = KIT.policy.params.quantisation_range
KNOWN = ClientMemory().holding(KIT.policy).joined(3).attempted(START.description)
REACHED = START.model + np.float32(RANGE / 2)
FINAL = FinalModel(
    policy=KIT.policy.digest(),
    era=0,
    step=5,
    parent=START.description.model,
    digest=model_digest(REACHED),
    model=REACHED,
)


def other(model: np.ndarray, final: FinalModel = FINAL) -> FinalModel:
    """``final`` with another model, named by its digest."""
    return replace(final, model=model, digest=model_digest(model))


def told(final: FinalModel = FINAL, aborted: AbortReason | None = None) -> LastRound:
    return LastRound(START, RoundEnd(final.digest, aborted, (), ()))


def check(
    final: FinalModel, memory: ClientMemory = KNOWN, last: LastRound | None = None
) -> Refusal | None:
    """Why it is refused; None: it is taken."""
    try:
        check_final_model(KIT.policy, memory, last, DIM, final)
    except Refused as refusal:
        return refusal.reason
    return None


@pytest.mark.parametrize("last", [None, LastRound(START), told()])
@pytest.mark.parametrize("memory", [KNOWN, ClientMemory().holding(KIT.policy)])
def test_the_model_that_the_last_total_made(memory: ClientMemory, last: LastRound | None) -> None:
    assert check(FINAL, memory, last) is None


def test_a_last_round_without_a_total_leaves_the_model_as_it_was() -> None:
    same = other(
        START.model, replace(FINAL, step=4, parent=START.description.parent)
    )  # its digest is the step's
    last = told(same, AbortReason.TOO_FEW_ACCEPTED)
    assert check(same, last=last) is None
    assert check(other(REACHED, same), last=last) is Refusal.WRONG_MODEL
    assert check(other(REACHED, same), ClientMemory(), last) is Refusal.WRONG_MODEL


def test_a_model_that_the_policy_keeps_back() -> None:
    closed = replace(KIT.policy, release_model=False)
    final = replace(FINAL, policy=closed.digest())
    with pytest.raises(Refused, match="release_model = false") as refused:
        check_final_model(closed, KNOWN, None, DIM, final)
    assert refused.value.reason is Refusal.WRONG_POLICY


def test_a_model_under_another_policy() -> None:
    assert check(replace(FINAL, policy=Digest(bytes(32)))) is Refusal.WRONG_POLICY


@pytest.mark.parametrize("size", [0, DIM - 1, DIM + 1])
def test_a_model_of_another_size(size: int) -> None:
    assert check(other(np.zeros(size, dtype=np.float32))) is Refusal.WRONG_MODEL


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(value: float) -> None:
    broken = REACHED.copy()
    broken[-1] = value
    assert check(other(broken)) is Refusal.WRONG_MODEL


def test_a_model_that_its_digest_does_not_name() -> None:
    assert check(replace(FINAL, model=REACHED + np.float32(0.01))) is Refusal.WRONG_MODEL


@pytest.mark.parametrize(
    ("era", "step"), [(2, 5), (0, 0), (0, KIT.policy.budget.max_steps + 1), (0, 3)]
)
def test_a_place_that_the_policy_or_this_client_does_not_have(era: int, step: int) -> None:
    assert check(replace(FINAL, era=era, step=step)) is Refusal.WRONG_STEP


def test_the_last_step_that_the_policy_allows_has_a_model() -> None:
    assert check(replace(FINAL, step=KIT.policy.budget.max_steps)) is None


def test_after_a_restart_the_memory_names_the_model_before() -> None:
    """All that an earlier process left is the journal."""
    forged = replace(FINAL, parent=Digest(bytes(32)))
    assert check(forged) is Refusal.WRONG_MODEL
    assert check(replace(forged, step=6)) is None  # rounds that it was not in
    assert check(replace(FINAL, step=4)) is Refusal.WRONG_MODEL  # its own step's is another


def test_a_round_that_it_joined_without_an_upload_counts_too() -> None:
    forged = replace(FINAL, parent=Digest(bytes(32)))
    assert check(forged, ClientMemory(), LastRound(START)) is Refusal.WRONG_MODEL


def test_another_model_than_told_at_the_end_of_the_last_round() -> None:
    assert check(other(REACHED + np.float32(0.01)), last=told()) is Refusal.WRONG_MODEL
    assert check(other(REACHED + np.float32(0.01)), last=LastRound(START)) is None


def test_a_model_that_one_total_cannot_reach() -> None:
    far = START.model.copy()
    far[7] += np.float32(1.01 * RANGE)
    assert check(other(far), last=LastRound(START)) is Refusal.WRONG_MODEL
    assert check(other(far)) is None  # nobody remembers the model itself
    for sign in (-1, 1):
        edge = (START.model.astype(np.float64) + sign * RANGE).astype(np.float32)
        assert check(other(edge), last=LastRound(START)) is None


def test_the_machine_remembers_its_last_round_and_no_refused_one() -> None:
    machine = KIT.machine(ClientId(0))

    def refusal(final: FinalModel) -> Refusal | None:
        try:
            machine.check_final(final, DIM)
        except Refused as refused:
            return refused.reason
        return None

    def invite(start: RoundStart, end: RoundEnd) -> None:
        machine.on_message(start)
        machine.on_message(end)

    invite(START, RoundEnd(FINAL.digest, None, (), ()))
    assert refusal(FINAL) is None
    assert refusal(other(REACHED + np.float32(0.01))) is Refusal.WRONG_MODEL
    stale = KIT.start(counter=2, step=5)  # its counter is behind: the client stays out
    invite(stale, RoundEnd(Digest(bytes(32)), None, (), ()))
    assert refusal(replace(FINAL, step=6)) is None
