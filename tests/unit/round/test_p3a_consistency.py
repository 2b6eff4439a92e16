"""Phase 3a: one U3, with what everybody sent."""

from __future__ import annotations

from lying import LIAR, VICTIM, exact, lie, provokes, refuses
from rounds_kit import (
    Deployment,
    play,
)

from auror.errors import DropReason, Refusal
from auror.ids import Digest
from auror.round.messages import (
    MaskedStatistics,
    RandomnessShares,
    UploadList,
)


@provokes(Refusal.DIGEST_FORGED)
def test_own_upload_digest_forged_or_missing(nine: Deployment) -> None:
    for change in (
        lambda m: UploadList({**m.digests, VICTIM: Digest(bytes(32))}),
        lambda m: UploadList({c: v for c, v in m.digests.items() if c != VICTIM}),
    ):
        refuses(nine, Refusal.DIGEST_FORGED, UploadList, change)


def test_other_digest_of_a_peer_is_another_set_of_uploads(nine: Deployment) -> None:
    """The victim signs it, nobody else does: it opens no r and sends no statistics."""
    change = lie(UploadList, lambda m: UploadList({**m.digests, LIAR: Digest(bytes(32))}))
    played = play(nine, to_client=change)
    assert played.dropped == {VICTIM: DropReason.BAD_SIGNATURE}
    assert VICTIM not in played.said(RandomnessShares)
    assert VICTIM not in played.said(MaskedStatistics)
    exact(played, nine)
