"""``RoundRecord`` as one JSON object, and back."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from auror.errors import AbortReason, DropReason, Refusal
from auror.ids import ClientId, Digest, GroupIndex, RoundId
from auror.round.record import Mark, MarkKind, OpenedGroup, RoundRecord
from auror.round.watch import Watch

_TOTAL = np.dtype("<u8")


def record_to_json(record: RoundRecord) -> dict[str, Any]:
    """Bytes as hexadecimal, opened totals as base64 of little-endian uint64."""
    return {
        "index": record.index,
        "era": record.era,
        "round_id": {"counter": record.round_id.counter, "nonce": record.round_id.nonce.hex()},
        "attempt": record.attempt,
        "cohort": list(record.cohort),
        "dealt": list(record.dealt),
        "uploaded": list(record.uploaded),
        "sent": list(record.sent),
        "groups": [list(group) for group in record.groups],
        "opened": [
            {
                "group": int(group.index),
                "members": list(group.members),
                "total": base64.b64encode(group.total.astype(_TOTAL).tobytes()).decode(),
            }
            for group in record.opened
        ],
        "accepted_groups": list(record.accepted_groups),
        "accepted": list(record.accepted),
        "left_out": {str(index): why for index, why in sorted(record.left_out.items())},
        "flagged": list(record.flagged),
        "dropped": {str(client): why.name for client, why in sorted(record.dropped.items())},
        "aborted": None if record.aborted is None else record.aborted.name,
        "total_opened": record.total_opened,
        "model": record.model.hex(),
        "public_seed": record.public_seed.hex(),
        "watch": record.watch.name,
        "watched": record.watched,
        "audited": list(record.audited),
        "marks": [[mark.kind.name, list(mark.clients)] for mark in record.marks],
        "excluded": list(record.excluded),
        "withdrawn": {str(client): why.name for client, why in sorted(record.withdrawn.items())},
        "attempted": record.attempted,
        "statistics_asked": record.statistics_asked,
        "shares_asked": record.shares_asked,
        "interrupted": record.interrupted,
    }


def record_from_json(raw: Mapping[str, Any]) -> RoundRecord:
    """The inverse of :func:`record_to_json`; other keys of the line are passed over.

    Raises:
        ValueError: a field is missing or of the wrong kind.
    """
    try:
        return RoundRecord(
            index=int(raw["index"]),
            era=int(raw["era"]),
            round_id=RoundId(
                int(raw["round_id"]["counter"]), bytes.fromhex(raw["round_id"]["nonce"])
            ),
            attempt=int(raw["attempt"]),
            cohort=_clients(raw["cohort"]),
            dealt=_clients(raw["dealt"]),
            uploaded=_clients(raw["uploaded"]),
            sent=_clients(raw["sent"]),
            groups=tuple(_clients(group) for group in raw["groups"]),
            opened=tuple(
                OpenedGroup(
                    GroupIndex(int(group["group"])),
                    _clients(group["members"]),
                    np.frombuffer(base64.b64decode(group["total"]), dtype=_TOTAL).astype(np.uint64),
                )
                for group in raw["opened"]
            ),
            accepted_groups=tuple(GroupIndex(int(index)) for index in raw["accepted_groups"]),
            accepted=_clients(raw["accepted"]),
            left_out={GroupIndex(int(i)): str(why) for i, why in raw["left_out"].items()},
            flagged=_clients(raw["flagged"]),
            dropped={ClientId(int(i)): DropReason[why] for i, why in raw["dropped"].items()},
            aborted=None if raw["aborted"] is None else AbortReason[raw["aborted"]],
            total_opened=bool(raw["total_opened"]),
            model=Digest(bytes.fromhex(raw["model"])),
            public_seed=bytes.fromhex(raw["public_seed"]),
            watch=Watch[raw["watch"]],
            watched=bool(raw["watched"]),
            audited=tuple(GroupIndex(int(index)) for index in raw["audited"]),
            marks=tuple(Mark(MarkKind[kind], _clients(who)) for kind, who in raw["marks"]),
            excluded=_clients(raw["excluded"]),
            withdrawn={ClientId(int(i)): Refusal[why] for i, why in raw["withdrawn"].items()},
            attempted=bool(raw["attempted"]),
            statistics_asked=bool(raw["statistics_asked"]),
            shares_asked=bool(raw["shares_asked"]),
            interrupted=bool(raw["interrupted"]),
        )
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not a round record: {error!r}") from error


def _clients(values: Any) -> tuple[ClientId, ...]:
    return tuple(ClientId(int(value)) for value in values)
