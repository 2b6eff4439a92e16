"""Phase 4, the server: the sums of whole groups, and nothing else (docs/protocol.md 4.7–4.8)."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import ClassVar

from auror.crypto.tags import Tag
from auror.errors import AbortReason, DropReason, PeerMisbehaved, RoundAborted
from auror.ids import ClientId, GroupIndex
from auror.round.arithmetic import statistics_context
from auror.round.messages import MaskedStatistics
from auror.round.public import Groups
from auror.round.record import OpenedGroup
from auror.round.server.context import Phase, RoundContext
from auror.round.server.p0_advertise import Wired
from auror.round.server.p1b_receipts import Dealers
from auror.round.server.p2_upload import Uploads
from auror.round.server.p3b_draw import Draw, WithDraw


@dataclass(frozen=True)
class SendingStatistics(WithDraw):
    """Groups are drawn, masked statistics come in."""

    phase: ClassVar[Phase] = Phase.STATISTICS
    statistics: dict[ClientId, MaskedStatistics] = field(default_factory=dict)


@dataclass(frozen=True)
class Opening:
    """The sums of the whole groups."""

    signatures: Mapping[ClientId, bytes]
    """Under h, of everybody who sent statistics."""
    opened: tuple[OpenedGroup, ...]


@dataclass(frozen=True)
class WithOpening(WithDraw):
    """Every state after phase 4."""

    opening: Opening

    @property
    def known(self) -> tuple[Wired, Dealers, Uploads, Draw, Opening]:
        """What each following state begins with, in the order of its fields."""
        return self.wired, self.dealers, self.uploads, self.draw, self.opening


def take_statistics(
    context: RoundContext, state: SendingStatistics, sender: ClientId, message: MaskedStatistics
) -> None:
    """Step 4.7.

    Raises:
        PeerMisbehaved: wrong size, or the sender signed another view than the server's.
    """
    masked = statistics_context(state.draw.view, state.draw.plan.rows)
    try:
        masked.ring.check(message.payload, masked.length)
    except ValueError as error:
        raise PeerMisbehaved(sender, DropReason.MALFORMED, str(error)) from error
    context.require_signed(
        sender, message.signature, "view of the round", Tag.VIEW_SIGNATURE, state.draw.view
    )
    state.statistics[sender] = message


def close(context: RoundContext, state: SendingStatistics) -> Opening:
    """Step 4.8: the sum of every group whose members have all sent; their masks cancel.

    Raises:
        RoundAborted: fewer than ``min_accepted_groups`` are whole, or they hold too few clients.
    """
    sent = dict(sorted(state.statistics.items()))
    masked = statistics_context(state.draw.view, state.draw.plan.rows)
    opened = []
    for index, members in openable(context, state.draw.groups, sent.keys()).items():
        payloads = (sent[client].payload for client in members)
        total = masked.ring.sum_packed(payloads, masked.length)
        opened.append(OpenedGroup(index, members, total))
    signatures = {client: message.signature for client, message in sent.items()}
    return Opening(signatures, tuple(opened))


def openable(
    context: RoundContext, groups: Groups, sent: AbstractSet[ClientId]
) -> dict[GroupIndex, tuple[ClientId, ...]]:
    """The whole groups: all of whose members sent statistics, the only ones whose sum appears.

    Raises:
        RoundAborted: no client would help to open a total of so few.
    """
    whole = {GroupIndex(k): group for k, group in enumerate(groups) if sent >= set(group)}
    if len(whole) < context.params.min_accepted_groups:
        raise RoundAborted(
            AbortReason.TOO_FEW_STATISTICS,
            f"{len(whole)} whole group(s), {context.params.min_accepted_groups} needed",
        )
    members, lowest = sum(map(len, whole.values())), context.floors.accepted
    if members < lowest:
        raise RoundAborted(
            AbortReason.TOO_FEW_STATISTICS, f"{members} clients of at least {lowest}"
        )
    return whole
