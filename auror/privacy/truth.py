"""What only a simulation knows: every client's own statistics and update, kept small.

A full update of every client in every round is too much to keep (30 clients × 60 rounds ×
50,000 entries: 366 MB). The account needs distances only, and a fixed count sketch keeps them:
E‖sketch(a) − sketch(b)‖² = ‖a − b‖², with relative standard deviation √(2/SKETCH_ENTRIES).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auror.ids import ClientId
from auror.round.label_rows import LabelRows
from auror.round.plan import CountSketch, OutputLayer, StatisticsPlan, is_challenge

SKETCH_ENTRIES = 1024
_FIXED_POINT = float(1 << 24)  # updates as integers, finer than any quantisation in use
_SKETCH_SEED = 0x617572  # any fixed value: the sketch is a ruler, not a secret

Update = NDArray[np.float32]
Small = NDArray[np.float32]
_Key = tuple[int, ClientId]


@dataclass
class TruthRecorder:
    """Filled by a simulation, round by round; read by ``auror.privacy.account``."""

    statistics: dict[_Key, NDArray[np.float64]] = field(default_factory=dict)
    """P·u without the challenge rows (those change every round), (k,). Label rows are
    divided by the size of their matrix, which is another one in every round."""
    inside: dict[_Key, Small] = field(default_factory=dict)
    """Sketch of the part of u that the statistics determine, (SKETCH_ENTRIES,)."""
    outside: dict[_Key, Small] = field(default_factory=dict)
    """Sketch of the rest of u."""
    sketch_fraction: float = 0.0
    """Largest rows / d of the plan's count sketches: the fraction of an update's energy that
    they determine. It is not part of ``inside`` and the account adds it as a bound."""

    def observe(
        self,
        index: int,
        plan: StatisticsPlan,
        updates: Mapping[ClientId, Update],
    ) -> None:
        """Keep what round ``index`` (RoundRecord.index) needs.

        Args:
            plan: the statistics plan of the round, with or without its challenge part.
            updates: (d,) of every client that uploaded.
        """
        stable = StatisticsPlan(plan.dim, tuple(p for p in plan.parts if not is_challenge(p)))
        sketched = sum(part.rows for part in plan.parts if isinstance(part, CountSketch))
        self.sketch_fraction = max(self.sketch_fraction, sketched / plan.dim)
        units = _units(stable)
        for client, update in updates.items():
            whole = np.rint(update.astype(np.float64) * _FIXED_POINT).astype(np.int64)
            exact = stable.apply(whole).view(np.int64)
            seen = determined(stable, update)
            self.statistics[index, client] = exact / (_FIXED_POINT * units)
            self.inside[index, client] = sketch(seen)
            self.outside[index, client] = sketch(update - seen)


def determined(plan: StatisticsPlan, update: Update) -> Update:
    """The part of ``update`` (d,) that P·update determines, count sketches aside, float32 (d,).

    That is its projection on the row space: the output layer's entries themselves, and for
    label rows the span of the class means M in every row of the output weights.
    """
    found = np.zeros_like(update)
    for part in plan.parts:
        if isinstance(part, OutputLayer):
            span = slice(part.offset, part.offset + part.length)
            found[span] = update[span]
        elif isinstance(part, LabelRows):
            span = slice(part.offset, part.offset + part.classes * part.hidden)
            means = part.matrix.astype(np.float64)
            left = (update[span] - found[span]).reshape(part.classes, part.hidden)
            onto = np.linalg.pinv(means) @ means
            found[span] += (left @ onto).reshape(-1).astype(np.float32)
    return found


def sketch(update: Update) -> Small:
    """The count sketch of (d,) in ``SKETCH_ENTRIES`` entries; exact when d is not larger."""
    if len(update) <= SKETCH_ENTRIES:
        return update.astype(np.float32)
    buckets, signs = _hashes(len(update))
    return np.bincount(buckets, signs * update, SKETCH_ENTRIES).astype(np.float32)


@functools.lru_cache(maxsize=4)
def _hashes(dim: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    rng = np.random.default_rng(_SKETCH_SEED)
    buckets = rng.integers(SKETCH_ENTRIES, size=dim)
    signs = np.where(rng.integers(2, size=dim) == 0, -1.0, 1.0).astype(np.float64)
    return buckets, signs


def _units(plan: StatisticsPlan) -> NDArray[np.float64]:
    units = [
        np.full(part.rows, max(float(np.linalg.norm(part.matrix)), 1.0))
        if isinstance(part, LabelRows)
        else np.ones(part.rows)
        for part in plan.parts
    ]
    return np.concatenate(units) if units else np.zeros(0)
