"""How many honest members a group keeps when c of the n clients tell the server everything.

Colluders do not know the groups before they upload, so a group of m is a uniform draw without
replacement: its number of colluders is hypergeometric.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Collusion:
    """Over all openings of one run, for an assumed number of colluders."""

    colluders: int
    expected_fewest_honest: float
    """Expected minimum, over all opened groups that hold an honest member at all, of the honest
    members in it."""
    likely_fewest_honest: int
    """Median of that minimum."""
    single_honest_openings: float
    """Expected number of opened groups with exactly one honest member: what remains of the sum
    when the colluders subtract themselves is that member's statistics."""


def honest_members(cohort: int, group: int, colluders: int) -> list[float]:
    """P(exactly h honest members in a group), h = 0 … ``group``, for ``colluders`` of ``cohort``.

    Raises:
        ValueError: a group larger than the cohort, or colluders outside 0 … cohort.
    """
    if not 0 <= colluders <= cohort or not 0 < group <= cohort:
        raise ValueError(f"group of {group} with {colluders} colluders in a cohort of {cohort}")
    ways = math.comb(cohort, group)
    honest = cohort - colluders
    return [math.comb(honest, h) * math.comb(colluders, group - h) / ways for h in range(group + 1)]


def assess(openings: Iterable[tuple[int, int]], colluders: int) -> Collusion | None:
    """The account over ``openings``, pairs (cohort size, group size); None without openings.

    Groups are treated as independent draws. Those of one round are not quite (they share the
    colluders), which matters little: over rounds they are.
    """
    counted = Counter(openings)
    if not counted:
        return None
    largest = max(group for _, group in counted)
    at_least = [1.0] * (largest + 2)  # at_least[h] = P(every opening keeps >= h, or nobody)
    single = 0.0
    for (cohort, group), times in counted.items():
        mass = honest_members(cohort, group, min(colluders, cohort))
        single += times * mass[1]
        for h in range(1, largest + 2):
            at_least[h] *= (mass[0] + sum(mass[h:])) ** times
    return Collusion(
        colluders=colluders,
        expected_fewest_honest=sum(at_least[1:-1]),
        likely_fewest_honest=max(h for h in range(largest + 1) if at_least[h] >= 0.5),
        single_honest_openings=single,
    )
