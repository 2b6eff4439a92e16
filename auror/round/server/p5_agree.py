"""Phase 5, the server: one accepted set for everybody (docs/protocol.md steps 5.1, 5.5–5.6)."""

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
from auror.ids import ClientId, GroupIndex
from auror.round.messages import AcceptedSet, Agreement, AgreementList
from auror.round.public import agreement_parts, covers
from auror.round.server.context import Decision, RoundContext


def propose(context: RoundContext, decision: Decision) -> AcceptedSet:
    """Step 5.1: A is the union of the accepted groups, and they were whole.

    Raises:
        RoundAborted: too few groups are left; flags stay, the next round goes on.
        ValueError: the decision names a group that was not opened.
    """
    progress = context.progress
    members = {group.index: group.members for group in progress.opened}
    if not set(decision.accepted) <= members.keys():
        raise ValueError("only opened groups can be accepted")
    closed = "not whole: a member sent no statistics"
    progress.left_out = {
        GroupIndex(k): decision.left_out.get(GroupIndex(k), closed)
        for k in range(len(progress.groups))
        if k not in decision.accepted
    }
    if len(decision.accepted) < context.params.min_accepted_groups:
        raise RoundAborted(AbortReason.TOO_FEW_ACCEPTED, f"{len(decision.accepted)} group(s)")
    accepted = tuple(sorted(client for k in decision.accepted for client in members[k]))
    lowest = context.floors.accepted
    if len(accepted) < lowest:
        raise RoundAborted(
            AbortReason.TOO_FEW_ACCEPTED, f"{len(accepted)} clients of at least {lowest}"
        )
    if not covers(context.topology, context.graph, frozenset(accepted)):
        raise RoundAborted(
            AbortReason.TOO_FEW_ACCEPTED, "too few neighbours of each other are left on the graph"
        )
    progress.accepted_groups = tuple(sorted(decision.accepted))
    progress.accepted = accepted
    return AcceptedSet(accepted, {client: progress.signatures[client] for client in accepted})


def take_agreement(context: RoundContext, sender: ClientId, message: Agreement) -> None:
    """Step 5.5. Raises PeerMisbehaved for a signature under other sets."""
    try:
        verify(
            context.policy.verify_key(sender),
            message.signature,
            Tag.AGREEMENT,
            *_parts(context),
        )
    except AuthenticationFailed as error:
        raise PeerMisbehaved(sender, DropReason.BAD_SIGNATURE, "accepted set") from error
    context.progress.agreed[sender] = message.signature


def close(context: RoundContext) -> AgreementList:
    """Step 5.6: the quorum's signatures go to everybody. Raises RoundAborted below Q."""
    agreed = context.progress.agreed
    quorum = context.topology.quorum
    if len(agreed) < quorum:
        raise RoundAborted(AbortReason.TOO_FEW_AGREED, f"{len(agreed)} of {quorum}")
    context.progress.unmasking = True
    return AgreementList(dict(sorted(agreed.items())))


def _parts(context: RoundContext) -> tuple[bytes, ...]:
    progress = context.progress
    return agreement_parts(context.transcript, progress.view, frozenset(progress.accepted))
