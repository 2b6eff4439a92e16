"""Phase 3a: one U3, with what everybody sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from lying import LIAR, VICTIM, exact, provokes, refuses
from rounds_kit import (
    Deployment,
    lacking,
    play,
)

from auror.errors import DropReason, Refusal
from auror.ids import ClientId, Digest
from auror.round.lists import AllDigests
from auror.round.messages import (
    MaskedStatistics,
    RandomnessShares,
    Upload,
    UploadList,
)


@provokes(Refusal.DIGEST_FORGED)
def test_own_upload_missing_or_a_proof_that_is_none(nine: Deployment) -> None:
    for change in (
        lambda m: lacking(m, VICTIM),
        lambda m: replace(m, proof=m.proof[:-1]),
        lambda m: replace(m, proof=(*m.proof, Digest(bytes(32)))),
    ):
        refuses(nine, Refusal.DIGEST_FORGED, UploadList, change)


@pytest.mark.parametrize("of", [VICTIM, LIAR])
def test_another_digest_at_any_place_is_another_set_of_uploads(
    nine: Deployment, of: ClientId
) -> None:
    """The victim signs it, nobody else does: it opens no r and sends no statistics. Its own digest
    it puts into the list itself."""

    def change(client: ClientId, message: Any) -> Any:
        if client != VICTIM or not isinstance(message, UploadList):
            return message
        digests = {c: m.digest for c, m in uploads.items()}
        return AllDigests({**digests, of: Digest(bytes(32))}).list_for(VICTIM)

    def note(client: ClientId, message: Any) -> Any:
        if isinstance(message, Upload):
            uploads[client] = message
        return message

    uploads: dict[ClientId, Upload] = {}
    played = play(nine, to_client=change, to_server=note)
    if of == VICTIM:  # the entries beside it are the true ones, and its own it knows better
        exact(played, nine)
        return
    assert played.dropped == {VICTIM: DropReason.BAD_SIGNATURE}
    assert VICTIM not in played.said(RandomnessShares)
    assert VICTIM not in played.said(MaskedStatistics)
    exact(played, nine)
