"""Phase 3a, the server: one U3 for everybody (docs/protocol.md steps 3.4–3.5)."""

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
from auror.round.messages import Consistency, ConsistencyList
from auror.round.server.context import RoundContext


def take_signature(context: RoundContext, sender: ClientId, message: Consistency) -> None:
    """Step 3.4. Raises PeerMisbehaved for a signature under another U3."""
    progress = context.progress
    key = context.policy.verify_key(sender)
    try:
        verify(key, message.signature, Tag.CONSISTENCY, progress.uploads)
    except AuthenticationFailed as error:
        raise PeerMisbehaved(sender, DropReason.BAD_SIGNATURE, "set of uploads") from error
    progress.consistent[sender] = message.signature


def close(context: RoundContext) -> ConsistencyList:
    """Step 3.5: the quorum's signatures go to everybody. Raises RoundAborted below Q."""
    signed, quorum = context.progress.consistent, context.topology.quorum
    if len(signed) < quorum:
        raise RoundAborted(AbortReason.TOO_FEW_CONSISTENT, f"{len(signed)} of {quorum}")
    return ConsistencyList(dict(sorted(signed.items())))
