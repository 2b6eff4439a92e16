"""Phase 1, the client: check everybody's keys, deal three secrets.

docs/protocol.md steps 1.1–1.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from auror.crypto.kex import check_public_key
from auror.crypto.signing import verify
from auror.crypto.tags import Tag
from auror.errors import AuthenticationFailed, Refusal, Refused
from auror.ids import ClientId
from auror.round.client.p0_advertise import Advertised
from auror.round.client.state import Identity, Invitation, RoundSecrets, WiredInvitation
from auror.round.messages import AdvertisedKeys, DealtShares, KeyList
from auror.round.public import draw_graph
from auror.secagg.instance import SecretKind
from auror.secagg.sharing import Share, deal


@dataclass(frozen=True)
class Shared:
    """U1 is known, its secrets are dealt."""

    invitation: WiredInvitation
    secrets: RoundSecrets
    keys: KeyList
    own_shares: Mapping[SecretKind, Share]


def share_keys(
    identity: Identity, state: Advertised, listed: KeyList
) -> tuple[Shared, DealtShares]:
    """Steps 1.1–1.4. Raises Refused when the server forged, lost or repeated a key."""
    invitation = check_keys(identity, state.invitation, state.own, listed)
    own_shares, dealt = _deal(identity, invitation, state.secrets, listed)
    return Shared(invitation, state.secrets, listed, own_shares), dealt


def check_keys(
    identity: Identity, invitation: Invitation, own: AdvertisedKeys, listed: KeyList
) -> WiredInvitation:
    """Step 1.1: U1 is large enough, holds my keys, and my neighbours' are signed by their owners.

    Returns the invitation with the graph that U1 draws.

    Raises:
        Refused: the server forged, lost or repeated a key.
    """
    keys = listed.keys
    floor = invitation.floors.present
    if len(keys) < floor:
        raise Refused(Refusal.COHORT_TOO_SMALL, f"{len(keys)} advertised, floor {floor}")
    if not keys.keys() <= set(invitation.start.description.cohort):
        raise Refused(Refusal.SET_NOT_SUBSET, "U1 is not part of the cohort")
    if keys.get(identity.me) != own:
        raise Refused(Refusal.OWN_KEYS_MISSING)
    seen: set[bytes] = set()
    for client, advertised in keys.items():
        public = set(advertised.public_keys())
        if len(public) < 3 or public & seen:
            raise Refused(Refusal.KEY_REUSED, f"client {client}")
        seen |= public
    graph = draw_graph(
        invitation.topology, invitation.transcript, invitation.start.description.cohort, keys
    )
    verify_keys(identity, invitation, graph.neighbours[identity.me], listed)
    return WiredInvitation.of(invitation, graph)


def verify_keys(
    identity: Identity, invitation: Invitation, peers: Iterable[ClientId], listed: KeyList
) -> None:
    """Whether the listed keys of ``peers`` are signed by their owners over this T.

    Raises Refused: somebody else's keys, or keys with which no secret can be agreed.
    """
    keys = listed.keys
    for client in (peer for peer in peers if peer in keys):
        try:
            verify(
                identity.policy.verify_key(client),
                keys[client].signature,
                Tag.ADVERTISE,
                invitation.transcript,
                *keys[client].signed_parts(),
            )
            for key in keys[client].public_keys():
                check_public_key(key)
        except AuthenticationFailed as error:
            raise Refused(Refusal.KEYS_SUBSTITUTED, f"client {client}") from error


def _deal(
    identity: Identity, invitation: WiredInvitation, secrets: RoundSecrets, listed: KeyList
) -> tuple[Mapping[SecretKind, Share], DealtShares]:
    """Steps 1.2–1.4: shares of three secrets, sealed per holder, with signed salted hashes."""
    advertised = frozenset(listed.keys)
    holders = invitation.graph.holders(identity.me, advertised)
    dealing, own_shares = deal(
        invitation.transcript,
        identity.me,
        secrets.to_share(),
        holders,
        invitation.topology.shares,
        secrets.encryption,
        {client: keys.encryption for client, keys in listed.keys.items()},
        identity.entropy,
    )
    signature = identity.signing_key.sign(
        Tag.DEALING, invitation.transcript, *dealing.signed_parts()
    )
    return own_shares, DealtShares(
        dealing.ciphertexts, dealing.share_commitments, dealing.secret_commitments, signature
    )
