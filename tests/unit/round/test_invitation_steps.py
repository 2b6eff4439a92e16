"""Phase 0, the invitation: rounds, eras, steps and models by name; budget and memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from inviting import VICTIM, at, described, says
from rounds_kit import PARAMS, Deployment, invite, play, refused

from auror.errors import AbortReason, ConfigError, Refusal
from auror.ids import ClientId
from auror.round.client.memory import ClientMemory
from auror.round.description import model_digest
from auror.round.facts import decode_memory, encode
from auror.round.messages import MaskedStatistics
from auror.round.policy import NO_DIGEST


def test_counter_not_larger_than_the_last(seven: Deployment) -> None:
    memory = ClientMemory(counter=4)
    says(
        invite(seven, seven.start(4), memory),
        Refusal.ROUND_REPLAYED,
        "counter 4, joined before: 4",
    )
    assert invite(seven, seven.start(5), memory) is None


def test_model_other_than_described(seven: Deployment) -> None:
    start = seven.start(step=1)
    raw = start.model.copy()
    raw.view(np.uint32)[5] ^= 1
    says(invite(seven, replace(start, model=raw)), Refusal.WRONG_MODEL)
    longer = np.append(start.model, np.float32(0))
    other = described(start, model=model_digest(longer))
    says(invite(seven, replace(other, model=longer)), Refusal.WRONG_MODEL)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_model_that_is_not_finite(seven: Deployment, value: float) -> None:
    """No honest total leads there: nobody trains on it, and nobody's samples are to blame."""
    start = seven.start(1, step=3)
    broken = start.model.copy()
    broken[-1] = value
    forged = replace(described(start, model=model_digest(broken)), model=broken)
    says(invite(seven, forged, at(seven, 2)), Refusal.WRONG_MODEL, "not finite")


def test_first_model_of_an_era_that_the_policy_does_not_hold(seven: Deployment) -> None:
    second = seven.model(1)
    start = replace(described(seven.start(), model=model_digest(second)), model=second)
    says(
        invite(seven, start),
        Refusal.WRONG_MODEL,
        "first model of era 0",
        model_digest(second).hex()[:16],
        seven.policy.first_models[0].hex()[:16],
    )
    assert invite(seven, described(start, era=1)) is None
    says(
        invite(seven, described(seven.start(), parent=model_digest(second))),
        Refusal.WRONG_MODEL,
        "a parent of the first model",
    )


def test_smaller_step_or_era(seven: Deployment) -> None:
    says(
        invite(seven, seven.start(1, step=3), at(seven, 4)),
        Refusal.WRONG_STEP,
        "era 0, step 3; known: 0, 4",
    )
    memory = replace(at(seven, 0), era=1, model=model_digest(seven.model(1)).hex())
    says(
        invite(seven, seven.start(1, step=9), memory),
        Refusal.WRONG_STEP,
        "era 0, step 9; known: 1, 0",
    )
    assert invite(seven, seven.start(1, step=6), at(seven, 4)) is None  # it missed a step


def test_another_model_for_a_known_step(seven: Deployment) -> None:
    start = seven.start(1, step=2)
    assert invite(seven, start, at(seven, 2)) is None
    other = at(seven, 2, model=model_digest(seven.model(7)).hex())
    says(
        invite(seven, start, other),
        Refusal.WRONG_MODEL,
        "step 2",
        start.description.model.hex()[:16],
        other.model[:16],
    )


def test_parent_that_is_not_the_model_of_the_step_before(seven: Deployment) -> None:
    start = seven.start(1, step=3)
    assert invite(seven, start, at(seven, 2)) is None
    says(
        invite(seven, described(start, parent=NO_DIGEST), at(seven, 2)),
        Refusal.WRONG_MODEL,
        "parent of step 3",
        at(seven, 2).model[:16],
    )
    # who knows nothing of the step before has nothing to compare with
    assert invite(seven, described(start, parent=NO_DIGEST), at(seven, 1)) is None


def test_more_eras_or_steps_than_the_policy_allows(seven: Deployment) -> None:
    last = seven.start(step=499)
    assert invite(seven, last) is None
    says(invite(seven, seven.start(step=500)), Refusal.WRONG_STEP, "step 500, max_steps 500")
    says(invite(seven, described(last, era=2)), Refusal.WRONG_STEP, "era 2, first_models has 2")


def test_no_more_attempts_at_one_step_than_allowed(seven: Deployment) -> None:
    machines = seven.machines()

    def closed(client: ClientId, message: Any) -> Any:
        return None if isinstance(message, MaskedStatistics) else message

    for counter in range(PARAMS.max_attempts):
        start = seven.start(counter, attempt=counter)
        played = play(seven, start=start, machines=machines, to_server=closed)
        assert played.aborted is AbortReason.TOO_FEW_STATISTICS
    last = play(seven, start=seven.start(PARAMS.max_attempts), machines=machines)
    assert last.aborted is AbortReason.TOO_FEW_ADVERTISED
    for found in last.gave_up.values():
        says(found, Refusal.ATTEMPTS_EXHAUSTED, "3 attempts at step 0, max_attempts 3")
    assert play(seven, start=seven.start(4, step=1), machines=machines).total is not None
    assert machines[VICTIM].memory.all_attempts == PARAMS.max_attempts + 1


def test_one_total_for_one_step(seven: Deployment) -> None:
    machines = seven.machines()
    assert play(seven, machines=machines).total is not None
    again = play(seven, start=seven.start(1), machines=machines)
    assert again.total is None
    for found in again.gave_up.values():
        says(found, Refusal.TOTAL_REPEATED, "era 0, step 0")
    assert play(seven, start=seven.start(2, step=1), machines=machines).total is not None


def test_budget_of_attempts_and_totals(seven: Deployment) -> None:
    start = seven.start(1, step=9)
    assert invite(seven, start, ClientMemory(all_attempts=999, totals=999)) is None
    says(
        invite(seven, start, ClientMemory(all_attempts=1000)),
        Refusal.BUDGET_SPENT,
        "1000 attempts, max_openings 1000",
    )
    says(
        invite(seven, start, ClientMemory(totals=1000)),
        Refusal.BUDGET_SPENT,
        "1000 totals, max_totals 1000",
    )
    says(
        invite(seven, start, ClientMemory(all_attempts=5), max_openings=5),
        Refusal.BUDGET_SPENT,
        "5 attempts, rules.max_openings 5",
    )


def test_disputed_rounds(seven: Deployment) -> None:
    start = seven.start(1, step=9, disputed=True)
    assert invite(seven, start, ClientMemory(disputed=299)) is None
    says(
        invite(seven, start, ClientMemory(disputed=300)),
        Refusal.TOO_MANY_DISPUTED,
        "300 attempts, max_disputed 300",
    )
    undisputed = invite(seven, described(start, disputed=False), ClientMemory(disputed=300))
    assert refused(undisputed) is None


def test_the_account_adds_up(seven: Deployment) -> None:
    machines = seven.machines()
    sizes = []
    for counter in range(3):
        played = play(seven, start=seven.start(counter, step=counter), machines=machines)
        assert played.total is not None
        sizes += [len(group) for group in played.summary.groups if VICTIM in group]
    memory = machines[VICTIM].memory
    assert (memory.rounds, memory.all_attempts, memory.openings, memory.totals) == (3, 3, 3, 3)
    assert (memory.label_openings, memory.smallest_group) == (3, min(sizes))
    assert (memory.era, memory.step, memory.attempts) == (0, 2, 1)


def test_a_client_keeps_the_highest_version_of_the_policy() -> None:
    kit = Deployment(7)
    first = kit.policy
    second = first.successor(kit.operator, {ClientId(6)}, first.expires)
    third = second.successor(kit.operator, (), first.expires)
    memory = ClientMemory().holding(first)
    assert memory.holding(first) == memory
    newer = memory.holding(second)
    assert newer.policy_version == 2
    assert newer.holding(third).policy_version == 3
    assert memory.holding(third).policy_version == 3  # a version that it never saw
    assert ClientMemory().holding(third).policy_version == 3  # it joined late
    with pytest.raises(ConfigError, match="version 1, but this client has held version 2"):
        newer.holding(first)
    other = first.successor(kit.operator, (), first.expires)
    with pytest.raises(ConfigError, match="two policies of one version were signed"):
        newer.holding(other)
    stranger = Deployment(7, seed=1)
    with pytest.raises(ConfigError, match="does not fit"):
        memory.holding(stranger.policy)
    with pytest.raises(ConfigError, match="does not fit"):
        memory.holding(stranger.policy.successor(stranger.operator, (), 2**40))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", encode(ClientMemory()).replace('"step":-1', '"step":"x"')]
)
def test_memory_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        decode_memory(text)
