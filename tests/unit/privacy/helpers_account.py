"""Rounds and truths made by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from auror.ids import ClientId, Digest, GroupIndex, RoundId
from auror.privacy.truth import TruthRecorder
from auror.round.record import OpenedGroup, RoundRecord
from auror.round.watch import Watch

ENTRIES = 40


def clients(count: int) -> tuple[ClientId, ...]:
    return tuple(ClientId(i) for i in range(count))


def record(
    index: int,
    groups: Sequence[Sequence[int]],
    *,
    accepted: Sequence[int] | None = None,
    model: bytes | None = None,
    entries: int = ENTRIES,
) -> RoundRecord:
    """One finished round; ``accepted`` are group positions (all of them by default)."""
    members = [tuple(ClientId(i) for i in sorted(group)) for group in groups]
    cohort = tuple(sorted(c for group in members for c in group))
    kept = tuple(GroupIndex(g) for g in (range(len(groups)) if accepted is None else accepted))
    return RoundRecord(
        index=index,
        era=0,
        round_id=RoundId(index + 1, bytes(16)),
        attempt=0,
        cohort=cohort,
        dealt=cohort,
        uploaded=cohort,
        sent=cohort,
        groups=tuple(members),
        opened=tuple(
            OpenedGroup(GroupIndex(g), group, np.zeros(entries, dtype=np.uint64))
            for g, group in enumerate(members)
        ),
        accepted_groups=kept,
        accepted=tuple(sorted(c for g in kept for c in members[g])),
        left_out={},
        flagged=(),
        dropped={},
        aborted=None,
        total_opened=True,
        model=Digest(model if model is not None else bytes([index + 1]) * 32),
        public_seed=bytes(32),
        watch=Watch.ALWAYS,
        watched=True,
    )


def drawn_groups(rng: np.random.Generator, count: int, size: int) -> list[list[int]]:
    order = rng.permutation(count).tolist()
    return [order[i : i + size] for i in range(0, count, size)]


def truth(
    records: Sequence[RoundRecord], own: NDArray[np.float64], noise: float, seed: int
) -> TruthRecorder:
    """Statistics and updates: a part common to the round, the client's own, and noise."""
    rng = np.random.default_rng(seed)
    made = TruthRecorder()
    for item in records:
        common = rng.normal(size=own.shape[1])
        for client in item.uploaded:
            vector = common + own[client] + noise * rng.normal(size=own.shape[1])
            made.statistics[item.index, client] = vector
            made.inside[item.index, client] = np.zeros(own.shape[1], dtype=np.float32)
            made.outside[item.index, client] = vector.astype(np.float32)
    return made
