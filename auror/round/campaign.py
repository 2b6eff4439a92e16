"""Many rounds: which model, whom to invite, what the evidence says, when to start anew.

Sans-I/O like the rest: a driver asks for the next round, plays it with ``RoundServer`` (or, in a
simulation without masks, computes the same sums directly) and reports how it ended.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import Entropy
from auror.defense.ledger import Ledger, RoundObservation
from auror.defense.liability import Liability
from auror.defense.norm import NormParams, oversized_groups
from auror.defense.paper import PaperParams, judge_as_published
from auror.defense.verdict import VerdictParams, judge
from auror.errors import AbortReason, ConfigError, DropReason
from auror.ids import ROUND_NONCE_BYTES, ClientId, Digest, GroupIndex, RoundId
from auror.params import RoundParams
from auror.round.arithmetic import quantiser
from auror.round.audits import Draw, drawn_by
from auror.round.description import (
    Roster,
    RoundDescription,
    configuration_digest,
    model_digest,
)
from auror.round.evidence import (
    PlanChoice,
    RoundPlan,
    build_plan,
    ledger_blocks,
    observe,
    observe_challenge,
)
from auror.round.host import ModelHost
from auror.round.messages import RoundEnd, RoundStart
from auror.round.plan import StatisticsPlan
from auror.round.record import OpenedGroup, RoundRecord
from auror.round.server.context import Decision, Progress, RoundTotal
from auror.round.suspects import Inquiry, Suspects, Verdict
from auror.secagg.quantize import Quantiser

Detector = Callable[[Ledger, tuple[ClientId, ...]], Verdict]
"""From bound evidence and whom the next round could invite to a verdict on everybody."""


def decoded_detector(ledger: Ledger, invited: tuple[ClientId, ...]) -> Verdict:
    """The default: the calibrated test on statistics decoded from group sums."""
    return judge(ledger, VerdictParams(), invited)


def published_detector(alpha: float, tau: float = 0.5) -> Detector:
    """AUROR as published: g = 1 and the output layer in the plan; α in the updates' units."""
    params = PaperParams(alpha, tau)
    return lambda ledger, invited: judge_as_published(ledger, params, invited)


MAX_SILENCES = 3
"""Rounds in a row in which a client may upload and then keep its statistics back."""


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

    params: RoundParams
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


@dataclass
class CampaignState:
    """All that a checkpoint must hold; everything else is recomputed."""

    model: NDArray[np.float32]
    previous: NDArray[np.float32] | None
    """The model before the last change, in this era."""
    initials: int
    """Initial models used so far."""
    index: int = 0
    era: int = 0
    era_round: int = 0
    counter: int = 0
    flagged: dict[ClientId, int] = field(default_factory=dict)
    """Client → index of the round in which its permanent flag fell."""
    openings: dict[Digest, int] = field(default_factory=dict)
    """Statistics openings per model."""
    totals: set[Digest] = field(default_factory=set)
    """Models for which a total was opened."""
    excluded: dict[ClientId, int] = field(default_factory=dict)
    """Client → index of the round whose marks proved that it lied."""
    silences: dict[ClientId, int] = field(default_factory=dict)
    """Client → rounds in a row in which it uploaded and then sent no statistics."""
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
        roster: Roster,
        entropy: Entropy,
        state: CampaignState | None = None,
        ledger: Ledger | None = None,
        draw: Draw | None = None,
    ) -> None:
        """``state`` and ``ledger`` come from a checkpoint; without, the run begins.

        ``draw`` chooses the groups that audits leave out; by default from ``entropy``.
        """
        self.config = config
        self._host = host
        self._roster = roster
        self._entropy = entropy
        self.state = state or CampaignState(host.initial(0), None, 1)
        self.ledger = ledger or Ledger(ledger_blocks(config.plan, host))
        self.verdict: Verdict | None = None
        self._current: tuple[RoundStart, RoundPlan] | None = None
        self._inquiry = Inquiry(
            self.state.suspects, draw or drawn_by(entropy, config.params.audit_probability)
        )
        self._audited: tuple[GroupIndex, ...] = ()

    @property
    def everybody(self) -> tuple[ClientId, ...]:
        return tuple(sorted(self._roster.entries))

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
        silent = {c for c, times in self.state.silences.items() if times >= MAX_SILENCES}
        return frozenset(self.state.flagged.keys() | self.state.excluded.keys() | silent)

    def next_round(self, available: Iterable[ClientId] | None = None) -> RoundStart | None:
        """The next round's invitation, or None when the training is over.

        ``available``: who could be invited now; by default the whole roster.

        Raises:
            ConfigError: the clients that are left cannot make a safe cohort.
        """
        state = self.state
        if state.era_round >= self.config.rounds and not self._restart():
            return None
        self._leave_spent_model()
        present = set(self.everybody if available is None else available)
        cohort = self._choose(tuple(c for c in self.everybody if c in present - self.uninvited))
        plan = build_plan(self.config.plan, self._host, state.model)
        model = model_digest(state.model)
        description = RoundDescription(
            RoundId(state.counter, self._entropy(ROUND_NONCE_BYTES)),
            state.openings.get(model, 0),
            self._roster.deployment,
            model,
            configuration_digest(self.config.params, self._host.task),
            plan.plan.digest(),
            self._roster.digest(),
            cohort,
        )
        start = RoundStart(
            description, self.config.params, self._host.task, plan.plan, state.model.copy()
        )
        state.counter += 1
        self._current = (start, plan)
        self._inquiry.begin()
        self._audited = ()
        return start

    def decide(self, opened: tuple[OpenedGroup, ...], full: StatisticsPlan) -> Decision:
        """Judge by bound evidence of earlier rounds; leave out groups as a whole (DESIGN §3).

        Whom the verdict accuses is tested: the total does without some of the suspects' groups,
        and if it passes its check nobody moved evidence onto them here
        (``auror.round.suspects``). The statistics just opened are not bound yet: they may only
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
            audited = self._inquiry.left_out(kept, cohort, self.config.params)
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
        # Booked when the clients book it, not when the opening succeeds: a round may fail
        # between, and a model that clients count as spent must not be offered to them again.
        model = start.description.model
        if progress.groups:
            state.openings[model] = state.openings.get(model, 0) + 1
        if progress.unmasking:
            state.totals.add(model)
        flagged: tuple[ClientId, ...] = ()
        if total is not None:
            mean = self._quantiser().mean(total.total, len(total.accepted))
            state.previous = state.model
            state.model = (state.model + mean).astype(np.float32)
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

    # Blame --------------------------------------------------------------------------------------

    def _blame(self, progress: Progress, aborted: AbortReason | None) -> tuple[ClientId, ...]:
        """Book marks and silences; returns whom all marks so far prove to have lied."""
        state = self.state
        failed = aborted is AbortReason.BINDING_FAILED
        for client in progress.digests if progress.groups else ():
            silent = progress.dropped.get(client) is DropReason.SILENT
            lost = silent and client not in progress.signatures
            state.silences[client] = state.silences.get(client, 0) + 1 if lost else 0
        if progress.marks or failed:
            state.liability.add(
                (mark.clients for mark in progress.marks), progress.accepted if failed else ()
            )
        # A cautious round that passes lets everybody back in; else nobody would be tested again.
        state.cautious = failed
        if not progress.marks:
            return ()
        proven = state.liability.proven(self.config.params.colluders) - state.excluded.keys()
        state.excluded.update(dict.fromkeys(proven, state.index))
        return tuple(sorted(proven))

    def _choose(self, candidates: tuple[ClientId, ...]) -> tuple[ClientId, ...]:
        """Everybody; after a failed check the half on which the least was marked, so that
        training goes on while the liars are being found."""
        params = self.config.params
        half = (len(self.everybody) - len(self.uninvited) + 1) // 2
        fewest = max(params.colluders + 2, 2 * params.group_size, half)
        if not self.state.cautious or fewest >= len(candidates):
            return candidates
        suspicion = self.state.liability.suspicion
        ranked = sorted(candidates, key=lambda c: (suspicion(c), self._entropy(8)))
        return tuple(sorted(ranked[:fewest]))

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
        state.era_round = 0
        self._new_initial_model()
        return True

    def _new_initial_model(self) -> None:
        self.state.model = self._host.initial(self.state.initials)
        self.state.previous = None
        self.state.initials += 1

    def _leave_spent_model(self) -> None:
        """Clients open at most one total and a few statistics per model (rule 3).

        When a round fails after that, the training steps back half-way to the model before: a
        new model, close to a good one (docs/adr/0005).
        """
        state = self.state
        if self._spent(state.model) and state.previous is not None:
            state.model = ((state.model + state.previous) / 2).astype(np.float32)
        # Half-way can be spent too: rounding ends at the model before, whose total was opened.
        while self._spent(state.model):
            self._new_initial_model()

    def _spent(self, model: NDArray[np.float32]) -> bool:
        digest, state = model_digest(model), self.state
        return (
            digest in state.totals
            or state.openings.get(digest, 0) >= self.config.params.max_attempts
        )

    def _judge(self) -> Verdict | None:
        if self.ledger.width and self.ledger.rounds:
            self.verdict = self._verdict_on(self.ledger)
        return self.verdict

    def _verdict_on(self, ledger: Ledger) -> Verdict:
        invited = tuple(client for client in self.everybody if client not in self.uninvited)
        return self.config.detector(ledger, invited)

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
        return quantiser(self.config.params)
