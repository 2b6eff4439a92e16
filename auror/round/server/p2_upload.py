"""Phase 2, the server: spool masked inputs (docs/protocol.md steps 2.4–2.5)."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from auror.errors import AbortReason, DropReason, PeerMisbehaved
from auror.ids import ClientId, Digest
from auror.round.lists import AllDigests
from auror.round.messages import Upload, UploadList
from auror.round.public import upload_digest, uploads_digest
from auror.round.server.context import Phase, RoundContext
from auror.round.server.p0_advertise import Wired
from auror.round.server.p1b_receipts import Dealers, WithDealers


@dataclass(frozen=True)
class Uploading(WithDealers):
    """U2 is fixed, masked inputs come in. From here on clients count an attempt at this model."""

    phase: ClassVar[Phase] = Phase.UPLOAD
    digests: dict[ClientId, Digest] = field(default_factory=dict)


@dataclass(frozen=True)
class Uploads:
    """U3."""

    digests: Mapping[ClientId, Digest]
    digest: Digest
    """What clients sign in phase 3a."""
    listed: AllDigests = field(compare=False, repr=False)


@dataclass(frozen=True)
class WithUploads(WithDealers):
    """Every state from phase 3a on."""

    uploads: Uploads


def prepare(context: RoundContext, sender: ClientId, message: Upload) -> None:
    """Hash the payload before :func:`take_upload`, in any thread; no payload is kept for it."""
    digest = upload_digest(context.transcript, sender, message.payload)
    context.hashed[sender] = weakref.ref(message), digest


def _digest_of(context: RoundContext, sender: ClientId, message: Upload) -> Digest:
    known = context.hashed.pop(sender, None)
    if known is not None and known[0]() is message:
        return known[1]
    return upload_digest(context.transcript, sender, message.payload)


def take_upload(context: RoundContext, state: Uploading, sender: ClientId, message: Upload) -> None:
    """Step 2.4: size, ring and digest of the payload.

    Raises:
        PeerMisbehaved: any of them is wrong; nothing of the message is used.
    """
    sum_context = context.update_context()
    try:
        sum_context.ring.check(message.payload, sum_context.length)
    except ValueError as error:
        raise PeerMisbehaved(sender, DropReason.MALFORMED, str(error)) from error
    if _digest_of(context, sender, message) != message.digest:
        raise PeerMisbehaved(sender, DropReason.BAD_DIGEST)
    context.uploads[sender] = message.payload
    state.digests[sender] = message.digest


def close(context: RoundContext, state: Uploading) -> tuple[Uploads, dict[ClientId, UploadList]]:
    """Step 2.5: U3 is fixed, and each of it told so. Raises RoundAborted when it is too small."""
    uploads = fix(context, state.wired, state.dealers, state.digests)
    return uploads, {client: uploads.listed.list_for(client) for client in uploads.digests}


def fix(
    context: RoundContext, wired: Wired, dealers: Dealers, received: Mapping[ClientId, Digest]
) -> Uploads:
    """U3 from the digests of what arrived. Raises RoundAborted when it is too small."""
    context.require_present(len(received), AbortReason.TOO_FEW_UPLOADED)
    digests = dict(sorted(received.items()))
    listed = AllDigests(digests)
    statement = uploads_digest(
        context.transcript, wired.listed.digest, dealers.dealt, tuple(digests), listed.root
    )
    return Uploads(digests, statement, listed)
