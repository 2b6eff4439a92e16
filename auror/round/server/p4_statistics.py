"""Phase 4, the server: the sums of whole groups, and nothing else (docs/protocol.md 4.7–4.8)."""

from __future__ import annotations

from auror.crypto.signing import verify
from auror.crypto.tags import Tag
from auror.errors import (
    AbortReason,
    AuthenticationFailed,
    DropReason,
    PeerMisbehaved,
    RoundAborted,
)
from auror.ids import ClientId
from auror.round.arithmetic import statistics_context
from auror.round.messages import MaskedStatistics
from auror.round.plan import StatisticsPlan
from auror.round.record import OpenedGroup
from auror.round.server.context import RoundContext


def full_plan(context: RoundContext) -> StatisticsPlan:
    """P with its challenge part. Raises RoundAborted before phase 3b has ended."""
    if context.progress.plan is None:
        raise RoundAborted(AbortReason.TOO_FEW_UPLOADED, "no statistics plan yet")
    return context.progress.plan


def take_statistics(context: RoundContext, sender: ClientId, message: MaskedStatistics) -> None:
    """Step 4.7.

    Raises:
        PeerMisbehaved: wrong size, or the sender signed another view than the server's.
    """
    progress = context.progress
    masked = statistics_context(progress.view, full_plan(context).rows)
    try:
        masked.ring.check(message.payload, masked.length)
    except ValueError as error:
        raise PeerMisbehaved(sender, DropReason.MALFORMED, str(error)) from error
    try:
        verify(
            context.policy.verify_key(sender),
            message.signature,
            Tag.VIEW_SIGNATURE,
            progress.view,
        )
    except AuthenticationFailed as error:
        raise PeerMisbehaved(sender, DropReason.BAD_SIGNATURE, "view of the round") from error
    progress.statistics[sender] = message.payload
    progress.signatures[sender] = message.signature


def close(context: RoundContext) -> tuple[OpenedGroup, ...]:
    """Step 4.8: the sum of every group whose members have all sent; their masks cancel.

    Raises:
        RoundAborted: fewer than ``min_accepted_groups`` are whole.
    """
    progress = context.progress
    progress.signatures = dict(sorted(progress.signatures.items()))
    check_enough(context)
    masked = statistics_context(progress.view, full_plan(context).rows)
    opened = []
    for index, members in context.whole_groups().items():
        total = masked.ring.zeros(masked.length)
        for client in members:
            total += masked.ring.from_bytes(progress.statistics[client], masked.length)
        opened.append(OpenedGroup(index, members, masked.ring.reduce(total)))
    progress.opened = tuple(opened)
    return progress.opened


def check_enough(context: RoundContext) -> None:
    """Raises RoundAborted when no client would help to open so little."""
    whole = context.whole_groups()
    if len(whole) < context.params.min_accepted_groups:
        raise RoundAborted(
            AbortReason.TOO_FEW_STATISTICS,
            f"{len(whole)} whole group(s), {context.params.min_accepted_groups} needed",
        )
    sent, lowest = sum(map(len, whole.values())), context.floors.accepted
    if sent < lowest:
        raise RoundAborted(AbortReason.TOO_FEW_STATISTICS, f"{sent} clients of at least {lowest}")
