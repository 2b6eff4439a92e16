"""Phase 3b, the client: open the shares of all r that count, once a quorum has signed its very U3.

docs/protocol.md steps 3.6–3.7.
"""

from __future__ import annotations

from dataclasses import dataclass

from auror.crypto.tags import Tag
from auror.round.client.p3a_consistency import SignedUploads, WithKnownUploads
from auror.round.client.quorum import check_quorum
from auror.round.client.state import Identity
from auror.round.messages import ConsistencyList, RandomnessShares
from auror.secagg.instance import SecretKind


@dataclass(frozen=True)
class SharedRandomness(WithKnownUploads):
    """Its shares of the committee's r are given."""


def open_randomness(
    identity: Identity, state: SignedUploads, listed: ConsistencyList
) -> tuple[SharedRandomness, RandomnessShares]:
    """Raises Refused when fewer than Q of the cohort (or its committee) signed exactly my U3."""
    uploads, held = state.uploads, state.held
    check_quorum(identity, state.invitation, listed.signatures, Tag.CONSISTENCY, uploads.digest)
    counted = uploads.dealers & state.invitation.committee
    shares = RandomnessShares(
        {dealer: held[dealer][SecretKind.RANDOMNESS] for dealer in sorted(held.keys() & counted)}
    )
    return SharedRandomness(state.invitation, state.secrets, held, uploads, state.quantised), shares
