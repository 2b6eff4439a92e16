"""Rounds that a crash broke off, from the facts that were durable by then.

Clients count an attempt, an opening, a total before they answer; the server's facts precede what it
asks of them. So a fact stands for everything that clients may have counted (rule 3).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from auror.errors import AbortReason
from auror.ids import ClientId, Digest
from auror.round.facts import (
    Attempted,
    DealersFixed,
    Fact,
    GroupsDrawn,
    RoundBegun,
    SumsOpened,
    UnmaskingBegun,
)
from auror.round.record import RoundRecord
from auror.round.watch import Watch


@dataclass(frozen=True)
class InterruptedRound:
    """How far it may have got. Sets are empty where the facts do not reach."""

    begun: RoundBegun
    dealt: tuple[ClientId, ...] = ()
    attempted: bool = False
    """Clients may have uploaded."""
    disputed: bool = False
    watched: bool = False
    """Its label rows were to be opened for certain."""
    drawn: GroupsDrawn | None = None
    """Clients may have sent statistics."""
    sent: tuple[ClientId, ...] = ()
    shares_asked: bool = False
    """Clients may have helped to open its total."""

    @property
    def counter(self) -> int:
        return self.begun.round_id.counter

    def record(self, index: int, model: Digest) -> RoundRecord:
        """As round ``index`` of the run; ``model``: hash of the model after it.

        Nothing of what may have been opened in it is known, and nothing of it is in any total.
        """
        drawn = self.drawn
        return RoundRecord(
            index=index,
            era=self.begun.era,
            round_id=self.begun.round_id,
            attempt=self.begun.attempt,
            cohort=self.begun.cohort,
            dealt=self.dealt,
            uploaded=() if drawn is None else tuple(sorted(c for g in drawn.groups for c in g)),
            sent=self.sent,
            groups=() if drawn is None else drawn.groups,
            opened=(),
            accepted_groups=(),
            accepted=(),
            left_out={},
            flagged=(),
            dropped={},
            aborted=AbortReason.SERVER_STOPPED,
            total_opened=False,
            model=model,
            public_seed=b"" if drawn is None else drawn.seed,
            watch=Watch.ALWAYS if self.watched else Watch.DRAWN,
            watched=drawn is not None and drawn.watched,
            attempted=self.attempted,
            statistics_asked=drawn is not None,
            shares_asked=self.shares_asked,
            interrupted=True,
        )


def interrupted_rounds(facts: Iterable[Fact]) -> tuple[InterruptedRound, ...]:
    """The rounds that ``facts`` tell of, in order; none of them was closed."""
    found: list[InterruptedRound] = []
    for fact in facts:
        match fact:
            case RoundBegun():
                found.append(InterruptedRound(fact))
            case _ if found:
                found[-1] = _after(found[-1], fact)
    return tuple(found)


def _after(known: InterruptedRound, fact: Fact) -> InterruptedRound:
    match fact:
        case DealersFixed(dealt):
            return replace(known, dealt=dealt)
        case Attempted(disputed, watched):
            return replace(known, attempted=True, disputed=disputed, watched=watched)
        case GroupsDrawn():
            return replace(known, drawn=fact)
        case SumsOpened(sent):
            return replace(known, sent=tuple(sorted(sent)))
        case UnmaskingBegun():
            return replace(known, shares_asked=True)
        case _:
            return known
