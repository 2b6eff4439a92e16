"""The policy: what it refuses to be, what its signature covers, and its floors as integers."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from rounds_kit import BUDGET, CAPS, PARAMS, Deployment

from auror.crypto.tags import Tag
from auror.errors import AuthenticationFailed, ConfigError
from auror.ids import ClientId, Digest
from auror.params import Budget, OwnRules, PlanCaps, RoundParams
from auror.round.policy import TASK_BYTES, Policy


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Deployment(7).policy


def test_signature_of_the_operator_and_of_nobody_else(policy: Policy) -> None:
    kit = Deployment(7)
    policy.verify(kit.operator.verify_key)
    with pytest.raises(AuthenticationFailed):
        policy.verify(kit.keys[ClientId(0)].verify_key)
    with pytest.raises(AuthenticationFailed):
        replace(policy, expires=policy.expires + 1).verify(kit.operator.verify_key)


def test_every_value_enters_digest_and_signature(policy: Policy) -> None:
    others: list[Policy] = [policy]
    changes: dict[str, Any] = {
        "deployment": bytes(16),
        "expires": 7,
        "task": b"{}",
        "release_model": False,
        "first_models": policy.first_models[::-1],
        "members": {c: e for c, e in policy.members.items() if c != 6},
    }
    others += [replace(policy, **{name: value}) for name, value in changes.items()]
    one, two = (Digest(bytes([k]) * 32) for k in (1, 2))
    for before in ((one,), (two,), (one, two), (two, one)):
        others.append(replace(policy, version=len(before) + 1, predecessors=before))
    gone = {ClientId(9): replace(policy.members[ClientId(6)], client=ClientId(9))}
    others.append(replace(policy, former=gone))
    others.append(replace(policy, members={**policy.members, **gone}))
    for name, part in (("params", PARAMS), ("caps", CAPS), ("budget", BUDGET)):
        for field in fields(part):
            value = getattr(part, field.name)
            other = value[:1] if isinstance(value, tuple) else value + 1
            if field.name in ("dropouts", "audit_probability", "watch_rate"):
                other = value + 0.01
            others.append(replace(policy, **{name: replace(part, **{field.name: other})}))
    entry = policy.members[ClientId(0)]
    for changed in (
        replace(entry, verify_key=bytes(32)),
        replace(entry, tls_key=Digest(b"x" * 32)),
    ):
        others.append(replace(policy, members={**policy.members, ClientId(0): changed}))
    assert len({other.digest() for other in others}) == len(others)
    for other in others[1:]:
        with pytest.raises(AuthenticationFailed):
            other.verify(Deployment(7).operator.verify_key)


def test_order_of_the_members_does_not_matter(policy: Policy) -> None:
    backwards = replace(policy, members=dict(sorted(policy.members.items(), reverse=True)))
    assert backwards.digest() == policy.digest()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"deployment": bytes(15)}, "16 bytes"),
        ({"version": 0}, "version = 0: versions are 1 … 100000"),
        ({"version": 2}, "version = 2: .* names all before it"),
        ({"predecessors": (Digest(bytes([1]) * 32),)}, "version = 1"),
        ({"expires": 0}, "expires = 0: give Unix seconds"),
        ({"task": b""}, "the task has 0 bytes: 1 … 65536"),
        ({"task": bytes(TASK_BYTES + 1)}, "the task has 65537 bytes"),
        ({"first_models": ()}, "one for every era"),
        ({"first_models": (Digest(bytes(32)),) * 2}, "each another"),
        ({"params": replace(PARAMS, group_size=8)}, r"group_size = 8, .* 7 member\(s\): choose 1"),
        ({"params": replace(PARAMS, colluders=6)}, "colluders = 6 of 7 members: .* choose 0 … 5"),
        (
            {"params": replace(PARAMS, min_accepted_groups=3)},
            r"min_accepted_groups = 3, but 7 clients make only 2 group\(s\)",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_a_policy(policy: Policy, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as error:
        replace(policy, **change).check()
    assert "\n" not in str(error.value)


def test_thresholds_are_looked_for_after_the_signature_only(policy: Policy) -> None:
    operator = Deployment(7).operator
    unplayable = replace(policy, params=replace(PARAMS, min_accepted_groups=3))
    with pytest.raises(AuthenticationFailed):
        unplayable.verify(operator.verify_key)
    with pytest.raises(ConfigError, match="min_accepted_groups"):
        unplayable.signed(operator)
    signature = operator.sign(Tag.POLICY, *unplayable.signed_parts())
    with pytest.raises(ConfigError, match="min_accepted_groups"):
        replace(unplayable, signature=signature).verify(operator.verify_key)


def test_member_under_another_number(policy: Policy) -> None:
    members = {ClientId(9): policy.members[ClientId(0)], **policy.members}
    with pytest.raises(ConfigError, match="another member's number"):
        replace(policy, members=members)


@pytest.mark.parametrize(
    ("members", "g", "c", "present", "disputed", "accepted"),
    [
        (30, 5, 9, 20, 15, 15),  # of all 30
        (30, 5, 3, 20, 15, 15),
        (30, 15, 9, 24, 24, 24),  # a total needs c + g
        (6, 3, 1, 4, 4, 4),
        (7, 3, 1, 5, 4, 4),
        (10, 10, 3, 10, 10, 10),  # too few for c + g: everybody
        (5, 1, 0, 4, 3, 3),
        (4, 1, 2, 4, 4, 4),  # c + 2
        (1000, 5, 50, 667, 500, 500),
    ],
)
def test_floors(members: int, g: int, c: int, present: int, disputed: int, accepted: int) -> None:
    params = RoundParams(group_size=g, colluders=c)
    assert params.fewest_present(members, disputed=False) == present
    assert params.fewest_present(members, disputed=True) == disputed
    assert params.fewest_accepted(members, members) == accepted


def test_accepted_are_half_of_the_cohort_not_of_the_members(policy: Policy) -> None:
    params = RoundParams(group_size=5, colluders=3)
    assert [params.fewest_accepted(cohort, 30) for cohort in (15, 16, 17, 20, 30)] == [
        8, 8, 9, 10, 15,
    ]  # fmt: skip


def test_the_next_version(policy: Policy) -> None:
    kit = Deployment(7)
    second = policy.successor(kit.operator, {ClientId(3)}, policy.expires + 5)
    second.verify(kit.operator.verify_key)
    assert (second.version, second.predecessors) == (2, (policy.digest(),))
    assert (second.deployment, second.params) == (policy.deployment, policy.params)
    assert sorted(second.members) == [0, 1, 2, 4, 5, 6]
    assert second.id_bound == 7
    assert second.expires == policy.expires + 5
    with pytest.raises(ConfigError, match="client 3 is no member; those there are"):
        second.successor(kit.operator, {ClientId(3)}, second.expires)
    with pytest.raises(ConfigError, match=r"group_size = 3, but the policy has 2 member\(s\)"):
        policy.successor(kit.operator, {ClientId(c) for c in range(5)}, policy.expires)


def test_budget_is_enough_for_rounds_that_fail() -> None:
    assert Budget.for_rounds(30, 2) == Budget(
        max_openings=70, max_totals=70, max_steps=40, max_disputed=15, max_watched=40
    )
    assert Budget.for_rounds(30, 2, 12) == replace(Budget.for_rounds(30, 2), max_watched=12)
    with pytest.raises(ConfigError, match="rounds = 0: choose 1 or more"):
        Budget.for_rounds(0, 2)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: OwnRules(min_group=0), "min_group = 0: choose 1 or more"),
        (lambda: OwnRules(max_statistics=-1), "max_statistics = -1: choose 0 or more"),
        (lambda: PlanCaps(max_statistics=-1), "max_statistics = -1"),
        (lambda: PlanCaps(parts=("b",)), "plan parts b: choose of count-sketch"),
        (lambda: PlanCaps(parts=("output-layer", "count-sketch")), "each once, in this order"),
        (lambda: PlanCaps(parts=("output-layer",) * 2), "each once"),
        (lambda: replace(BUDGET, max_openings=0), "max_openings"),
        (lambda: replace(BUDGET, max_watched=0), "max_watched = 0: choose 1 or more"),
        (lambda: replace(PARAMS, watch_rate=0.0), "watch_rate = 0"),
    ],
)
def test_parts_that_cannot_be(make: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make()
