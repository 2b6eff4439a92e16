"""What the opened sums lead to: judged, confirmed by audits, left out of totals, kept as evidence.

The only place where group sums meet a verdict. A training (``auror.training.campaign``) and a
replay of recorded sums (``auror.bench.recordings``) play their rounds through it: ``begin``, then
``decide`` when the sums are open, then ``bound`` or ``failed`` as the binding check went.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.defence.ledger import Ledger, RoundObservation
from auror.defence.norm import NormParams, oversized_groups
from auror.ids import ClientId, GroupIndex
from auror.params import RoundParams
from auror.round.arithmetic import quantiser
from auror.round.plan import StatisticsPlan
from auror.round.record import OpenedGroup
from auror.round.server.context import Decision
from auror.training.audits import AuditDraw
from auror.training.confirmation import Confirmation
from auror.training.doubt import Doubt
from auror.training.observations import RoundPlan, observe, observe_challenge
from auror.training.verdict import Detector, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class DefendedRound:
    """What the defence must know of a round before its sums are open."""

    index: int
    """0, 1, … over the whole run."""
    era: int
    plan: RoundPlan
    params: RoundParams
    cohort: int
    """Clients invited."""
    fewest: int
    """Fewest clients in its total."""


class Defence:
    """From opened sums to flags, over all rounds of a run."""

    def __init__(
        self,
        detector: Detector,
        ledger: Ledger,
        confirmation: Confirmation,
        draw: AuditDraw,
        *,
        doubt: Doubt | None = None,
        watch_only: bool = False,
    ) -> None:
        """``ledger``, ``confirmation`` and ``doubt`` are kept up to date here; ``draw`` chooses
        the groups that audits leave out. ``watch_only``: whom the verdict accuses is not tested or
        flagged."""
        self.watch_only = watch_only
        self.detector = detector
        self.ledger = ledger
        self.confirmation = confirmation
        self.doubt = doubt or Doubt()
        self.verdict: Verdict | None = None
        """The latest."""
        self.audited: tuple[GroupIndex, ...] = ()
        """Groups that an audit leaves out of the round in progress."""
        self._draw = draw
        self._round: DefendedRound | None = None
        self._judged: tuple[int, tuple[ClientId, ...]] = (0, ())
        """Rounds of evidence and invited clients of the latest verdict."""

    @property
    def judged(self) -> tuple[int, tuple[ClientId, ...]]:
        """What the latest verdict is of: rounds of evidence, and whom the next round could invite
        then."""
        return self._judged

    def begin(self, around: DefendedRound) -> None:
        """A new round; its sums are not open yet."""
        self._round = around
        self.audited = ()
        self.confirmation.begin()

    def decide(
        self,
        opened: tuple[OpenedGroup, ...],
        full: StatisticsPlan,
        invited: Collection[ClientId],
    ) -> Decision:
        """Judge by bound evidence of earlier rounds; leave out groups as a whole.

        Whom the verdict accuses is tested: the total does without some of the suspects' groups,
        and if it passes its check nobody moved evidence onto them here
        (``auror.training.confirmation``). The statistics just opened are not bound yet: they may
        only leave out a group of implausible size.

        In a round that is not watched there is no evidence to move, so nobody is tested.

        Args:
            full: the round's plan as it was opened, with its challenge part.
            invited: whom the next round could invite.
        """
        around = self._round_in_progress()
        here = [client for group in opened for client in group.members]
        self.judge(invited)
        if full.stable_rows:
            self.confirmation.test(self.accused(invited), here)
        left_out = dict.fromkeys(self._oversized(opened, full), "implausible size of its updates")
        kept = {group.index: group.members for group in opened if group.index not in left_out}
        audited = self.confirmation.left_out(
            kept, around.cohort, around.params, around.fewest, self._draw
        )
        self.audited = tuple(audited)
        for index, suspects in audited.items():
            names = ", ".join(map(str, suspects))
            left_out[index] = f"suspected: {names}" if names else "random audit"
        accepted = tuple(group.index for group in opened if group.index not in left_out)
        return Decision(accepted, left_out)

    def bound(
        self,
        accepted: Collection[OpenedGroup],
        *,
        watched: bool = True,
        step: NDArray[np.float64] | None = None,
    ) -> tuple[ClientId, ...]:
        """The round's check passed: the ``accepted`` sums are evidence if it was ``watched``, that
        is if more than challenge rows was opened. Returns whom that flags, sorted.

        ``step`` (d,): the mean update of its total; whether that changes is not looked at without.
        """
        around = self._round_in_progress()
        rows = None if step is None else around.plan.rows_of(step)
        if rows is not None:
            self.doubt.tell(around.index, rows)
        if self.ledger.width and watched:
            observations = observe(around.plan, quantiser(around.params), tuple(accepted))
            self.ledger.append(
                RoundObservation(around.index, around.era, observations, around.plan.gram)
            )
        return self.confirmation.confirm(around.index)

    def failed(self) -> None:
        """The round's check failed: nothing of it is evidence."""
        self.confirmation.dispute(self._round_in_progress().index)

    def judge(self, invited: Collection[ClientId]) -> Verdict | None:
        """The verdict on the evidence so far; None without any."""
        at = len(self.ledger.rounds), tuple(invited)
        if self.ledger.width and self.ledger.rounds and at != self._judged:
            self.verdict, self._judged = self.detector(self.ledger, tuple(invited)), at
        return self.verdict

    def decided(self, invited: Collection[ClientId]) -> bool:
        """Whether the evidence so far leaves nobody of the ``invited`` in doubt, and nothing has
        changed that it cannot show yet."""
        verdict = self.judge(invited)
        if verdict is None or not verdict.cleared.issuperset(invited):
            return False
        return not self.doubt.remains(self.ledger, len(invited))

    def accused(self, invited: Collection[ClientId]) -> dict[ClientId, int]:
        """Whom the latest verdict accuses beyond the flagged → audited rounds that flag it."""
        if self.watch_only:
            return {}
        return self.confirmation.accused_in(
            self.ledger, self.verdict, lambda ledger: self.detector(ledger, tuple(invited))
        )

    def _oversized(self, opened: tuple[OpenedGroup, ...], full: StatisticsPlan) -> list[GroupIndex]:
        around = self._round_in_progress()
        challenge = observe_challenge(full, quantiser(around.params), opened)
        if challenge is None:
            return []
        observations, block = challenge
        seen = RoundObservation(around.index, around.era, observations)
        return [opened[k].index for k in oversized_groups(seen, block, NormParams())]

    def _round_in_progress(self) -> DefendedRound:
        if self._round is None:
            raise ValueError("no round is in progress")
        return self._round
