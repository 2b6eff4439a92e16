"""The same clients, the next training, by a server that begins with nothing (docs/adr/0026)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from campaign_kit import Host, Run, without
from rounds_kit import Deployment

from auror.errors import ConfigError
from auror.ids import ClientId
from auror.params import Budget
from auror.round.messages import Upload
from auror.round.past import Past
from auror.training.config import AfterFlag, CampaignConfig, check_eras
from auror.training.state import CampaignState


def test_ten_trainings_of_the_same_clients() -> None:
    budget = Budget.for_rounds(2, 10)
    run = Run(rounds=2, eras=10, budget=budget, after_flag=AfterFlag.CONTINUE)
    counters = []
    for training in range(10):
        if training:
            assert run.again()
        assert np.array_equal(run.campaign.state.models.model, Host().initial(training))
        for record in run.to_the_end():
            assert (record.era, record.aborted, len(record.accepted)) == (training, None, 9)
            counters.append(record.round_id.counter)
    assert counters == list(range(20))
    assert {machine.memory.totals for machine in run.machines.values()} == {20}
    with pytest.raises(ConfigError, match="signs 10 trainings and clients took part in 10 of them"):
        run.again()


def test_without_following_every_client_refuses() -> None:
    run = Run(rounds=1, eras=2, after_flag=AfterFlag.CONTINUE)
    run.to_the_end()
    run._begin(run.campaign.config)
    record = run.round()
    assert record.aborted is not None


def test_whom_clients_know_as_flagged_no_later_training_invites() -> None:
    run = Run(rounds=9, flags={1: {4}}, eras=3, after_flag=AfterFlag.CONTINUE)
    run.to_the_end()
    assert run.campaign.flagged == (4,)
    run.campaign.config.detector.flags.clear()  # type: ignore[attr-defined]
    run.again()
    assert run.campaign.flagged == (4,)
    assert run.campaign.state.exclusions.keys() == {4}
    record = run.round()
    assert record.aborted is None
    assert 4 not in record.cohort
    kept = run.campaign.state
    back = CampaignState.from_dict(kept.to_dict(), kept.tensors(), kept.ledger.rounds)
    assert back.to_dict() == kept.to_dict()


def test_a_later_training_restarts_after_a_flag_as_the_first_does() -> None:
    run = Run(rounds=6, eras=4)
    run.to_the_end()
    run.campaign.config.detector.flags[1] = {7}  # type: ignore[attr-defined]
    run.again()
    run.to_the_end()
    assert {record.era for record in run.records} == {1, 2}
    with pytest.raises(ConfigError, match=r"may train twice, the policy signs 4 .* took part in 3"):
        run.again()
    assert run.again(after_flag=AfterFlag.CONTINUE)
    assert run.round().era == 3


def test_a_flag_of_before_restarts_no_later_training() -> None:
    run = Run(rounds=9, flags={1: {4}}, eras=3, after_flag=AfterFlag.CONTINUE)
    run.to_the_end()
    run.campaign.config.detector.flags.clear()  # type: ignore[attr-defined]
    run.again(after_flag=AfterFlag.RESTART)
    assert run.campaign.flagged == (4,)
    run.to_the_end()
    assert {record.era for record in run.records} == {1}


def test_a_training_that_nobody_took_part_in_uses_up_none() -> None:
    run = Run(rounds=1, eras=2, max_failed=1)
    run.round(without(Upload))
    memories = {machine.memory.past for machine in run.machines.values()}
    assert memories == {Past(counter=1, era=1)}  # uploads may have left: the era is not new
    fresh = Run(rounds=1, eras=2)
    assert not fresh.again()


def test_a_run_that_has_begun_stays_with_its_models_and_goes_on_with_the_counters() -> None:
    run = Run(rounds=4)
    run.round()
    assert not run.campaign.follow(Past(counter=40, era=1, flagged=(ClientId(3),)))
    assert run.round().round_id.counter == 40
    assert run.campaign.state.models.era == 0


def test_later_rules_of_the_policy_hold_for_a_run_that_follows() -> None:
    run = Run(rounds=2, eras=3)
    run.to_the_end()
    run.campaign.config = replace(run.campaign.config, rounds=2)
    assert run.again()
    assert run.campaign.state.first_era == 1


def test_a_cohort_that_is_only_watched_needs_no_training_for_a_restart() -> None:
    config = CampaignConfig(rounds=2)
    for clients, flags in ((14, False), (15, True)):
        policy = Deployment(clients).policy
        assert policy.eras == 2
        check_eras(config, policy, 0)
        if flags:
            with pytest.raises(ConfigError, match="may train twice"):
                check_eras(config, policy, 1)
        else:
            check_eras(config, policy, 1)
            with pytest.raises(ConfigError, match="may train twice"):
                check_eras(replace(config, flag_small_cohorts=True), policy, 1)
