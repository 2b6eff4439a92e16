"""A training goes on under later versions of the policy: who left, who joined, who counts anew."""

from __future__ import annotations

import pytest
from campaign_kit import Run

from auror.crypto.signing import SigningKey
from auror.errors import ConfigError
from auror.ids import ClientId, Digest
from auror.params import OwnRules
from auror.round.client.machine import ClientMachine
from auror.round.client.memory import ClientMemory
from auror.round.policy import Policy
from auror.round.roster import Keys
from auror.sim.seeded import seeded_entropy
from auror.training.config import AfterFlag
from auror.training.confirmation import CONFIRMATIONS
from auror.training.membership import take_on
from auror.training.state import CampaignState

FOUR = ClientId(4)


def adopt(run: Run, policy: Policy) -> frozenset[ClientId]:
    """Server and clients, as between two rounds."""
    anew = run.campaign.adopt(policy)
    run.deployment.policy = policy
    for client in policy.members.keys() & run.machines.keys():
        run.machines[client].adopt(policy)
    return anew


def after(run: Run, **changes: object) -> Policy:
    return run.deployment.policy.successor(run.deployment.operator, **changes)  # type: ignore[arg-type]


def test_one_leaves_one_joins_and_no_round_is_lost() -> None:
    run = Run(rounds=9)
    run.round()
    assert adopt(run, after(run, without={FOUR})) == frozenset()
    record = run.round()
    assert record.aborted is None
    assert record.cohort == (0, 1, 2, 3, 5, 6, 7, 8)
    key = SigningKey.draw(seeded_entropy(0, "newcomer"))
    nine = ClientId(9)
    policy = after(run, newcomers=[Keys(key.verify_key, Digest(bytes([9]) * 32))])
    run.deployment.keys[nine] = key
    assert adopt(run, policy) == {nine}
    run.machines[nine] = ClientMachine(
        nine, key, policy, OwnRules(), ClientMemory(), seeded_entropy(0, "nine"), lambda: 0.0
    )
    record = run.round()
    assert record.aborted is None
    assert record.cohort == (0, 1, 2, 3, 5, 6, 7, 8, 9)
    memory = run.machines[ClientId(0)].memory
    assert (memory.rounds, memory.totals, memory.policy_version) == (3, 3, 3)


def test_a_version_that_does_not_follow_changes_nothing() -> None:
    run = Run(rounds=9)
    first, second = run.deployment.policy, after(run)
    adopt(run, second)
    with pytest.raises(ConfigError, match="older than version 2"):
        run.campaign.adopt(first)
    assert run.campaign.policy is second
    assert run.campaign.state.version == 2


def flagged_run() -> Run:
    run = Run(rounds=30, flags={1: {4}}, after_flag=AfterFlag.CONTINUE, eras=2)
    while run.campaign.flagged != (4,):
        run.round()
    return run


def test_a_flag_lasts_over_versions_until_the_operator_reinstates() -> None:
    run = flagged_run()
    adopt(run, after(run))
    assert run.campaign.flagged == (4,)
    assert 4 not in run.round().cohort
    assert run.campaign.state.exclusions.keys() == {4}
    assert adopt(run, after(run, reinstated={FOUR})) == {4}
    assert run.campaign.flagged == ()
    assert not run.campaign.state.exclusions
    evidence = len(run.campaign.ledger.rounds)
    record = run.round()
    assert record.aborted is None
    assert 4 in record.cohort
    assert len(run.campaign.ledger.rounds) == evidence + 1  # what was known is kept


def test_only_evidence_since_then_accuses_who_was_reinstated() -> None:
    """The verdict on everything accuses client 4 still; that on what came since does later."""
    run = flagged_run()
    detector = run.campaign.config.detector
    bound = len(run.campaign.ledger.rounds)
    detector.flags.clear()  # type: ignore[attr-defined]
    detector.flags[bound] = {4}  # type: ignore[attr-defined]
    adopt(run, after(run, reinstated={FOUR}))
    kept = run.campaign.state
    again = CampaignState.from_dict(kept.to_dict(), kept.tensors(), kept.ledger.rounds)
    assert again.confirmation.fresh == kept.confirmation.fresh == {4: kept.index}
    for _ in range(bound):  # fewer rounds than it takes, since then
        run.round()
        assert run.campaign.flagged == ()
    rounds = 0
    while run.campaign.flagged != (4,):
        run.round()
        rounds += 1
        assert rounds < 20
    assert rounds >= CONFIRMATIONS


def test_conduct_of_before_is_forgotten_with_a_reinstatement() -> None:
    run = Run(rounds=9)
    state = run.campaign.state
    take_on(state, run.deployment.policy)
    conduct = state.conduct
    conduct.excluded[FOUR] = 0
    conduct.withheld[FOUR] = 3
    conduct.silences[FOUR] = 2
    conduct.attendance.pause(FOUR, 0)
    conduct.pairs = [frozenset({FOUR, ClientId(1)}), frozenset({ClientId(1), ClientId(2)})]
    conduct.liability.add([{FOUR}, {ClientId(1), ClientId(2)}], accepted=[FOUR])
    adopt(run, after(run, without={FOUR}))
    assert FOUR in conduct.uninvited
    adopt(run, after(run, reinstated={FOUR}))
    assert conduct.uninvited == frozenset()
    assert conduct.pairs == [frozenset({ClientId(1), ClientId(2)})]
    assert conduct.liability.marks == [frozenset({ClientId(1), ClientId(2)})]
    assert conduct.attendance.paused(0) == frozenset()
    assert FOUR not in conduct.liability.checked
