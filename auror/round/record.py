"""What one round leaves behind: enough to recompute its verdict and its privacy account.

Nothing in it is secret: the server knows all of it, and operators may publish it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auror.errors import AbortReason, DropReason, Refusal
from auror.ids import ClientId, Digest, GroupIndex, RoundId
from auror.round.watch import Watch

if TYPE_CHECKING:
    from auror.round.description import RoundDescription
    from auror.round.summary import RoundSummary


@dataclass(frozen=True)
class OpenedGroup:
    """One group whose statistics were opened."""

    index: GroupIndex
    members: tuple[ClientId, ...]
    """Who is in the sum: the whole group, sorted."""
    total: NDArray[np.uint64]
    """Σ P·q_i over ``members``, (k,), modulo 2^64."""


class MarkKind(enum.Enum):
    """How a mark came about (docs/protocol.md, phases 1b and 7)."""

    COMMITMENT = "opened or dealt other values than it signed commitments to"
    RECEIPT = "a holder says that it cannot read a dealer's envelope"
    FAULT = "sent what no honest client sends"
    PAIR = "two clients disagree about the mask that they share"
    GROUP = "a group's statistics are not those of its updates"


@dataclass(frozen=True, slots=True)
class Mark:
    """At least one of ``clients`` broke the protocol. A set of honest clients is never marked."""

    kind: MarkKind
    clients: tuple[ClientId, ...]


@dataclass(frozen=True)
class RoundRecord:
    """One round, finished or aborted. Sets are sorted tuples; later sets are empty when the
    round ended before them."""

    index: int
    """0, 1, … over the whole run."""
    era: int
    """0 for the first training, 1 after the restart from a new initial model."""
    round_id: RoundId
    attempt: int
    cohort: tuple[ClientId, ...]
    dealt: tuple[ClientId, ...]
    """U2"""
    uploaded: tuple[ClientId, ...]
    """U3"""
    sent: tuple[ClientId, ...]
    """Who sent statistics."""
    groups: tuple[tuple[ClientId, ...], ...]
    """The drawn partition of U3; () when the round ended before it was drawn."""
    opened: tuple[OpenedGroup, ...]
    accepted_groups: tuple[GroupIndex, ...]
    accepted: tuple[ClientId, ...]
    """A; known whenever its total was opened, also when the binding check then failed."""
    left_out: dict[GroupIndex, str]
    """Groups of this round that are not in the total, and why."""
    flagged: tuple[ClientId, ...]
    """Clients on whom a permanent flag fell in this round."""
    dropped: dict[ClientId, DropReason]
    """Everybody who left the round, and why."""
    aborted: AbortReason | None
    total_opened: bool
    """Whether the accepted total was unmasked (also true when its binding check failed)."""
    model: Digest
    """Hash of the model after the round."""
    public_seed: bytes
    """Seed of groups, challenge and watch; b"" when the round ended before it was known."""
    watch: Watch
    """What the description said of the label rows."""
    watched: bool
    """Whether more than challenge rows was to be opened."""
    audited: tuple[GroupIndex, ...] = ()
    """The groups that an omission audit left out, of suspects or at random."""
    marks: tuple[Mark, ...] = ()
    """What a failed check or opening proved about whom."""
    excluded: tuple[ClientId, ...] = ()
    """Clients that all marks so far prove to have lied, new in this round."""
    withdrawn: dict[ClientId, Refusal] = field(default_factory=dict)
    """Of the dropped, those who would not go on, and what they said."""
    attempted: bool = False
    """Clients may count an attempt at the model."""
    statistics_asked: bool = False
    """Clients may count an opening of their statistics, in ``groups``."""
    shares_asked: bool = False
    """Clients may count a total of the model, opened or not."""
    interrupted: bool = False
    """A crash broke the round off: of what came last only the intent is known."""

    @property
    def opened_groups(self) -> tuple[tuple[ClientId, ...], ...]:
        """Members of every group whose statistics were opened: all groups of a round that was
        interrupted once they were due, since nobody knows which."""
        if self.interrupted and self.statistics_asked:
            return self.groups
        return tuple(group.members for group in self.opened)

    @classmethod
    def of(
        cls,
        summary: RoundSummary,
        description: RoundDescription,
        *,
        index: int,
        aborted: AbortReason | None,
        model: Digest,
        flagged: tuple[ClientId, ...] = (),
        audited: tuple[GroupIndex, ...] = (),
        excluded: tuple[ClientId, ...] = (),
    ) -> RoundRecord:
        """What became of the round ``description``, which got as far as ``summary`` says."""
        return cls(
            index=index,
            era=description.era,
            round_id=description.round_id,
            attempt=description.attempt,
            cohort=description.cohort,
            dealt=summary.dealt,
            uploaded=summary.uploaded if summary.groups else (),
            sent=summary.sent,
            groups=summary.groups,
            opened=summary.opened,
            accepted_groups=summary.accepted_groups if summary.total_opened else (),
            accepted=summary.accepted if summary.total_opened else (),
            left_out=dict(summary.left_out),
            flagged=flagged,
            dropped=dict(summary.dropped),
            aborted=aborted,
            total_opened=summary.total_opened,
            model=model,
            public_seed=summary.public_seed,
            watch=description.watch,
            watched=summary.watched,
            audited=audited,
            marks=summary.marks,
            excluded=excluded,
            withdrawn=dict(summary.refusals),
            attempted=summary.attempted,
            statistics_asked=summary.asked,
            shares_asked=summary.unmasking,
        )
