"""The binding check: what was tested sums to what is applied, bit for bit."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from auror.errors import AbortReason, RoundAborted
from auror.round.plan import StatisticsPlan
from auror.round.record import OpenedGroup
from auror.secagg.instance import Ring, UInt


def mask_image(plan: StatisticsPlan, ring: Ring, values: UInt) -> UInt:
    """P·values modulo 2^m, (k,): what survives of a sum that is known modulo 2^m only."""
    image = plan.apply(values.astype(np.int64)) & np.uint64((1 << ring.bits) - 1)
    return image.astype(ring.dtype)


def check_binding(
    plan: StatisticsPlan, total: UInt, accepted: Iterable[OpenedGroup]
) -> NDArray[np.int64]:
    """Lift the accepted total to integers and require P·total = Σ accepted group sums mod 2^64.

    Modulo 2^64, not modulo the update's ring: that would bind only the low bits.

    Returns:
        The lifted total, int64 (d,).

    Raises:
        RoundAborted: some accepted client's statistics are not those of its update.
    """
    lifted = total.astype(np.int64)
    claimed = np.zeros(plan.rows, dtype=np.uint64)
    for group in accepted:
        claimed += group.total
    wrong = int((plan.apply(lifted) != claimed).sum())
    if wrong:
        raise RoundAborted(AbortReason.BINDING_FAILED, f"{wrong} of {plan.rows} statistics")
    return lifted
