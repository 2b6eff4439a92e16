"""Phase 3, the server: collect masked statistics (docs/protocol.md steps 3.6–3.7)."""

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
from auror.round.messages import MaskedStatistics, StatisticsList
from auror.round.plan import StatisticsPlan
from auror.round.server.context import RoundContext
from auror.secagg.instance import Instance


def full_plan(context: RoundContext) -> StatisticsPlan:
    """P with its challenge part. Raises RoundAborted before phase 2 has ended."""
    if context.progress.plan is None:
        raise RoundAborted(AbortReason.TOO_FEW_UPLOADED, "no statistics plan yet")
    return context.progress.plan


def take_statistics(context: RoundContext, sender: ClientId, message: MaskedStatistics) -> None:
    """Step 3.6. An empty message is an abstention: the sender's group has shrunk too far.

    Raises:
        PeerMisbehaved: wrong size, or the sender signed another view than the server's.
    """
    if not message.payload and not message.signature:
        return
    sum_context = context.sum_context(Instance.STATISTICS, full_plan(context).rows)
    try:
        sum_context.ring.check(message.payload, sum_context.length)
    except ValueError as error:
        raise PeerMisbehaved(sender, DropReason.MALFORMED, str(error)) from error
    try:
        verify(
            context.roster.verify_key(sender),
            message.signature,
            Tag.VIEW_SIGNATURE,
            context.transcript,
            context.progress.view,
        )
    except AuthenticationFailed as error:
        raise PeerMisbehaved(sender, DropReason.BAD_SIGNATURE, "view of the round") from error
    context.progress.statistics[sender] = message.payload
    context.progress.signatures[sender] = message.signature


def close(context: RoundContext) -> StatisticsList:
    """Step 3.7: S is fixed. Raises RoundAborted when too few groups could be opened."""
    context.progress.signatures = dict(sorted(context.progress.signatures.items()))
    check_enough(context)
    return StatisticsList(context.progress.signatures)


def check_enough(context: RoundContext) -> None:
    """Raises RoundAborted when no client would help to open so little."""
    sent, lowest = len(context.progress.signatures), context.params.colluders + 2
    if sent < lowest:  # ClientPolicy.accepted_floor
        raise RoundAborted(AbortReason.TOO_FEW_STATISTICS, f"{sent} clients of at least {lowest}")
    groups = len(context.open_groups())
    if groups < context.params.min_accepted_groups:
        raise RoundAborted(
            AbortReason.TOO_FEW_STATISTICS,
            f"{groups} group(s) large enough, {context.params.min_accepted_groups} needed",
        )
