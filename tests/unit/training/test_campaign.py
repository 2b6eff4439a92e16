"""A campaign over rounds: flags, left-out groups, restart, spent models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rounds_kit import DIM, PARAMS, Deployment, play

from auror.errors import AbortReason, ConfigError, MembersMissing
from auror.ids import ClientId
from auror.params import OwnRules
from auror.round.client.machine import ClientMachine
from auror.round.description import model_digest
from auror.round.messages import (
    Agreement,
    MaskedStatistics,
    RandomnessShares,
    UpdateShares,
    Upload,
)
from auror.sim.seeded import seeded_entropy
from auror.training.campaign import AfterFlag, Campaign, CampaignConfig
from auror.training.observations import PlanChoice

PLAN = PlanChoice(confusion=False, sketch_rows=4)


class Host:
    dim = DIM
    task = b"{}"
    output = None

    def initial(self, index: int) -> NDArray[np.float32]:
        return np.random.default_rng(index).normal(size=DIM).astype(np.float32)

    def class_means(self, model: NDArray[np.float32]) -> None:
        return None

    def evaluate(self, model: NDArray[np.float32]) -> Mapping[str, float | None]:
        return {}


@dataclass
class Scripted:
    """A detector that flags whom the test says, once so many rounds are bound."""

    flags: dict[int, set[int]] = field(default_factory=dict)

    def __call__(self, ledger: Any, roster: Any) -> Any:
        flagged = {
            ClientId(c) for after, who in self.flags.items() if len(ledger.rounds) >= after
            for c in who
        }  # fmt: skip

        class Found:
            doubted: frozenset[ClientId] = frozenset()
            scores: dict[ClientId, float] = {}  # noqa: RUF012

            def to_dict(self) -> dict[str, object]:
                return {}

        found = Found()
        found.flagged = frozenset(flagged)  # type: ignore[attr-defined]
        return found


class Run:
    def __init__(
        self, rounds: int = 3, flags: dict[int, set[int]] | None = None, **more: Any
    ) -> None:
        params = replace(PARAMS, challenge_rows=0, **more.pop("params", {}))
        self.deployment = Deployment(
            9,
            params=params,
            task=Host.task,
            first_models=tuple(model_digest(Host().initial(era)) for era in (0, 1)),
        )
        config = CampaignConfig(rounds=rounds, plan=PLAN, detector=Scripted(flags or {}), **more)
        self.campaign = Campaign(config, Host(), self.deployment.policy, seeded_entropy(3))
        self.machines = self.deployment.machines()
        self.records: list[Any] = []
        self.ends: list[Any] = []

    def round(self, to_server: Any = None) -> Any:
        start = self.campaign.next_round()
        if start is None:
            return None
        played = play(
            self.deployment,
            start=start,
            machines=self.machines,
            decide=self.campaign.decide,
            to_server=to_server,
        )
        end, record = self.campaign.finish(played.progress, played.total, played.aborted)
        self.records.append(record)
        self.ends.append(end)
        return record

    def to_the_end(self) -> list[Any]:
        while self.round() is not None:
            pass
        return self.records


def without(kind: type) -> Any:
    return lambda client, message: None if isinstance(message, kind) else message


def lying(client: ClientId, message: Any) -> Any:
    if client == 2 and isinstance(message, MaskedStatistics):
        words = np.frombuffer(message.payload, dtype="<u8").copy()
        words[0] += np.uint64(1)
        return replace(message, payload=words.tobytes())
    return message


def test_nobody_flagged_nobody_left_out() -> None:
    run = Run()
    records = run.to_the_end()
    assert [r.aborted for r in records] == [None] * 3
    assert all(len(r.accepted) == 9 for r in records)
    assert len({r.model for r in records}) == 3
    assert [r.round_id.counter for r in records] == [0, 1, 2]
    assert not run.campaign.flagged
    assert len(run.campaign.ledger.rounds) == 3


def test_a_suspect_is_flagged_by_rounds_that_pass_without_its_group() -> None:
    run = Run(rounds=5, flags={1: {4}}, after_flag=AfterFlag.CONTINUE)
    first, *audited, last = run.to_the_end()
    assert not first.left_out
    for record, end in zip(audited, run.ends[1:4], strict=True):
        group = next(k for k, members in enumerate(record.groups) if 4 in members)
        assert record.left_out == {group: "suspected: 4"}
        assert record.audited == (group,)
        assert end.audited == tuple(sorted(record.groups[group]))
        assert set(record.accepted) == set(range(9)) - set(record.groups[group])
    assert [record.flagged for record in audited] == [(), (), (4,)]
    assert [end.flagged for end in run.ends] == [(), (), (), (4,), ()]
    assert 4 not in last.cohort
    assert not last.left_out
    assert run.campaign.next_round() is None
    bound = [{c for o in r.groups for c in o.members} for r in run.campaign.ledger.rounds]
    assert bound[1] == set(audited[0].accepted)  # unbound statistics are no evidence


def test_a_suspect_that_is_cleared_for_a_round_keeps_what_it_passed() -> None:
    run = Run(rounds=8, after_flag=AfterFlag.CONTINUE)
    accused = {1, 2, 4}  # after so many bound rounds
    run.campaign.config = replace(
        run.campaign.config,
        detector=lambda ledger, roster: Scripted({0: {4} if len(ledger.rounds) in accused else ()})(
            ledger, roster
        ),
    )
    assert [record.flagged for record in run.to_the_end()] == [()] * 4 + [(4,)] + [()] * 3


def test_an_absent_suspect_is_not_flagged_by_rounds_without_it() -> None:
    run = Run(rounds=7, flags={1: {4}}, after_flag=AfterFlag.CONTINUE)
    run.round()
    without_it = [ClientId(c) for c in range(9) if c != 4]
    for _ in range(3):
        start = run.campaign.next_round(without_it)
        played = play(run.deployment, start=start, decide=run.campaign.decide)
        _end, record = run.campaign.finish(played.progress, played.total, played.aborted)
        assert record.aborted is None
        assert not record.flagged
    assert [run.round().flagged for _ in range(3)] == [(), (), (4,)]


def test_who_is_framed_is_not_flagged_while_lies_last_nor_by_them_afterwards() -> None:
    """Everybody else moves statistics, whatever the groups: the sum over all stays what it was,
    that without the victim's group does not. Then evidence from before counts no more."""
    victim, moves = 4, (1, 2, 4, 8, 0, 16, 32, 64, 2**64 - 127)

    def framing(client: ClientId, message: Any) -> Any:
        if isinstance(message, MaskedStatistics):
            words = np.frombuffer(message.payload, dtype="<u8").copy()
            words[:1] += np.uint64(moves[client])
            return replace(message, payload=words.tobytes())
        return message

    run = Run(rounds=30, flags={3: {victim}}, after_flag=AfterFlag.CONTINUE)
    assert [run.round(framing).aborted for _ in range(3)] == [None] * 3
    failed = run.round(framing)
    assert failed.aborted is AbortReason.BINDING_FAILED
    assert failed.left_out.keys() == {k for k, g in enumerate(failed.groups) if victim in g}
    assert not failed.flagged
    # The liars have learnt. The detector goes by all that was bound; the campaign does not.
    honest = [run.round() for _ in range(3)]
    assert run.campaign.verdict is not None
    assert run.campaign.verdict.flagged == {victim}
    assert not any(record.flagged or record.left_out for record in honest)
    # Three rounds were bound since: if these accuse too, and pass, the flag falls.
    assert [run.round().flagged for _ in range(3)] == [(), (), (victim,)]


def test_restart_once_from_a_new_initial_model_without_the_flagged() -> None:
    run = Run(rounds=4, flags={1: {4}, 5: {5}})
    records = run.to_the_end()
    assert [r.era for r in records] == [0] * 4 + [1] * 4
    assert all(4 not in r.cohort for r in records[4:])
    assert run.campaign.flagged == (4, 5)
    state = run.campaign.state
    assert (state.era, state.step) == (1, 4)
    memory = run.machines[ClientId(0)].memory  # which checks the first model of either era
    assert (memory.totals, memory.era, memory.step) == (8, 1, 3)


def test_whom_the_closing_verdict_accuses_the_second_training_confirms() -> None:
    run = Run(rounds=4, flags={4: {6}})
    records = run.to_the_end()
    assert len(records) == 8
    assert [r.flagged for r in records] == [()] * 6 + [(6,), ()]
    assert all(6 not in r.accepted for r in records[4:])
    assert 6 not in records[-1].cohort


def test_undefended_run_ignores_verdicts() -> None:
    run = Run(flags={1: {4}}, defend=False)
    assert all(len(r.accepted) == 9 for r in run.to_the_end())
    assert len(run.records) == 3
    assert not run.campaign.flagged


def test_failed_binding_leaves_the_model_and_the_next_round_uses_another() -> None:
    run = Run(rounds=3)
    first = run.round()
    second = run.round(lying)
    assert second.aborted is AbortReason.BINDING_FAILED
    assert second.model == first.model
    assert second.total_opened
    assert second.accepted  # the account must know what that total was a sum of
    assert len(run.campaign.ledger.rounds) == 1
    spent = run.campaign.state.model
    third = run.round()
    assert third.aborted is None
    assert run.campaign.state.previous is not None
    assert not np.array_equal(run.campaign.state.previous, spent)
    assert run.campaign.state.step == 3
    assert run.machines[ClientId(0)].memory.step == 2


def test_failed_binding_on_the_first_model_moves_on_to_another_step() -> None:
    run = Run(rounds=3)
    assert run.round(lying).aborted is AbortReason.BINDING_FAILED
    first = Host().initial(0)
    assert run.round().aborted is None  # clients take the model that follows
    state = run.campaign.state
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
        models.append((record.attempt, run.campaign.state.model.tobytes()))
    assert [attempt for attempt, _ in models] == [0, 1, 2, 0]
    assert models[0][1] == models[2][1] != models[3][1]


def test_every_failed_total_takes_a_step_half_way_back() -> None:
    run = Run(rounds=12)
    run.round()
    state = run.campaign.state
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


# Omission audits --------------------------------------------------------------------------------


def test_an_audit_leaves_out_one_whole_group_and_everybody_is_told() -> None:
    run = Run(rounds=1, params={"audit_probability": 0.999999})
    record = run.round()
    (audited,) = record.audited
    assert record.left_out == {audited: "random audit"}
    assert set(record.groups[audited]).isdisjoint(record.accepted)
    assert run.ends[0].audited == tuple(sorted(record.groups[audited]))


def test_no_audit_when_the_total_cannot_spare_a_group() -> None:
    few = {"audit_probability": 0.999999, "min_accepted_groups": 3}
    record = Run(rounds=1, params=few).round()
    assert record.audited == ()
    assert len(record.accepted) == 9


def test_evidence_moved_between_groups_passes_the_sum_but_not_an_audit() -> None:
    """Two colluders shift evidence from one's statistics to the other's: no sum over both
    groups notices; a total without one of the groups does, and marks both."""

    def shifting(client: ClientId, message: Any) -> Any:
        if client in (2, 5) and isinstance(message, MaskedStatistics):
            words = np.frombuffer(message.payload, dtype="<u8").copy()
            words[:1] += np.uint64(900 if client == 2 else 2**64 - 900)
            return replace(message, payload=words.tobytes())
        return message

    quiet = Run(rounds=6)
    assert all(quiet.round(shifting).aborted is None for _ in range(6))

    caught = []
    audited = Run(rounds=12, params={"audit_probability": 0.999999})
    for _ in range(12):
        record = audited.round(shifting)
        if record is None or not record.accepted:
            continue
        one_side = len({2, 5} & set(record.accepted)) == 1
        assert (record.aborted is AbortReason.BINDING_FAILED) == one_side
        caught += [record] if one_side else []
    assert caught
    assert all({2, 5} & set(mark.clients) for record in caught for mark in record.marks)


# Blame ------------------------------------------------------------------------------------------


def test_a_lone_liar_is_proven_and_excluded_while_training_goes_on() -> None:
    run = Run(rounds=20)
    while 2 not in run.campaign.state.excluded and len(run.records) < 20:
        run.round(lying)
    assert run.campaign.state.excluded.keys() == {2}
    assert run.ends[-1].excluded == (2,)
    for _ in range(3):
        after = run.round(lying)
        assert after.aborted is None
        assert 2 not in after.cohort


def test_after_a_failed_check_the_least_suspected_half_trains_alone_once() -> None:
    run = Run(rounds=4)
    marked = run.round(lying)
    assert marked.aborted is AbortReason.BINDING_FAILED
    suspects = {client for mark in marked.marks for client in mark.clients}
    careful = run.round(lying)
    assert suspects.isdisjoint(careful.cohort)
    assert len(careful.cohort) == 6  # half of nine would be no two groups of three
    assert careful.aborted is None
    assert len(run.round().cohort) == 9


def test_three_silences_after_the_upload_cost_the_invitation() -> None:
    def mute(client: ClientId, message: Any) -> Any:
        return None if client == 4 and isinstance(message, MaskedStatistics) else message

    run = Run(rounds=6)
    assert [4 in run.round(mute).cohort for _ in range(3)] == [True] * 3
    assert 4 not in run.round().cohort
    assert run.campaign.uninvited == {4}
    assert not run.campaign.state.excluded  # silence proves nothing


def test_a_round_with_statistics_forgives_earlier_silences() -> None:
    def mute(client: ClientId, message: Any) -> Any:
        return None if client == 4 and isinstance(message, MaskedStatistics) else message

    run = Run(rounds=6)
    for hook in (mute, mute, None, mute, mute):
        assert 4 in run.round(hook).cohort
    assert run.campaign.uninvited == frozenset()


# Floors, and the next version of the policy -----------------------------------------------------


def test_too_few_members_end_the_campaign_with_the_command_that_helps() -> None:
    run = Run(rounds=9)
    run.round()
    run.campaign.state.excluded |= dict.fromkeys(map(ClientId, (1, 4, 7)), 0)
    assert run.round().aborted is None  # six of nine are two thirds
    run.campaign.state.flagged[ClientId(8)] = 0
    with pytest.raises(MembersMissing) as error:
        run.campaign.next_round()
    assert error.value.exit_code == 5
    assert "5 of 9 members are left, the policy's floor is 6" in str(error.value)
    assert "auror policy next DIR --without 1,4,7,8`," in str(error.value)
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
        (run.campaign.config, "restart.* needs a second training, the policy allows one"),
    ):
        policy = run.deployment.policy
        if "second" in words:
            policy = replace(policy, first_models=policy.first_models[:1])
        with pytest.raises(ConfigError, match=words):
            Campaign(config, Host(), policy, seeded_entropy(1))
    other = replace(run.deployment.policy, task=b"[]")
    with pytest.raises(ConfigError, match="task is not the one in the signed policy"):
        Campaign(run.campaign.config, Host(), other, seeded_entropy(1))
    wrong = replace(run.deployment.policy, first_models=run.deployment.policy.first_models[::-1])
    with pytest.raises(ConfigError, match="first model of era 0 is not the one"):
        Campaign(run.campaign.config, Host(), wrong, seeded_entropy(1))


@pytest.mark.parametrize("rounds", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_no_rule_refuses_an_honest_run(rounds: int) -> None:
    """Failed checks five times in a row, now and then a client that is lost, a restart, cautious
    rounds: no client refuses any of it, and none counts more than the server does."""
    run = Run(rounds=rounds // 2, flags={rounds // 8: {5}})
    kit = run.deployment
    refusals: set[Any] = set()
    rng = np.random.default_rng(4)
    for at in range(rounds):
        start = run.campaign.next_round()
        assert start is not None
        lost = ClientId(int(rng.integers(9))) if rng.random() < 0.5 else None
        phase = (Upload, MaskedStatistics, Agreement, UpdateShares)[int(rng.integers(4))]
        fails = 0 <= at - rounds // 2 - 4 < 5 or at < 5

        def hook(client: ClientId, message: Any) -> Any:
            if client == lost and isinstance(message, phase):  # noqa: B023
                return None
            return lying(client, message) if fails else message  # noqa: B023

        played = play(
            kit, start=start, machines=run.machines, decide=run.campaign.decide, to_server=hook
        )
        refusals |= {found.refusal for found in played.gave_up.values()}
        run.campaign.state.excluded.clear()  # the liar goes on, so that checks go on failing
        _end, record = run.campaign.finish(played.progress, played.total, played.aborted)
        run.records.append(record)
        run.campaign.state.silences.clear()
    assert run.campaign.next_round() is None
    assert not refusals
    assert {record.era for record in run.records} == {0, 1}
    assert [r.aborted for r in run.records].count(AbortReason.BINDING_FAILED) >= 5
    assert run.campaign.state.disputed >= 5
    for machine in run.machines.values():
        assert machine.memory.all_attempts <= rounds
        assert machine.memory.disputed <= run.campaign.state.disputed
