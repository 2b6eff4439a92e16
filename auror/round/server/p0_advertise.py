"""Phase 0, the server: collect signed keys (docs/protocol.md steps 0.5–0.6)."""

from __future__ import annotations

from auror.crypto.kex import check_public_key
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
from auror.round.messages import AdvertisedKeys, KeyList
from auror.round.public import draw_graph
from auror.round.server.context import RoundContext


def take_keys(context: RoundContext, sender: ClientId, keys: AdvertisedKeys) -> None:
    """Step 0.5.

    Raises:
        PeerMisbehaved: not signed over this T, as by a client that was given another model; or
            a key that somebody else advertised, or that no secret can be agreed with.
    """
    try:
        verify(
            context.policy.verify_key(sender),
            keys.signature,
            Tag.ADVERTISE,
            context.transcript,
            *keys.signed_parts(),
        )
    except AuthenticationFailed as error:
        raise PeerMisbehaved(sender, DropReason.BAD_SIGNATURE, "advertised keys") from error
    wanted, cohort = keys.floors, len(context.description.cohort)
    if max(wanted.present, wanted.accepted) > cohort or wanted.group > context.params.group_size:
        raise PeerMisbehaved(sender, DropReason.MALFORMED, "floors that this round cannot meet")
    own = keys.public_keys()
    others = {key for other in context.progress.keys.values() for key in other.public_keys()}
    if len(set(own)) < 3 or others & set(own):
        raise PeerMisbehaved(sender, DropReason.MALFORMED, "a key is not its own")
    try:
        for key in own:
            check_public_key(key)
    except AuthenticationFailed as error:
        raise PeerMisbehaved(sender, DropReason.MALFORMED, "a degenerate key") from error
    context.progress.keys[sender] = keys


def close(context: RoundContext) -> KeyList:
    """Steps 0.6–0.7: U1 is fixed. Raises RoundAborted below the threshold."""
    keys = context.progress.keys
    fewest = context.floors.present
    if len(keys) < fewest:
        raise RoundAborted(AbortReason.TOO_FEW_ADVERTISED, f"{len(keys)} of {fewest}")
    context.progress.graph = draw_graph(
        context.topology, context.transcript, context.description.cohort, keys
    )
    return KeyList(dict(sorted(keys.items())))
