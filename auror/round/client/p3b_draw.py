"""Phase 3b, the client: open the shares of everybody's r, once a quorum has signed its very U3.

docs/protocol.md steps 3.6–3.7.
"""

from __future__ import annotations

from auror.crypto.tags import Tag
from auror.round.client.quorum import check_quorum
from auror.round.client.state import HeldShares, Identity, Invitation, Uploads
from auror.round.messages import ConsistencyList, RandomnessShares
from auror.secagg.instance import SecretKind


def open_randomness(
    identity: Identity,
    invitation: Invitation,
    held: HeldShares,
    uploads: Uploads,
    listed: ConsistencyList,
) -> RandomnessShares:
    """Raises Refused when fewer than Q of the cohort (or its committee) signed exactly my U3."""
    check_quorum(identity, invitation, listed.signatures, Tag.CONSISTENCY, uploads.digest)
    return RandomnessShares(
        {
            dealer: held[dealer][SecretKind.RANDOMNESS]
            for dealer in sorted(held.keys() & uploads.dealers)
        }
    )
