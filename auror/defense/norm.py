"""The in-round norm test on the challenge sketch: nobody could prepare for its rows (DESIGN §3).

It looks for groups whose update is out of all proportion, and may only leave a group out of one
round: its evidence is not bound when it is asked.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIN_GROUPS = 4
"""With fewer groups there is no majority to compare with."""
MAX_RATIO = 6.0
"""A group this many times further out than the median group is implausible. Honest groups reach
about 2 (docs/defence.md); an update must be g times larger than that to matter in a mean."""


def implausible_groups(
    means: NDArray[np.float64], sizes: NDArray[np.int64]
) -> tuple[int, ...]:
    """Positions of the groups whose challenge sketch is out of proportion.

    Args:
        means: group means of the challenge sketch, (groups, rows).
        sizes: members of each group, (groups,).
    """
    if len(means) < MIN_GROUPS or not means.shape[1]:
        return ()
    centre = np.median(means, axis=0)
    # the mean of m independent updates scatters with 1/√m
    distance = np.linalg.norm(means - centre, axis=1) * np.sqrt(sizes)
    typical = float(np.median(distance))
    if typical <= 0:
        return ()
    return tuple(int(k) for k in np.flatnonzero(distance > MAX_RATIO * typical))
