"""Many rounds: which model, whom to invite, what the evidence says, when to start anew.

Sans-I/O like the rest: a driver asks for the next round, plays it with ``RoundServer`` (or, in a
simulation without masks, computes the same sums directly) and reports how it ended.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import Entropy
from auror.defense.ledger import Ledger, RoundObservation
from auror.defense.liability import Liability
from auror.defense.norm import NormParams, oversized_groups
from auror.defense.paper import PaperParams, judge_as_published
from auror.defense.verdict import VerdictParams, judge
from auror.errors import AbortReason, ConfigError, MembersMissing, Refused
from auror.ids import ROUND_NONCE_BYTES, ClientId, Digest, GroupIndex, RoundId
from auror.round.arithmetic import quantiser
from auror.round.description import RoundDescription, model_digest
from auror.round.messages import RoundEnd, RoundStart
from auror.round.plan import StatisticsPlan
from auror.round.policy import NO_DIGEST, Policy
from auror.round.record import MarkKind, OpenedGroup, RoundRecord
from auror.round.server.context import Decision, Progress, RoundTotal
from auror.secagg.quantize import Quantiser
from auror.training.audits import Draw, drawn_by
from auror.training.host import ModelHost
from auror.training.observations import (
    PlanChoice,
    RoundPlan,
    build_plan,
    ledger_blocks,
    observe,
    observe_challenge,
)
from auror.training.suspects import Inquiry, Suspects, Verdict


class Detector(Protocol):
    """From bound evidence to a verdict on everybody."""

    def __call__(self, ledger: Ledger, invited: tuple[ClientId, ...], /) -> Verdict:
        """``invited``: whom the next round could invite, sorted."""


def decoded_detector(ledger: Ledger, invited: tuple[ClientId, ...]) -> Verdict:
    """The default: the calibrated test on statistics decoded from group sums."""
    return judge(ledger, VerdictParams(), invited)


def published_detector(alpha: float, tau: float = 0.5) -> Detector:
    """AUROR as published: g = 1 and the output layer in the plan; α in the updates' units."""
    params = PaperParams(alpha, tau)
    return lambda ledger, invited: judge_as_published(ledger, params, invited)


_RETREAT = 0.9
"""What a first model is multiplied with when its step is spent."""
MAX_SILENCES = 3
"""Rounds in a row in which a client may upload and then keep its statistics back."""

MAX_WITHHELD = 3
"""Failed checks in which a client may keep its masks closed in a group that no mark touches. Over
the run, not in a row: colluders could take turns."""


class AfterFlag(enum.Enum):
    """What happens to the training once somebody was flagged."""

    RESTART = "restart"
    """Train again from a *new* initial model without the flagged, as the paper does. From the
    same one, the difference of two first totals would be a flagged client's update."""
    CONTINUE = "continue"
    """Go on with the model as it is, without the flagged."""


@dataclass(frozen=True, kw_only=True)
class CampaignConfig:
    """One training run."""

    rounds: int
    """Rounds of one training; a restart trains as many again."""
    after_flag: AfterFlag = AfterFlag.RESTART
    plan: PlanChoice = field(default_factory=PlanChoice)
    defend: bool = True
    """Whether verdicts have consequences; without, every opened group is accepted."""
    detector: Detector = decoded_detector

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ConfigError(f"rounds = {self.rounds}: choose 1 or more")


def check_campaign(config: CampaignConfig, policy: Policy) -> None:
    """Raises ConfigError when ``policy`` allows less than ``config`` wants."""
    if config.rounds > policy.budget.max_steps:
        raise ConfigError(
            f"rounds = {config.rounds}: the policy allows {policy.budget.max_steps} steps of a"
            " training; choose fewer, or enrol with `auror certs --rounds`"
        )
    if config.after_flag is AfterFlag.RESTART and config.defend and policy.eras < 2:
        raise ConfigError(
            'after_flag = "restart" needs a second training, the policy allows one: choose'
            ' "continue", or enrol with `auror certs --eras 2`'
        )


@dataclass
class CampaignState:
    """All that a checkpoint must hold; everything else is recomputed."""

    model: NDArray[np.float32]
    previous: NDArray[np.float32] | None = None
    """The model before the last change, in this era."""
    parent: Digest = NO_DIGEST
    """Hash of the model of the step before, in this era."""
    index: int = 0
    era: int = 0
    era_round: int = 0
    step: int = 0
    """Names ``model`` in this era."""
    attempts: int = 0
    """At this step."""
    spent: bool = False
    """A total of this step may have been opened."""
    disputed: int = 0
    """Attempts in disputed rounds."""
    counter: int = 0
    flagged: dict[ClientId, int] = field(default_factory=dict)
    """Client → index of the round in which its permanent flag fell."""
    excluded: dict[ClientId, int] = field(default_factory=dict)
    """Client → index of the round whose marks proved that it lied."""
    silences: dict[ClientId, int] = field(default_factory=dict)
    """Client → rounds in a row in which it uploaded and then sent no statistics."""
    withheld: dict[ClientId, int] = field(default_factory=dict)
    """Client → failed checks in which its masks stayed closed in a group without marks."""
    pairs: list[frozenset[ClientId]] = field(default_factory=list)
    """Two clients that disagreed about the mask they share: one of them lied."""
    liability: Liability = field(default_factory=Liability)
    cautious: bool = False
    """The last check failed: the next round invites the least suspected half only."""
    suspects: Suspects = field(default_factory=Suspects)


class Campaign:
    """A training run as the server sees it."""

    def __init__(
        self,
        config: CampaignConfig,
        host: ModelHost,
        policy: Policy,
        entropy: Entropy,
        state: CampaignState | None = None,
        ledger: Ledger | None = None,
        draw: Draw | None = None,
        first_model: Callable[[int], NDArray[np.float32]] | None = None,
    ) -> None:
        """``state`` and ``ledger`` come from a checkpoint; without, the run begins.

        ``draw`` chooses the groups that audits leave out; by default from ``entropy``.
        ``first_model`` knows the model at step 0 of an era; by default ``host`` draws it.

        Raises:
            ConfigError: the policy allows less than ``config`` wants, or is for another task.
        """
        check_campaign(config, policy)
        if host.task != policy.task:
            raise ConfigError("the model's task is not the one in the signed policy")
        self.config = config
        self._host = host
        self.policy = policy
        self._entropy = entropy
        self._drawn = first_model or host.initial
        self.state = state or CampaignState(self._first_model(0))
        self._check_plan()
        self.ledger = ledger or Ledger(ledger_blocks(config.plan, host))
        self.verdict: Verdict | None = None
        self._current: tuple[RoundStart, RoundPlan] | None = None
        self._inquiry = Inquiry(
            self.state.suspects, draw or drawn_by(entropy, policy.params.audit_probability)
        )
        self._audited: tuple[GroupIndex, ...] = ()

    @property
    def everybody(self) -> tuple[ClientId, ...]:
        return tuple(sorted(self.policy.members))

    @property
    def flagged(self) -> tuple[ClientId, ...]:
        """Clients with a permanent flag, sorted."""
        return tuple(sorted(self.state.flagged))

    @property
    def suspected(self) -> tuple[ClientId, ...]:
        """Clients that the last round tested and did not flag, sorted."""
        return tuple(sorted(self._inquiry.tested - self.state.flagged.keys()))

    @property
    def uninvited(self) -> frozenset[ClientId]:
        """Who is not invited any more: flagged, proven liars, and who keeps falling silent."""
        state = self.state
        silent = {c for c, times in state.silences.items() if times >= MAX_SILENCES}
        hiding = {c for c, times in state.withheld.items() if times >= MAX_WITHHELD}
        return frozenset(state.flagged.keys() | state.excluded.keys() | silent | hiding)

    @property
    def invitable(self) -> tuple[ClientId, ...]:
        """Members that may still be invited, sorted."""
        return tuple(client for client in self.everybody if client not in self.uninvited)

    def adopt(self, policy: Policy) -> None:
        """Go on under a later version of the policy."""
        check_campaign(self.config, policy)
        self.policy = policy

    def next_round(self, available: Iterable[ClientId] | None = None) -> RoundStart | None:
        """The next round's invitation, or None when the training is over.

        ``available``: who could be invited now; by default all members.

        Raises:
            MembersMissing: exclusions leave fewer members than the policy's floor.
        """
        state = self.state
        if state.era_round >= self.config.rounds and not self._restart():
            return None
        self._check_members()
        self._leave_spent_step()
        present = set(self.everybody if available is None else available)
        candidates = self._apart(tuple(c for c in self.invitable if c in present))
        cohort = self._least_suspected(candidates)
        plan = build_plan(
            self.config.plan, self._host, state.model, self.policy.params, self.policy.digest()
        )
        description = RoundDescription(
            deployment=self.policy.deployment,
            policy=self.policy.digest(),
            policy_version=self.policy.version,
            round_id=RoundId(state.counter, self._entropy(ROUND_NONCE_BYTES)),
            attempt=state.attempts,
            era=state.era,
            step=state.step,
            disputed=cohort is not None,
            parent=state.parent,
            model=model_digest(state.model),
            plan=plan.plan.digest(),
            cohort=candidates if cohort is None else cohort,
        )
        start = RoundStart(description, plan.plan, state.model.copy())
        state.counter += 1
        self._current = (start, plan)
        self._inquiry.begin()
        self._audited = ()
        return start

    def decide(self, opened: tuple[OpenedGroup, ...], full: StatisticsPlan) -> Decision:
        """Judge by bound evidence of earlier rounds; leave out groups as a whole.

        Whom the verdict accuses is tested: the total does without some of the suspects' groups,
        and if it passes its check nobody moved evidence onto them here
        (``auror.training.suspects``). The statistics just opened are not bound yet: they may only
        leave out a group of implausible size.

        ``full`` is the round's plan with its challenge part.
        """
        start, _plan = self._round_in_progress()
        left_out: dict[GroupIndex, str] = {}
        if self.config.defend:
            here = [client for group in opened for client in group.members]
            self._inquiry.begin(self._accused_by(self._judge()), here)
            left_out = dict.fromkeys(
                self._oversized(opened, full), "implausible size of its updates"
            )
            kept = {group.index: group.members for group in opened if group.index not in left_out}
            cohort = len(start.description.cohort)
            fewest = self.policy.fewest_accepted(cohort)
            audited = self._inquiry.left_out(kept, cohort, self.policy.params, fewest)
            self._audited = tuple(audited)
            for index, suspects in audited.items():
                names = ", ".join(map(str, suspects))
                left_out[index] = f"suspected: {names}" if names else "random audit"
        accepted = tuple(group.index for group in opened if group.index not in left_out)
        return Decision(accepted, left_out)

    def finish(
        self, progress: Progress, total: RoundTotal | None, aborted: AbortReason | None
    ) -> tuple[RoundEnd, RoundRecord]:
        """Apply the total (mean of the accepted updates) and book the evidence it binds."""
        start, plan = self._round_in_progress()
        state = self.state
        self.book(
            attempted=progress.uploading,
            unmasking=progress.unmasking,
            disputed=start.description.disputed,
        )
        flagged: tuple[ClientId, ...] = ()
        if total is not None:
            mean = self._quantiser().mean(total.total, len(total.accepted))
            self._step_to((state.model + mean).astype(np.float32))
            chosen = set(progress.accepted_groups)
            bound = [group for group in progress.opened if group.index in chosen]
            observations = observe(plan, self._quantiser(), bound)
            if self.ledger.width:
                self.ledger.append(RoundObservation(state.index, state.era, observations))
            flagged = self._inquiry.passed()
            state.flagged |= dict.fromkeys(flagged, state.index)
        elif aborted is AbortReason.BINDING_FAILED:
            self._inquiry.failed(state.index)
        record = RoundRecord(
            index=state.index,
            era=state.era,
            round_id=start.description.round_id,
            attempt=start.description.attempt,
            cohort=start.description.cohort,
            dealt=progress.dealt,
            uploaded=tuple(progress.digests) if progress.groups else (),
            sent=tuple(progress.signatures),
            groups=progress.groups,
            opened=progress.opened,
            accepted_groups=progress.accepted_groups if progress.total_opened else (),
            accepted=progress.accepted if progress.total_opened else (),
            left_out=dict(progress.left_out),
            flagged=flagged,
            dropped=dict(progress.dropped),
            aborted=aborted,
            total_opened=progress.total_opened,
            model=model_digest(state.model),
            public_seed=progress.public_seed,
            audited=self._audited,
            marks=tuple(progress.marks),
            excluded=self._blame(progress, aborted),
        )
        end = RoundEnd(
            record.model,
            aborted,
            record.flagged,
            tuple(sorted(c for index in record.left_out for c in progress.groups[index])),
            tuple(sorted(c for index in record.audited for c in progress.groups[index])),
            record.excluded,
        )
        state.index += 1
        state.era_round += 1
        self._current = None
        if self.config.defend and state.era_round >= self.config.rounds:
            self._judge()  # the closing verdict, with the last round bound
        return end, record

    def book(self, *, attempted: bool, unmasking: bool, disputed: bool) -> None:
        """Count a round as its clients count it: an attempt once uploads may have left, a total
        once shares that open it may have. A step that clients count as spent must not be offered
        to them again, whatever became of the round."""
        self.state.attempts += attempted
        self.state.disputed += attempted and disputed
        self.state.spent |= unmasking

    # Blame --------------------------------------------------------------------------------------

    def _blame(self, progress: Progress, aborted: AbortReason | None) -> tuple[ClientId, ...]:
        """Book marks and silences; returns whom all marks so far prove to have lied."""
        state = self.state
        failed = aborted is AbortReason.BINDING_FAILED
        for client in progress.digests if progress.groups else ():
            # whatever it said instead: a refusal keeps statistics back as well as silence does
            lost = client in progress.dropped and client not in progress.signatures
            state.silences[client] = state.silences.get(client, 0) + 1 if lost else 0
        for mark in progress.marks:
            pair = frozenset(mark.clients)
            if mark.kind is MarkKind.PAIR and pair not in state.pairs:
                state.pairs.append(pair)
        for client in progress.withheld:
            state.withheld[client] = state.withheld.get(client, 0) + 1
        if progress.marks or failed:
            state.liability.add(
                (mark.clients for mark in progress.marks), progress.accepted if failed else ()
            )
        # A cautious round that passes lets everybody back in; else nobody would be tested again.
        state.cautious = failed
        if not progress.marks:
            return ()
        proven = state.liability.proven(self.policy.params.colluders) - state.excluded.keys()
        state.excluded.update(dict.fromkeys(proven, state.index))
        return tuple(sorted(proven))

    def _apart(self, candidates: tuple[ClientId, ...]) -> tuple[ClientId, ...]:
        """Without one end of every pair that disagreed about a mask, the one and the other in
        turn: a liar that always names the same partner would never be told from it. In the rounds
        without that partner it has to find another one, and more than c of them prove it."""
        whole = self.policy.fewest_present(False)
        margin = math.ceil(self.policy.params.dropouts * whole)
        left = set(candidates)
        for pair in self.state.pairs:
            if pair <= left and len(left) > whole + margin:
                left.remove(sorted(pair)[self.state.index % 2])
        return tuple(client for client in candidates if client in left)

    def _least_suspected(self, candidates: tuple[ClientId, ...]) -> tuple[ClientId, ...] | None:
        """After a failed check those on whom the least was marked, so that training goes on while
        the liars are being found: as few as the floor of a disputed round, and its dropouts,
        allow. None: invite everybody."""
        policy, state = self.policy, self.state
        floor, whole = policy.fewest_present(True), policy.fewest_present(False)
        fewest = min(whole, floor + math.ceil(policy.params.dropouts * floor))
        half = (len(self.invitable) + 1) // 2
        fewest = max(fewest, 2 * policy.params.group_size, half)
        if not state.cautious or fewest >= len(candidates):
            return None
        if state.disputed >= policy.budget.max_disputed:
            return None
        suspicion = state.liability.suspicion
        ranked = sorted(candidates, key=lambda c: (suspicion(c), self._entropy(8)))
        return tuple(sorted(ranked[:fewest]))

    def _check_members(self) -> None:
        floor, left = self.policy.fewest_present(False), len(self.invitable)
        if left < floor:
            names = ",".join(map(str, sorted(self.uninvited & self.policy.members.keys())))
            raise MembersMissing(
                f"{left} of {len(self.policy.members)} members are left, the policy's floor is"
                f" {floor}: let the operator run `auror policy next DIR --without {names}`, copy"
                " policy.json to server and clients, and start them again to resume"
            )

    # What happens between rounds ----------------------------------------------------------------

    def _restart(self) -> bool:
        """Begin the second training, once, when somebody was flagged in the first."""
        state = self.state
        wanted = self.config.after_flag is AfterFlag.RESTART and self.config.defend
        if not wanted or state.era > 0:
            return False
        # Whom the closing verdict accuses the first rounds of the second training will test.
        if not (state.flagged or self._accused_by(self.verdict or self._judge())):
            return False
        state.era += 1
        state.era_round = state.step = state.attempts = 0
        state.spent = False
        state.previous, state.parent = None, NO_DIGEST
        state.model = self._first_model(state.era)
        return True

    def _check_plan(self) -> None:
        policy, model = self.policy, self.state.model
        anchor = policy.digest()
        plan = build_plan(self.config.plan, self._host, model, policy.params, anchor).plan
        try:
            plan.check(policy.caps, policy.params, anchor, model)
        except Refused as error:
            raise ConfigError(
                f"statistics: clients would refuse the plan ({error.detail}): choose what the"
                " signed policy allows, or enrol with `auror certs --parts`"
            ) from error

    def _first_model(self, era: int) -> NDArray[np.float32]:
        model = self._drawn(era)
        if model_digest(model) != self.policy.first_models[era]:
            raise ConfigError(
                f"the first model of era {era} is not the one in the signed policy: copy models/"
                " again from where `auror certs` made it"
            )
        return model

    def _step_to(self, model: NDArray[np.float32]) -> None:
        state = self.state
        state.previous, state.parent = state.model, model_digest(state.model)
        state.model = model
        state.step += 1
        state.attempts, state.spent = 0, False

    def _leave_spent_step(self) -> None:
        """Clients help to open one total of a step and join a few attempts (rule 3).

        When a round fails after that, the training takes a step half-way back to the model before:
        a new model, close to a good one (docs/adr/0005). The first of an era has none before it
        and moves a little towards zero.
        """
        state = self.state
        if not state.spent and state.attempts < self.policy.params.max_attempts:
            return
        back = state.previous
        half = state.model * _RETREAT if back is None else (state.model + back) / 2
        self._step_to(half.astype(np.float32))
        state.previous = back

    def _judge(self) -> Verdict | None:
        if self.ledger.width and self.ledger.rounds:
            self.verdict = self._verdict_on(self.ledger)
        return self.verdict

    def _verdict_on(self, ledger: Ledger) -> Verdict:
        return self.config.detector(ledger, self.invitable)

    def _accused_by(self, verdict: Verdict | None) -> dict[ClientId, int]:
        """Whom the evidence accuses beyond the flagged → audited rounds that flag it."""
        state = self.state
        return state.suspects.accused_in(self.ledger, verdict, self._verdict_on, state.flagged)

    def _oversized(self, opened: tuple[OpenedGroup, ...], full: StatisticsPlan) -> list[GroupIndex]:
        _start, plan = self._round_in_progress()
        challenge = observe_challenge(full, plan.plan.rows, self._quantiser(), opened)
        if challenge is None:
            return []
        observations, block = challenge
        seen = RoundObservation(self.state.index, self.state.era, observations)
        return [opened[k].index for k in oversized_groups(seen, block, NormParams())]

    def _round_in_progress(self) -> tuple[RoundStart, RoundPlan]:
        if self._current is None:
            raise ValueError("no round is in progress")
        return self._current

    def _quantiser(self) -> Quantiser:
        return quantiser(self.policy.params)
