"""Phase 0, the invitation: policy and cohort (docs/protocol.md step 0.1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from inviting import VICTIM, described, says
from rounds_kit import BUDGET, CAPS, PARAMS, TASK, Deployment, invite

from auror.errors import ConfigError, Refusal
from auror.ids import ClientId, Digest


def test_the_honest_invitation_is_taken(seven: Deployment) -> None:
    assert invite(seven, seven.start()) is None


def test_another_version_deployment_or_policy(seven: Deployment) -> None:
    start = seven.start()
    says(
        invite(seven, described(start, version=1)),
        Refusal.WRONG_CONFIGURATION,
        f"protocol version 1, here {start.description.version}",
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
