"""Many rounds: which model, whom to invite, what the evidence says, when to start anew.

Sans-I/O like the rest: a driver asks for the next round, plays it with ``RoundServer`` (or, in a
simulation without masks, computes the same sums directly) and reports how it ended. Everything
that lasts is in the parts of ``auror.training.state``; this file joins them to rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import Entropy
from auror.defence.ledger import Ledger
from auror.errors import AbortReason, ConfigError
from auror.ids import ROUND_NONCE_BYTES, ClientId, RoundId
from auror.round.arithmetic import quantiser
from auror.round.description import RoundDescription, model_digest
from auror.round.interrupted import InterruptedRound
from auror.round.messages import FinalModel, RoundEnd, RoundStart
from auror.round.past import Past
from auror.round.plan import StatisticsPlan
from auror.round.policy import Policy
from auror.round.policy_chain import check_follows
from auror.round.record import OpenedGroup, RoundRecord
from auror.round.server.context import Decision, RoundTotal
from auror.round.summary import RoundSummary
from auror.round.watch import Watch
from auror.training import exclusions
from auror.training.audits import AuditDraw, drawn_by
from auror.training.config import CampaignConfig, check_campaign
from auror.training.defence import Defence, DefendedRound
from auror.training.ends import check_failures, check_members, check_steps, released
from auror.training.following import begin_after
from auror.training.host import ModelHost
from auror.training.membership import take_on, unwanted
from auror.training.observations import (
    build_plan,
    check_plan,
    ledger_blocks,
    usable,
)
from auror.training.state import CampaignState
from auror.training.succession import ModelSuccession
from auror.training.told import told_of
from auror.training.verdict import Verdict
from auror.training.watching import Occasion


class Campaign:
    """A training run as the server sees it."""

    def __init__(
        self,
        config: CampaignConfig,
        host: ModelHost,
        policy: Policy,
        entropy: Entropy,
        state: CampaignState | None = None,
        draw: AuditDraw | None = None,
        first_model: Callable[[int], NDArray[np.float32]] | None = None,
    ) -> None:
        """``state`` was kept by a server; without, the run begins.

        ``draw`` chooses the groups that audits leave out; by default from ``entropy``.
        ``first_model`` knows the model at step 0 of an era; by default ``host`` draws it. Raises
        ConfigError: the policy allows less than ``config`` wants, or is for another task."""
        check_campaign(config, policy)
        if host.task != policy.task:
            raise ConfigError("the model's task is not the one in the signed policy")
        self.config = config
        self._host = host
        self.policy = policy
        self._entropy = entropy
        self._drawn = first_model or host.initial
        self.plan = usable(config.plan, host.dim, host.output, policy.caps)
        """What is opened per group."""
        self.state = state or CampaignState(
            ModelSuccession(self._first_model(0)), Ledger(ledger_blocks(self.plan, host.output))
        )
        self.state.extend(config.rounds)
        take_on(self.state, policy)
        check_plan(self.plan, host, self.state.models.model, policy)
        self.defence = Defence(
            config.detector,
            self.state.ledger,
            self.state.confirmation,
            draw or drawn_by(entropy, policy.params.audit_probability),
            doubt=self.state.doubt,
            watch_only=config.watches_only(len(policy.members)),
        )
        self._start: RoundStart | None = None
        self.by_hand: frozenset[ClientId] = frozenset()
        """Whom the server's operator excluded; to be changed between rounds only."""

    @property
    def everybody(self) -> tuple[ClientId, ...]:
        return tuple(sorted(self.policy.members))

    @property
    def ledger(self) -> Ledger:
        """The bound evidence."""
        return self.state.ledger

    @property
    def verdict(self) -> Verdict | None:
        """The latest on that evidence."""
        return self.defence.verdict

    @property
    def flagged(self) -> tuple[ClientId, ...]:
        """Clients with a permanent flag, sorted."""
        return tuple(sorted(self.state.confirmation.flagged))

    @property
    def suspected(self) -> tuple[ClientId, ...]:
        """Whom the last round tested and did not flag; where nobody is tested, the accused."""
        confirmation, named = self.state.confirmation, self.state.confirmation.tested
        if self.defence.watch_only and self.verdict is not None:
            named = self.verdict.flagged
        return tuple(sorted(named - confirmation.flagged.keys()))

    @property
    def uninvited(self) -> frozenset[ClientId]:
        """Who is not invited: flagged, proven liars, who keeps its masks closed, and by hand."""
        return unwanted(self.state) | self.by_hand

    @property
    def complete(self) -> bool:
        """Nothing is left to train: as many rounds as asked for, and no restart is due."""
        return self._rounds_over() and not self._restarts()

    @property
    def invitable(self) -> tuple[ClientId, ...]:
        """Members that may still be invited, sorted."""
        uninvited = self.uninvited
        return tuple(client for client in self.everybody if client not in uninvited)

    def follow(self, past: Past) -> bool:
        """Go on after what clients took part in beside this run. Round counters go on from there;
        a run that has not begun takes an era that is new, and does without whom they know as
        flagged. Returns whether that changes anything that has to be kept before the first round.
        Raises ConfigError: the policy signs no training that is new to them."""
        state = self.state
        state.counter = max(state.counter, past.counter)
        if not begin_after(past, state, self.config, self.policy, self._first_model):
            return False
        check_plan(self.plan, self._host, state.models.model, self.policy)
        return True

    def adopt(self, policy: Policy) -> frozenset[ClientId]:
        """Go on under a later version of the policy, between two rounds. Returns who counts anew.
        Raises ConfigError: it does not follow this one, or allows less than the training wants."""
        check_follows(self.policy, policy)
        check_campaign(self.config, policy)
        self.policy = policy
        self.defence.watch_only = self.config.watches_only(len(policy.members))
        return take_on(self.state, policy)

    def next_round(self, available: Iterable[ClientId] | None = None) -> RoundStart | None:
        """The next round's invitation, or None when the training is over.

        ``available``: who could be invited now; by default all members.

        Raises:
            MembersMissing: exclusions leave fewer members than the policy's floor.
            UntrainedError: too many rounds of this training had no total.
        """
        state, models, policy = self.state, self.state.models, self.policy
        if self.complete:
            state.over = True
            return None
        if self._rounds_over():
            models.restart(self._first_model(models.era + 1))
        self.check_failures()
        check_members(policy, self.invitable)
        models.leave_spent_step(policy.params.max_attempts)
        check_steps(models, policy, self.config)
        present = set(self.everybody if available is None else available)
        cohort, disputed = state.conduct.cohort(
            self.invitable, present, policy, state.index, self._entropy
        )
        plan = build_plan(self.plan, self._host, models.model, policy.params, policy.digest())
        occasion = self._occasion()
        judged = self.config.defend and self.defence.decided(self.invitable)
        description = RoundDescription(
            deployment=policy.deployment,
            policy=policy.digest(),
            policy_version=policy.version,
            round_id=RoundId(state.counter, self._entropy(ROUND_NONCE_BYTES)),
            attempt=models.attempts,
            era=models.era,
            step=models.step,
            disputed=disputed,
            parent=models.parent,
            model=model_digest(models.model),
            plan=plan.plan.digest(),
            cohort=cohort,
            watch=state.watching.declare(occasion, policy, judged or not plan.plan.rows),
            flagged=occasion.flagged,
        )
        self._start = RoundStart(description, plan.plan, models.model.copy())
        state.counter += 1
        self.defence.begin(
            DefendedRound(
                index=state.index,
                era=models.era,
                plan=plan,
                params=policy.params,
                cohort=len(cohort),
                fewest=policy.fewest_accepted(len(cohort)),
            )
        )
        return self._start

    def decide(self, opened: tuple[OpenedGroup, ...], full: StatisticsPlan) -> Decision:
        """Which of the opened groups the total may hold (``Defence.decide``). ``full``: the round's
        plan with its challenge part."""
        self._round_in_progress()
        if not self.config.defend:
            return Decision(tuple(group.index for group in opened), {})
        return self.defence.decide(opened, full, self.invitable)

    def finish(
        self, summary: RoundSummary, total: RoundTotal | None, aborted: AbortReason | None
    ) -> tuple[RoundEnd, RoundRecord]:
        """Apply the total (mean of the accepted updates) and book the evidence it binds."""
        description = self._round_in_progress().description
        state, params = self.state, self.policy.params
        failed = aborted is AbortReason.BINDING_FAILED
        self.book(
            attempted=summary.attempted,
            unmasking=summary.unmasking,
            disputed=description.disputed,
            watched=description.watch is Watch.ALWAYS,
        )
        flagged: tuple[ClientId, ...] = ()
        if total is not None:
            step = quantiser(params).mean(total.total, len(total.accepted))
            state.models.add(step)
            accepted = set(summary.accepted_groups)
            bound = [group for group in summary.opened if group.index in accepted]
            flagged = self.defence.bound(bound, watched=summary.watched, step=step)
        else:
            state.models.failed += 1
        if failed:
            self.defence.failed()
        excluded = state.conduct.book(
            summary, description.cohort,
            failed=failed, colluders=params.colluders, index=state.index,
        )  # fmt: skip
        audits = {client: state.confirmation.confirmed[client] for client in flagged}
        rounds = len(self.ledger.rounds)
        exclusions.note(state.exclusions, self.verdict, rounds, audits, excluded)
        record = RoundRecord.of(
            summary, description,
            index=state.index, aborted=aborted, model=model_digest(state.models.model),
            flagged=flagged, audited=self.defence.audited, excluded=excluded,
        )  # fmt: skip
        state.index += 1
        self._start = None
        if self.config.defend and total is not None and self._rounds_over():
            self.defence.judge(self.invitable)  # the closing verdict, with the last round bound
        return told_of(record), record

    def interrupted(self, broken: InterruptedRound, lost: bool = False) -> RoundRecord:
        """Book a round that a crash broke off, on the model that it was begun with.

        It is not one of the training's rounds, and its id is never used again. To be told of every
        such round since the state was kept, in order. ``lost``: its model is, the state has an
        older one, which clients get to know by a later name.

        Raises:
            ConfigError: the kept state does not lead to that model.
        """
        state, begun = self.state, broken.begun
        if not lost:
            state.models.reach(begun.era, begun.step, begun.model, self._first_model)
        elif begun.era > state.models.era:
            state.models.restart(self._first_model(begun.era))
        self.book(
            attempted=broken.attempted,
            unmasking=broken.shares_asked,
            disputed=broken.disputed,
            watched=broken.watched,
        )
        if lost:
            state.models.lose(begun.step, begun.model)
        record = broken.record(state.index, model_digest(state.models.model))
        state.index += 1
        state.counter = broken.counter + 1
        return record

    def final_model(self) -> FinalModel | None:
        """For clients, when the training is over; None: nothing was trained, or the policy keeps
        it back."""
        return released(self.state.models, self.policy)

    def book(self, *, attempted: bool, unmasking: bool, disputed: bool, watched: bool) -> None:
        """Count a round as its clients count it: an attempt once uploads may have left, a total
        once shares that open it may have. A step that clients count as spent must not be offered
        to them again, whatever became of the round. ``watched``: for certain."""
        self.state.watching.book(self._occasion(), attempted=attempted, watched=watched)
        self.state.models.book(attempted=attempted, unmasking=unmasking)
        self.state.attempts += attempted
        self.state.totals += unmasking
        self.state.conduct.disputed += attempted and disputed

    def check_failures(self) -> None:
        """Raises UntrainedError when too many rounds of this training had no total."""
        check_failures(self.state.models, self.config)

    def _rounds_over(self) -> bool:
        return self.state.models.era_round >= self.config.rounds

    def _occasion(self) -> Occasion:
        return Occasion.of(self.policy, self.state.models.era, self.flagged)

    def _restarts(self) -> bool:
        """A second training follows, once, when somebody was flagged in the first. Whom its closing
        verdict accuses the second one's first rounds will test."""
        if not self.config.restarts or self.state.models.era > self.state.first_era:
            return False
        return exclusions.newly(self.flagged, self.state.exclusions) or self._accused()

    def _accused(self) -> bool:
        """Whether the evidence accuses anybody beyond the flagged."""
        if self.verdict is None:
            self.defence.judge(self.invitable)
        return bool(self.defence.accused(self.invitable))

    def _first_model(self, era: int) -> NDArray[np.float32]:
        model = self._drawn(era)
        if model_digest(model) != self.policy.first_models[era]:
            raise ConfigError(
                f"the first model of era {era} is not the one in the signed policy: copy models/"
                " again from where `auror certs` made it"
            )
        return model

    def _round_in_progress(self) -> RoundStart:
        if self._start is None:
            raise ValueError("no round is in progress")
        return self._start
