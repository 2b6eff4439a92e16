"""What a round leaves behind of how far it got."""

from __future__ import annotations

from dataclasses import replace

from rounds_kit import Deployment

from auror.errors import AbortReason, DropReason
from auror.ids import ClientId, GroupIndex
from auror.round.description import model_digest
from auror.round.record import Mark, MarkKind, RoundRecord
from auror.round.summary import RoundSummary

KIT = Deployment(4)
DESCRIPTION = KIT.start(counter=7, attempt=1).description
MODEL = model_digest(KIT.model(0))


def clients(*numbers: int) -> tuple[ClientId, ...]:
    return tuple(map(ClientId, numbers))


FAILED = RoundSummary(
    attempted=True,
    dealt=clients(0, 1, 2, 3),
    uploaded=clients(0, 1, 2, 3),
    public_seed=b"s",
    groups=(clients(0, 2), clients(1, 3)),
    sent=clients(0, 1, 2),
    accepted_groups=(GroupIndex(0),),
    accepted=clients(0, 2),
    left_out={GroupIndex(1): "not whole"},
    unmasking=True,
    total_opened=True,
    dropped={ClientId(3): DropReason.SILENT},
    marks=(Mark(MarkKind.PAIR, clients(0, 2)),),
)


def record_of(summary: RoundSummary) -> RoundRecord:
    return RoundRecord.of(
        summary,
        DESCRIPTION,
        index=5,
        aborted=AbortReason.BINDING_FAILED,
        model=MODEL,
        excluded=clients(0),
    )


def test_a_round_that_failed_late_keeps_all_its_sets() -> None:
    record = record_of(FAILED)
    assert (record.index, record.era, record.attempt, record.round_id.counter) == (5, 0, 1, 7)
    assert record.cohort == DESCRIPTION.cohort
    assert (record.uploaded, record.sent) == (FAILED.uploaded, FAILED.sent)
    assert (record.accepted_groups, record.accepted) == ((0,), (0, 2))
    assert (record.left_out, record.dropped) == (FAILED.left_out, FAILED.dropped)
    assert (record.marks, record.excluded) == (FAILED.marks, (0,))
    assert (record.flagged, record.audited) == ((), ())


def test_nobody_is_in_a_total_that_was_not_opened() -> None:
    record = record_of(replace(FAILED, total_opened=False))
    assert (record.accepted_groups, record.accepted) == ((), ())


def test_uploads_count_once_their_groups_are_drawn() -> None:
    assert record_of(replace(FAILED, groups=(), total_opened=False)).uploaded == ()
