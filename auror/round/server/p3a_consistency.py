"""Phase 3a, the server: one U3 for everybody (docs/protocol.md steps 3.4–3.5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from auror.crypto.tags import Tag
from auror.errors import AbortReason
from auror.ids import ClientId
from auror.round.messages import Consistency, ConsistencyList
from auror.round.server.context import Phase, RoundContext
from auror.round.server.p2_upload import WithUploads


@dataclass(frozen=True)
class Signing(WithUploads):
    """U3 is out, signatures under it come in."""

    phase: ClassVar[Phase] = Phase.CONSISTENCY
    signatures: dict[ClientId, bytes] = field(default_factory=dict)


def take_signature(
    context: RoundContext, state: Signing, sender: ClientId, message: Consistency
) -> None:
    """Step 3.4. Raises PeerMisbehaved for a signature under another U3."""
    context.require_signed(
        sender, message.signature, "set of uploads", Tag.CONSISTENCY, state.uploads.digest
    )
    state.signatures[sender] = message.signature


def close(context: RoundContext, state: Signing) -> ConsistencyList:
    """Step 3.5: the quorum's signatures go to everybody. Raises RoundAborted below Q."""
    context.require_quorum(len(state.signatures), AbortReason.TOO_FEW_CONSISTENT)
    return ConsistencyList(dict(sorted(state.signatures.items())))
