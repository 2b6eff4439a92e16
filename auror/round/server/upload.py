"""Phase 2, the server: spool masked inputs, restore every r (docs/protocol.md steps 2.4–2.6)."""

from __future__ import annotations

from auror.errors import AbortReason, DropReason, PeerMisbehaved, RoundAborted
from auror.ids import ClientId
from auror.round.messages import Upload, UploadList
from auror.round.public import draw_committee, draw_groups, upload_digest, view_digest
from auror.round.server.context import RoundContext
from auror.secagg.instance import Instance, SecretKind


def take_upload(context: RoundContext, sender: ClientId, message: Upload) -> None:
    """Step 2.4: size, ring and digest of the payload, and the shares of everybody's r.

    Raises:
        PeerMisbehaved: any of them is wrong; nothing of the message is used.
    """
    sum_context = context.sum_context(Instance.UPDATE, context.plan.dim)
    try:
        sum_context.ring.check(message.payload, sum_context.length)
    except ValueError as error:
        raise PeerMisbehaved(sender, DropReason.MALFORMED, str(error)) from error
    if upload_digest(context.transcript, sender, message.payload) != message.digest:
        raise PeerMisbehaved(sender, DropReason.BAD_DIGEST)
    if not message.randomness.keys() <= set(context.progress.dealt):
        raise PeerMisbehaved(sender, DropReason.MALFORMED, "shares of strangers")
    context.collector.add(sender, SecretKind.RANDOMNESS, message.randomness)
    context.uploads[sender] = message.payload
    context.progress.digests[sender] = message.digest


def close(context: RoundContext) -> UploadList:
    """Steps 2.5–2.6: U3 is fixed; all r of U2 are known, of absentees too, so withholding one
    buys nothing. Groups, challenge and the view h follow."""
    progress = context.progress
    if len(progress.digests) < context.topology.fewest:
        raise RoundAborted(
            AbortReason.TOO_FEW_UPLOADED,
            f"{len(progress.digests)} of {context.topology.fewest}",
        )
    randomness = {
        dealer: context.collector.restore(dealer, SecretKind.RANDOMNESS).reveal()
        for dealer in progress.dealt
    }
    progress.digests = dict(sorted(progress.digests.items()))
    progress.public_seed = context.public_seed(context.transcript, randomness)
    progress.groups = draw_groups(progress.public_seed, progress.dealt, context.params.group_size)
    progress.committee = draw_committee(progress.public_seed, progress.dealt, context.topology)
    progress.plan = context.plan.with_challenge(progress.public_seed, context.params.challenge_rows)
    progress.view = view_digest(
        context.transcript,
        progress.keys,
        progress.dealt,
        randomness,
        progress.groups,
        progress.digests,
        progress.plan.digest(),
    )
    return UploadList(progress.digests, randomness)
