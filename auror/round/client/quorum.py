"""Counting signatures: what one client will not believe the server alone."""

from __future__ import annotations

from collections.abc import Mapping

from auror.crypto.signing import verify
from auror.crypto.tags import Encoded, Tag
from auror.errors import AuthenticationFailed, Refusal, Refused
from auror.ids import ClientId
from auror.round.client.state import Identity, Invitation


def check_quorum(
    identity: Identity,
    invitation: Invitation,
    signatures: Mapping[ClientId, bytes],
    tag: Tag,
    *parts: bytes,
) -> None:
    """Whether Q members of the committee signed ``parts``: by identity, over the cohort of T.

    Any two quorums share an honest client, and an honest client signs once.

    Raises:
        Refused: fewer than Q valid signatures.
    """
    signed, valid = Encoded.of(*parts), 0
    for client, signature in signatures.items():
        if client not in invitation.committee:
            continue
        try:
            verify(identity.policy.verify_key(client), signature, tag, signed)
        except AuthenticationFailed:
            continue
        valid += 1
    quorum = invitation.topology.quorum
    if valid < quorum:
        raise Refused(Refusal.QUORUM_MISSING, f"{valid} of {quorum} signatures")
