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
from auror.round.client.told_sets import part_of
from auror.round.lists import Keys, ShownKeys
from auror.round.messages import AdvertisedKeys, DealtShares, KeyList
from auror.round.public import draw_graph, set_of
from auror.secagg.instance import SecretKind
from auror.secagg.sharing import Share, deal


@dataclass(frozen=True)
class Shared:
    """U1 is known, its secrets are dealt."""

    invitation: WiredInvitation
    secrets: RoundSecrets
    keys: ShownKeys
    own_shares: Mapping[SecretKind, Share]


def share_keys(
    identity: Identity, state: Advertised, listed: KeyList
) -> tuple[Shared, DealtShares]:
    """Steps 1.1–1.4. Raises Refused when the server forged, lost or repeated a key."""
    invitation, shown = check_keys(identity, state.invitation, state.own, listed)
    own_shares, dealt = _deal(identity, invitation, state.secrets, shown)
    return Shared(invitation, state.secrets, shown, own_shares), dealt


def check_keys(
    identity: Identity, invitation: Invitation, own: AdvertisedKeys, listed: KeyList
) -> tuple[WiredInvitation, ShownKeys]:
    """Step 1.1: U1 is large enough, holds my keys, and my neighbours' are signed by their owners.

    Returns the invitation with the graph that U1 draws, and what is known of its keys.

    Raises:
        Refused: the server forged, lost or repeated a key.
    """
    advertised, cohort = listed.advertised, invitation.start.description.cohort
    floor = invitation.floors.present
    if len(advertised) < floor:
        raise Refused(Refusal.COHORT_TOO_SMALL, f"{len(advertised)} advertised, floor {floor}")
    present = part_of("U1", advertised, "the cohort", set_of(cohort))
    if listed.keys.get(identity.me) != own:
        raise Refused(Refusal.OWN_KEYS_MISSING)
    shown = ShownKeys.of(listed, invitation.committee)
    graph = draw_graph(invitation.topology, invitation.transcript, cohort, shown.digest)
    peers = graph.among(identity.me, present)
    if listed.keys.keys() != {identity.me, *peers}:
        raise Refused(Refusal.KEYS_SUBSTITUTED, "keys of others than my neighbours")
    check_distinct(listed.keys)
    verify_keys(identity, invitation, peers, listed.keys)
    return WiredInvitation.of(invitation, graph), shown


def check_distinct(keys: Keys) -> None:
    """Raises Refused when one key stands in two places."""
    seen: set[bytes] = set()
    for client, advertised in keys.items():
        public = set(advertised.public_keys())
        if len(public) < 3 or public & seen:
            raise Refused(Refusal.KEY_REUSED, f"client {client}")
        seen |= public


def verify_keys(
    identity: Identity, invitation: Invitation, peers: Iterable[ClientId], keys: Keys
) -> None:
    """Whether ``keys`` of ``peers`` are signed by their owners over this T.

    Raises Refused: somebody else's keys, or keys with which no secret can be agreed.
    """
    for client in peers:
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
    identity: Identity, invitation: WiredInvitation, secrets: RoundSecrets, shown: ShownKeys
) -> tuple[Mapping[SecretKind, Share], DealtShares]:
    """Steps 1.2–1.4: shares of three secrets, sealed per holder, with signed salted hashes."""
    holders = tuple(sorted(shown.keys))
    dealing, own_shares = deal(
        invitation.transcript,
        identity.me,
        secrets.to_share(),
        holders,
        invitation.topology.shares,
        secrets.encryption,
        {client: keys.encryption for client, keys in shown.keys.items()},
        identity.entropy,
    )
    signature = identity.signing_key.sign(
        Tag.DEALING, invitation.transcript, *dealing.signed_parts()
    )
    return own_shares, DealtShares(
        dealing.ciphertexts, dealing.share_commitments, dealing.secret_commitments, signature
    )
