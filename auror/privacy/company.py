"""Who sits with whom: the chance that a chosen client's group holds (almost) only colluders.

Once the list of uploads is fixed, groups are a uniformly random permutation of it dealt into
⌊m/g⌋ groups whose sizes differ by at most one. A server that lies cannot choose the company of a
client (docs/protocol.md, phase 3); what is left to it are this draw, how few clients it lets into
the list before the draw, and giving up an attempt to see another draw. All chances per draw are
exact fractions of whole numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class GroupDraw:
    """One draw of groups.

    Raises:
        ValueError: too few members for one group, or more colluders than a chosen honest client
            leaves room for.
    """

    members: int
    """m: clients in the list of uploads."""
    colluders: int
    """c: those among them who tell the server everything."""
    group_size: int
    """g: no group is smaller."""

    def __post_init__(self) -> None:
        if not 0 < self.group_size <= self.members:
            raise ValueError(f"groups of {self.group_size} cannot be drawn from {self.members}")
        if not 0 <= self.colluders < self.members:
            raise ValueError(
                f"{self.colluders} colluders among {self.members}: at least one must be honest"
            )

    def sizes(self) -> dict[int, int]:
        """How many groups have which size."""
        groups = self.members // self.group_size
        size, larger = divmod(self.members, groups)
        found = {size: groups - larger, size + 1: larger}
        return {size: count for size, count in found.items() if count}

    def few_honest(self, others: int = 0) -> Fraction:
        """P(a chosen honest client has at most ``others`` honest clients beside it).

        It sits in a group of s with chance s/m per group of s; its s − 1 companions are drawn
        from the other m − 1 without replacement. 0 others: it is alone among colluders.
        """
        return sum(
            (
                Fraction(size * count, self.members) * self._beside(size - 1, others)
                for size, count in self.sizes().items()
            ),
            Fraction(0),
        )

    def expected_alone(self, others: int = 0) -> Fraction:
        """How many honest clients a draw puts so, on average: what a server that is after
        anybody gets, instead of one that is after a chosen client."""
        return (self.members - self.colluders) * self.few_honest(others)

    def _beside(self, companions: int, others: int) -> Fraction:
        """P(at most ``others`` of ``companions`` are honest): hypergeometric."""
        honest = self.members - 1 - self.colluders
        ways = sum(
            math.comb(honest, h) * math.comb(self.colluders, companions - h)
            for h in range(min(others, companions) + 1)
        )
        return Fraction(ways, math.comb(self.members - 1, companions))


def draws(cohort: int, fewest: int, colluders: int, group_size: int) -> Iterator[GroupDraw]:
    """Every draw that a server can bring about by leaving honest clients out of the list of
    uploads, down to the clients' floor of ``fewest``; all colluders stay in."""
    for members in range(max(fewest, group_size, colluders + 1), cohort + 1):
        yield GroupDraw(members, colluders, group_size)


def worst_draw(
    cohort: int, fewest: int, colluders: int, group_size: int, others: int = 0
) -> GroupDraw:
    """The one most likely to leave a chosen client with at most ``others`` honest companions.

    Not always the smallest list: one that divides evenly has smaller groups.

    Raises:
        ValueError: no list within the floor holds a group and an honest client.
    """
    found = max(
        draws(cohort, fewest, colluders, group_size),
        key=lambda draw: draw.few_honest(others),
        default=None,
    )
    if found is None:
        raise ValueError(
            f"no list of {fewest} to {cohort} clients, {colluders} of them colluders, fills a"
            f" group of {group_size}"
        )
    return found


def over_run(chance: Fraction, rounds: int, attempts: int = 1) -> float:
    """P(at least one draw of a run is such), for a server that uses every attempt of a round:
    it gives up an attempt whose draw it does not like, before anything is opened."""
    if chance >= 1:
        return 1.0
    return -math.expm1(rounds * attempts * math.log1p(-float(chance)))


def groups_lost(lost: float, group_size: int) -> float:
    """Share of groups that do not open when a fraction ``lost`` of the clients falls silent
    between upload and statistics: one missing member costs its whole group."""
    return -math.expm1(group_size * math.log1p(-lost)) if lost < 1 else 1.0
