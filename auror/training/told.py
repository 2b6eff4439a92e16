"""What clients are told of a round that is over."""

from __future__ import annotations

from collections.abc import Iterable

from auror.ids import ClientId, GroupIndex
from auror.round.messages import RoundEnd
from auror.round.record import RoundRecord


def told_of(record: RoundRecord) -> RoundEnd:
    """The end of the round that left ``record``."""

    def members(groups: Iterable[GroupIndex]) -> tuple[ClientId, ...]:
        return tuple(sorted(client for index in groups for client in record.groups[index]))

    return RoundEnd(
        record.model,
        record.aborted,
        record.flagged,
        members(record.left_out),
        members(record.audited),
        record.excluded,
    )
