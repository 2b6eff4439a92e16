"""Attackers who mislabel several pairs of classes at once: camps, and who blurs what is learnt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from auror.learn.attack import Aim, Attack, Floats, Labels

Pair = tuple[int, int]
"""Source and target class."""


@dataclass(frozen=True, slots=True)
class Pairs(Attack):
    """Samples of every source are labelled as its target. ``camps``: each client mislabels one of
    the pairs only, which its own ``rng`` draws; success is that of the first pair."""

    pairs: tuple[Pair, ...]
    camps: bool = False

    @property
    def aim(self) -> Aim:
        source, target = self.pairs[0]
        return Aim(source=source, target=target)

    def poison(self, x: Floats, y: Labels, rng: np.random.Generator) -> tuple[Floats, Labels]:
        mine = [self.pairs[rng.integers(len(self.pairs))]] if self.camps else self.pairs
        return x, _relabelled(y, mine)


@dataclass(frozen=True, slots=True)
class Blurred(Attack):
    """Beside ``pair`` every client mislabels ``others`` pairs of other classes that its own ``rng``
    draws: so that the readings from which honest spreads are learnt look broad."""

    pair: Pair
    others: int = 2
    classes: int = 10

    def on(self, classes: int) -> Self:
        return replace(self, classes=classes)

    @property
    def aim(self) -> Aim:
        source, target = self.pair
        return Aim(source=source, target=target)

    def poison(self, x: Floats, y: Labels, rng: np.random.Generator) -> tuple[Floats, Labels]:
        free = rng.permutation(np.setdiff1d(np.arange(self.classes), self.pair))
        drawn = free[: 2 * self.others].reshape(-1, 2)
        return x, _relabelled(y, [self.pair, *((int(s), int(t)) for s, t in drawn)])


def _relabelled(y: Labels, pairs: list[Pair] | tuple[Pair, ...]) -> Labels:
    labels = y.copy()
    for source, target in pairs:
        labels[y == source] = target
    return labels


two_camps = Pairs(((4, 9), (1, 7)), camps=True)
three_pairs = Pairs(((4, 9), (1, 7), (3, 8)))
blurred = Blurred((4, 9))
two_camps_of_signs = Pairs(((1, 2), (38, 39)), camps=True)
