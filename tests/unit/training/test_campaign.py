"""A campaign over rounds: invitations, floors, and what the policy allows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from campaign_kit import Host, Run, lying, without
from rounds_kit import play

from auror.errors import AbortReason, ConfigError, MembersMissing, UntrainedError
from auror.ids import ClientId
from auror.params import OwnRules
from auror.round.client.machine import ClientMachine
from auror.round.messages import (
    Agreement,
    MaskedStatistics,
    UpdateShares,
    Upload,
)
from auror.sim.seeded import seeded_entropy
from auror.training.campaign import Campaign
from auror.training.config import CampaignConfig


def test_nobody_flagged_nobody_left_out() -> None:
    run = Run()
    records = run.to_the_end()
    assert [r.aborted for r in records] == [None] * 3
    assert all(len(r.accepted) == 9 for r in records)
    assert len({r.model for r in records}) == 3
    assert [r.round_id.counter for r in records] == [0, 1, 2]
    assert not run.campaign.flagged
    assert len(run.campaign.ledger.rounds) == 3


def test_absent_clients_are_not_invited() -> None:
    run = Run()
    start = run.campaign.next_round([ClientId(i) for i in (8, 1, 0, 4, 99)])
    assert start is not None
    assert start.description.cohort == (0, 1, 4, 8)


def test_no_round_no_decision() -> None:
    run = Run()
    with pytest.raises(ValueError, match="no round"):
        run.campaign.decide((), run.deployment.plan)
    with pytest.raises(ConfigError, match="rounds = 0"):
        CampaignConfig(rounds=0)


def test_too_few_members_end_the_campaign_with_the_command_that_helps() -> None:
    run = Run(rounds=9)
    run.round()
    run.campaign.state.conduct.excluded |= dict.fromkeys(map(ClientId, (1, 4, 7)), 0)
    assert run.round().aborted is None  # six of nine are two thirds
    run.campaign.state.confirmation.flagged[ClientId(8)] = 0
    with pytest.raises(MembersMissing) as error:
        run.campaign.next_round()
    assert error.value.exit_code == 5
    assert "5 of 9 members are left, the policy's floor is 6" in str(error.value)
    assert "auror roster revoke DIR 1,4,7,8`," in str(error.value)
    kit = run.deployment
    policy = kit.policy.successor(kit.operator, run.campaign.uninvited, kit.policy.expires)
    run.campaign.adopt(policy)
    kit.policy = policy
    for client in policy.members:
        run.machines[client] = ClientMachine(
            client,
            kit.keys[client],
            policy,
            OwnRules(),
            run.machines[client].memory,
            seeded_entropy(0, "later", client),
            lambda: 0.0,
        )
    record = run.round()
    assert record.aborted is None
    assert record.cohort == tuple(sorted(policy.members))


def test_what_the_policy_does_not_allow_is_said_at_once() -> None:
    run = Run(rounds=500)
    for config, words in (
        (replace(run.campaign.config, rounds=501), "rounds = 501: the policy allows 500 steps"),
        (run.campaign.config, "restart.* may train twice, the policy signs 1"),
    ):
        policy = run.deployment.policy
        if "twice" in words:
            policy = replace(policy, first_models=policy.first_models[:1])
        with pytest.raises(ConfigError, match=words):
            Campaign(config, Host(), policy, seeded_entropy(1))
    other = replace(run.deployment.policy, task=b"[]")
    with pytest.raises(ConfigError, match="task is not the one in the signed policy"):
        Campaign(run.campaign.config, Host(), other, seeded_entropy(1))
    wrong = replace(run.deployment.policy, first_models=run.deployment.policy.first_models[::-1])
    with pytest.raises(ConfigError, match="first model of era 0 is not the one"):
        Campaign(run.campaign.config, Host(), wrong, seeded_entropy(1))


def test_rounds_without_a_total_use_up_none_of_the_training() -> None:
    run = Run(rounds=2)
    nobody = without(Upload)
    for to_server in (nobody, lying, nobody, None, nobody, None):
        assert run.round(to_server) is not None
    assert [r.aborted for r in run.records].count(None) == 2
    models = run.campaign.state.models
    assert (models.era_round, models.failed) == (2, 4)
    assert run.campaign.next_round() is None


def test_too_many_rounds_without_a_total_end_it_and_a_larger_cap_goes_on() -> None:
    run = Run(rounds=2, max_failed=3)
    assert run.round().aborted is None
    for _ in range(3):
        run.round(without(Upload))
    says = "max_failed = 3: 3 rounds of this training ended without a total, 1 of 2 with one"
    with pytest.raises(UntrainedError, match=says):
        run.campaign.next_round()
    run.campaign.config = replace(run.campaign.config, max_failed=4)
    assert run.round().aborted is None
    assert run.campaign.next_round() is None  # all that were asked for: the cap has no say
    assert CampaignConfig(rounds=4).most_failed == 10
    assert CampaignConfig(rounds=40).most_failed == 40


def test_a_training_ends_with_the_policy_s_steps() -> None:
    run = Run(rounds=2)
    run.campaign.policy = replace(
        run.deployment.policy, budget=replace(run.deployment.policy.budget, max_steps=2)
    )
    for _ in range(2):  # every failed check takes a step
        run.campaign.next_round()
        run.campaign.state.models.book(attempted=True, unmasking=True)
    with pytest.raises(UntrainedError, match="allows 2 steps of a training and all are used"):
        run.campaign.next_round()


@pytest.mark.no_cover
@pytest.mark.parametrize("rounds", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_no_rule_refuses_an_honest_run(rounds: int) -> None:
    """Failed checks five times in a row, now and then a client that is lost, a restart, cautious
    rounds: no client refuses any of it, and none counts more than the server does."""
    run = Run(rounds=rounds // 2, flags={rounds // 8: {5}})
    kit = run.deployment
    refusals: set[Any] = set()
    rng = np.random.default_rng(4)
    while (start := run.campaign.next_round()) is not None:
        at = len(run.records)
        lost = ClientId(int(rng.integers(9))) if rng.random() < 0.5 else None
        phase = (Upload, MaskedStatistics, Agreement, UpdateShares)[int(rng.integers(4))]
        fails = 0 <= at - rounds // 2 - 9 < 5 or at < 5

        def hook(client: ClientId, message: Any) -> Any:
            if client == lost and isinstance(message, phase):  # noqa: B023
                return None
            return lying(client, message) if fails else message  # noqa: B023

        played = play(
            kit, start=start, machines=run.machines, decide=run.campaign.decide, to_server=hook
        )
        refusals |= {found.refusal for found in played.gave_up.values()}
        # the liar goes on, so that checks go on failing
        run.campaign.state.conduct.excluded.clear()
        _end, record = run.campaign.finish(played.server.summary, played.total, played.aborted)
        run.records.append(record)
        run.campaign.state.conduct.silences.clear()
    assert [r.aborted for r in run.records].count(None) == rounds
    assert not refusals
    assert {record.era for record in run.records} == {0, 1}
    assert [r.aborted for r in run.records].count(AbortReason.BINDING_FAILED) >= 5
    assert run.campaign.state.conduct.disputed >= 5
    for machine in run.machines.values():
        assert machine.memory.all_attempts <= len(run.records)
        assert machine.memory.disputed <= run.campaign.state.conduct.disputed
