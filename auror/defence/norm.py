"""Is one group's update far larger than the others'? From the round's challenge sketch.

A count sketch keeps squared norms up to a relative error of about √(2/width), and its seed is
drawn after all uploads are fixed, so nobody can hide from it. A group that fails is left out of
*this* round only: nobody is flagged for it, since the challenge does not repeat.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from auror.defence.decode import MEDIAN_TO_DEVIATION
from auror.defence.features import FeatureBlock, FeatureKind
from auror.defence.ledger import RoundObservation
from auror.ids import GroupIndex


@dataclass(frozen=True, slots=True)
class NormParams:
    """``factor``: how many times the median norm a group must exceed; ``z``: and by how many
    robust standard deviations of the logarithm."""

    factor: float = 3.0
    z: float = 6.0


def oversized_groups(
    observation: RoundObservation, block: FeatureBlock, params: NormParams
) -> tuple[GroupIndex, ...]:
    """Positions of the groups whose mean update is implausibly large in this round.

    Fewer than three groups have no majority to compare with: none is named. Never names half of
    the groups or more. Raises ValueError when ``block`` is not a challenge sketch.
    """
    if block.kind is not FeatureKind.CHALLENGE:
        raise ValueError("the norm test reads the challenge sketch")
    if len(observation.groups) < 3:
        return ()
    norms = np.array(
        [np.linalg.norm(group.mean[block.start : block.stop]) for group in observation.groups]
    )
    middle = float(np.median(norms))
    if middle <= 0.0:
        return ()
    logs = np.log(np.maximum(norms, 1e-12 * middle) / middle)
    # The sketch itself scatters log norms by about 1/√(2·width): no group is judged finer.
    scale = max(
        MEDIAN_TO_DEVIATION * float(np.median(np.abs(logs))), 1.0 / math.sqrt(2.0 * block.width)
    )
    limit = max(math.log(params.factor), params.z * scale)
    return tuple(GroupIndex(int(row)) for row in np.flatnonzero(logs > limit))
