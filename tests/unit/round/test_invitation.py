"""Step 0.1: whatever a server weakens by one, a client refuses, and names the setting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rounds_kit import BUDGET, CAPS, DIM, NO_ANCHOR, PARAMS, TASK, Deployment, invite, play, refused

from auror.errors import AbortReason, ConfigError, Refusal
from auror.ids import ClientId, Digest
from auror.params import PlanCaps
from auror.round.client.memory import ClientMemory
from auror.round.client.state import GaveUp
from auror.round.description import model_digest
from auror.round.facts import decode_memory, encode
from auror.round.label_rows import LabelRows, MeansSource
from auror.round.messages import MaskedStatistics, RoundStart
from auror.round.plan import CountSketch, OutputLayer, StatisticsPlan, session_seed
from auror.round.policy import NO_DIGEST

VICTIM = ClientId(0)


@pytest.fixture(scope="module")
def seven() -> Deployment:
    return Deployment(7)


def described(start: RoundStart, **changes: Any) -> RoundStart:
    return replace(start, description=replace(start.description, **changes))


def with_plan(deployment: Deployment, *parts: Any) -> RoundStart:
    start, plan = deployment.start(), StatisticsPlan(deployment.plan.dim, parts)
    return replace(described(start, plan=plan.digest()), plan=plan)


def label_row(value: int, *others: int) -> LabelRows:
    row = np.zeros((1, DIM), dtype=np.int64)
    row[0, : 1 + len(others)] = [value, *others]
    return LabelRows.from_matrix(0, row)


def says(found: GaveUp | None, refusal: Refusal, *words: str) -> None:
    assert found is not None
    assert found.refusal is refusal
    for word in words:
        assert word in found.detail, found.detail


def at(kit: Deployment, step: int, **more: Any) -> ClientMemory:
    """A memory of attempts at ``step`` of era 0."""
    known = {"model": model_digest(kit.model(step)).hex(), "attempts": 1, **more}
    return ClientMemory(counter=0, era=0, step=step, **known)


def test_the_honest_invitation_is_taken(seven: Deployment) -> None:
    assert invite(seven, seven.start()) is None


# The policy -------------------------------------------------------------------------------------


def test_another_version_deployment_or_policy(seven: Deployment) -> None:
    start = seven.start()
    says(
        invite(seven, described(start, version=1)),
        Refusal.WRONG_CONFIGURATION,
        "protocol version 1, here 2",
    )
    says(
        invite(seven, described(start, deployment=bytes(16))),
        Refusal.WRONG_CONFIGURATION,
        f"deployment {'00' * 16}, here {seven.policy.name}",
    )
    says(
        invite(seven, described(start, policy_version=2)),
        Refusal.WRONG_POLICY,
        "version 2, here 1",
    )
    says(
        invite(seven, described(start, plan=Digest(bytes(32)))),
        Refusal.WRONG_CONFIGURATION,
        "statistics plan",
    )


@pytest.mark.parametrize(
    "weaker",
    [
        {"params": replace(PARAMS, group_size=2)},
        {"params": replace(PARAMS, colluders=0)},
        {"params": replace(PARAMS, max_attempts=PARAMS.max_attempts + 1)},
        {"params": replace(PARAMS, quantisation_range=2.0)},
        {"caps": replace(CAPS, max_statistics=2049)},
        {"budget": replace(BUDGET, max_openings=1001)},
        {"budget": replace(BUDGET, max_steps=501)},
        {"task": TASK + b" "},
        {"first_models": (Digest(bytes([1]) * 32),)},
    ],
    ids=str,
)
def test_a_server_with_a_policy_of_its_own(seven: Deployment, weaker: dict[str, Any]) -> None:
    other = Deployment(7, **weaker)
    found = invite(seven, other.start())
    says(found, Refusal.WRONG_POLICY, other.policy.digest().hex()[:16])
    says(found, Refusal.WRONG_POLICY, seven.policy.digest().hex()[:16])


def test_expired(seven: Deployment) -> None:
    expires = seven.policy.expires
    assert invite(seven, seven.start(), now=expires - 1) is None
    says(
        invite(seven, seven.start(), now=expires),
        Refusal.POLICY_EXPIRED,
        f"expires = {expires}",
        f"now {expires}",
    )


# The cohort -------------------------------------------------------------------------------------


def test_cohort_below_two_thirds_of_the_members(seven: Deployment) -> None:
    everybody = seven.everybody
    assert invite(seven, seven.start(cohort=everybody[:5])) is None
    says(
        invite(seven, seven.start(cohort=everybody[:4])),
        Refusal.COHORT_TOO_SMALL,
        "cohort of 4, floor 5 of 7 members",
    )


def test_cohort_below_half_of_the_members_when_disputed(seven: Deployment) -> None:
    everybody = seven.everybody
    assert invite(seven, seven.start(cohort=everybody[:4], disputed=True)) is None
    says(
        invite(seven, seven.start(cohort=everybody[:3], disputed=True)),
        Refusal.COHORT_TOO_SMALL,
        "cohort of 3, floor 4 of 7 members",
    )


def test_cohort_that_is_not_a_sorted_part_of_the_members(seven: Deployment) -> None:
    ids = seven.everybody
    for cohort in (
        (ids[1], ids[0], *ids[2:]),
        (ids[0], *ids),
        ids[1:],
        (*ids, ClientId(7)),
    ):
        says(invite(seven, seven.start(cohort=cohort)), Refusal.WRONG_COHORT)


def test_own_floors_that_are_tighter(seven: Deployment) -> None:
    part = seven.start(cohort=seven.everybody[:6])
    assert invite(seven, part, min_present=6, min_accepted=6, min_group=3) is None
    says(
        invite(seven, part, min_present=7),
        Refusal.COHORT_TOO_SMALL,
        "cohort of 6, rules.min_present 7",
    )
    says(
        invite(seven, part, min_accepted=7),
        Refusal.COHORT_TOO_SMALL,
        "cohort of 6, rules.min_accepted 7",
    )
    says(
        invite(seven, part, min_group=4), Refusal.GROUP_TOO_SMALL, "group_size 3, rules.min_group 4"
    )


@pytest.mark.parametrize(
    ("rule", "loosest"),
    [
        ("min_group", 3),
        ("min_present", 5),
        ("min_accepted", 4),
        ("max_statistics", 2048),
        ("max_openings", 1000),
    ],
)
def test_own_rules_that_are_looser_have_no_effect(
    seven: Deployment, rule: str, loosest: int
) -> None:
    seven.machine(VICTIM, **{rule: loosest})
    looser = loosest - 1 if rule.startswith("min") else loosest + 1
    with pytest.raises(ConfigError, match=f"rules.{rule} = {looser} has no effect.* {loosest};"):
        seven.machine(VICTIM, **{rule: looser})


# The plan ---------------------------------------------------------------------------------------


def test_too_many_statistics_counting_the_challenge(seven: Deployment) -> None:
    rows = seven.plan.rows + PARAMS.challenge_rows
    tight = Deployment(7, caps=replace(CAPS, max_statistics=rows - 1))
    says(
        invite(tight, tight.start()),
        Refusal.STATISTICS_TOO_LARGE,
        f"{rows} statistics, at most {rows - 1}",
    )
    fits = Deployment(7, caps=replace(CAPS, max_statistics=rows))
    assert invite(fits, fits.start()) is None
    assert invite(seven, seven.start(), max_statistics=rows) is None
    says(
        invite(seven, seven.start(), max_statistics=rows - 1),
        Refusal.STATISTICS_TOO_LARGE,
        f"{rows} statistics, at most {rows - 1}",
    )


def test_a_part_that_the_policy_does_not_name(seven: Deployment) -> None:
    kit = Deployment(7, caps=PlanCaps(parts=("count-sketch", "label-rows")))
    says(
        invite(kit, kit.start()),
        Refusal.STATISTICS_TOO_LARGE,
        "output-layer",
        "allowed: count-sketch, label-rows",
    )


@pytest.mark.parametrize(
    "parts",
    [
        (label_row(16),),
        (label_row(-16),),
        (label_row(-(2**31)),),
        (label_row(-(2**31), -(2**31)),),
        (OutputLayer(DIM - 1, 2),),
        (OutputLayer(0, 0),),
        (CountSketch(bytes(32), 0, False),),
        (CountSketch(bytes(32), DIM + 1, False),),
        (CountSketch(bytes(31), 2, False),),
        (CountSketch(bytes(32), 2, True),),
        (LabelRows(0, bytes(4 * DIM - 4), 1, DIM, 0, MeansSource.CLEAN_SAMPLES),),
        (LabelRows(1, bytes(4 * DIM), 1, DIM, 0, MeansSource.CLEAN_SAMPLES),),
        (OutputLayer(0, 2), OutputLayer(2, 2)),
        (label_row(1), label_row(2)),
    ],
)
def test_plan_parts_over_the_caps_or_outside_the_model(seven: Deployment, parts: Any) -> None:
    says(invite(seven, with_plan(seven, *parts)), Refusal.STATISTICS_TOO_LARGE)


def test_a_sketch_under_a_seed_that_the_server_chose(seven: Deployment) -> None:
    seed = session_seed(seven.policy.digest())
    assert invite(seven, with_plan(seven, CountSketch(seed, 2, False))) is None
    announced = with_plan(seven, CountSketch(seed, 2, True))
    says(invite(seven, announced), Refusal.STATISTICS_TOO_LARGE, "challenge rows")
    for chosen in (bytes(32), session_seed(NO_ANCHOR), seven.policy.digest()):
        asked = with_plan(seven, CountSketch(chosen, 2, False))
        says(invite(seven, asked), Refusal.STATISTICS_TOO_LARGE, "chosen seed")


def test_coefficient_and_row_norm_at_the_cap(seven: Deployment) -> None:
    assert invite(seven, with_plan(seven, label_row(15))) is None
    three = label_row(7, -7, 7)
    five = Deployment(7, caps=replace(CAPS, max_row_norm_bits=5))
    assert invite(five, with_plan(five, three)) is None
    four = Deployment(7, caps=replace(CAPS, max_row_norm_bits=4))
    says(
        invite(four, with_plan(four, three)),
        Refusal.STATISTICS_TOO_LARGE,
        "a row norm of 5 bits, at most 4",
    )


def test_statistics_that_could_wrap() -> None:
    matrix = np.full((1, 4096), 2**24 - 1, dtype=np.int64)
    plan = StatisticsPlan(4096, (LabelRows.from_matrix(0, matrix),))
    caps = replace(CAPS, max_coefficient_bits=24)
    kit = Deployment(10, 0, replace(PARAMS, quantisation_bits=24), plan=plan, caps=caps)
    says(invite(kit, kit.start()), Refusal.RING_OVERFLOW, "2^63")


# Names: era, step, model, parent ----------------------------------------------------------------


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


# The budget -------------------------------------------------------------------------------------


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


# Memory and versions of the policy --------------------------------------------------------------


def test_the_account_adds_up(seven: Deployment) -> None:
    machines = seven.machines()
    for counter in range(3):
        played = play(seven, start=seven.start(counter, step=counter), machines=machines)
        assert played.total is not None
    memory = machines[VICTIM].memory
    assert (memory.rounds, memory.all_attempts, memory.openings, memory.totals) == (3, 3, 3, 3)
    assert memory.smallest_group == 3
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
