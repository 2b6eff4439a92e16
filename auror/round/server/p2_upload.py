"""Phase 2, the server: spool masked inputs (docs/protocol.md steps 2.4–2.5)."""

from __future__ import annotations

from auror.errors import AbortReason, DropReason, PeerMisbehaved, RoundAborted
from auror.ids import ClientId
from auror.round.messages import Upload, UploadList
from auror.round.public import upload_digest, uploads_digest
from auror.round.server.context import RoundContext


def take_upload(context: RoundContext, sender: ClientId, message: Upload) -> None:
    """Step 2.4: size, ring and digest of the payload.

    Raises:
        PeerMisbehaved: any of them is wrong; nothing of the message is used.
    """
    sum_context = context.update_context()
    try:
        sum_context.ring.check(message.payload, sum_context.length)
    except ValueError as error:
        raise PeerMisbehaved(sender, DropReason.MALFORMED, str(error)) from error
    if upload_digest(context.transcript, sender, message.payload) != message.digest:
        raise PeerMisbehaved(sender, DropReason.BAD_DIGEST)
    context.uploads[sender] = message.payload
    context.progress.digests[sender] = message.digest


def close(context: RoundContext) -> UploadList:
    """Step 2.5: U3 is fixed. Raises RoundAborted when it is too small."""
    progress = context.progress
    fewest = context.floors.present
    if len(progress.digests) < fewest:
        raise RoundAborted(AbortReason.TOO_FEW_UPLOADED, f"{len(progress.digests)} of {fewest}")
    progress.digests = dict(sorted(progress.digests.items()))
    progress.uploads = uploads_digest(
        context.transcript, progress.keys, progress.dealt, progress.digests
    )
    return UploadList(progress.digests)
