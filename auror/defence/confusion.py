"""The label-confusion statistic, read for what an attack would leave in it (docs/defence.md §3).

A round opens Q′ = ΔW·Mᵀ (C, C): row a, column c reads "how far output a moved along what class c
looks like". It is read in two bases, and nothing more is opened for the second:

    plain    Q′ itself
    dual     Q = Q′(MMᵀ + λI)⁻¹, "how much looks like c and was labelled a"

Where classes look alike, the dual basis tells them apart at the price of noise; the plain one has
no such noise, and mixes them. Four families of readings, of which a client that mislabels moves
some, always upwards:

    Mislabelled(t, s)   dual Q[t, s]: samples of s were labelled t
    Margin(t, s)        dual Q[t, s] − Q[s, s]: and so fewer of them were labelled s
    Depleted(s)         plain −Q′[s, s]: fewer samples of s than others have were labelled s
    Against             −⟨Q̄, Q⟩: steps against what the cohort learns, not only less far than others

``Against`` fades as the model converges: its rounds are weighted by how far the cohort still moves.
Honest clients differ along Q̄: one with few samples takes fewer steps. Who attacks steps back, so it
is further away from the level than the level itself is from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.defence.decode import MEDIAN_TO_DEVIATION, mean_over_clients

Array = NDArray[np.float64]

_TINY = 1e-300
_RIDGE = 0.1


@dataclass(frozen=True, slots=True)
class Mislabelled:
    """``target``: the label given; ``source``: what the samples look like."""

    target: int
    source: int

    def __str__(self) -> str:
        return f"{self.source} labelled {self.target}"

    def mass(self, q: Array) -> Array:
        """How much is labelled so, in Q's units: (…, C, C) → (…,)."""
        mass: Array = q[..., self.target, self.source]
        return mass

    def whole(self, level: Array) -> float:
        """The most that could be labelled so: what the cohort's mean (C, C) learns of it."""
        return float(level[self.source, self.source])

    @property
    def parts(self) -> tuple[Mislabelled, ...]:
        """The label pairs that it consists of."""
        return (self,)


@dataclass(frozen=True, slots=True)
class Margin(Mislabelled):
    """The same, and what is labelled so is missed where it belongs."""


@dataclass(frozen=True, slots=True)
class Depleted:
    """Samples that look like ``source`` are labelled as something else."""

    source: int

    def __str__(self) -> str:
        return f"{self.source} labelled otherwise"

    @property
    def parts(self) -> tuple[Mislabelled, ...]:
        """None: where they went is another reading's to say."""
        return ()


@dataclass(frozen=True, slots=True)
class Against:
    """Steps against what the cohort learns: sign flips, inner-product manipulation."""

    def __str__(self) -> str:
        return "against the cohort's step"

    @property
    def parts(self) -> tuple[Mislabelled, ...]:
        """None."""
        return ()


Reading = Mislabelled | Depleted | Against


def dual_readout(means: Array) -> Array:
    """(MMᵀ + λI)⁻¹ of class means M (C, h): turns the opened ΔW·Mᵀ into Q, as (C, C)."""
    return dual_of(means @ means.T)


def dual_of(gram: Array) -> Array:
    """(MMᵀ + λI)⁻¹ of ``gram`` = MMᵀ (C, C).

    λ is a tenth of the mean squared row norm of M, so that it does not depend on how large
    activations are.
    """
    inverse: Array = np.linalg.inv(_ridged(gram)).astype(np.float64, copy=False)
    return inverse


def plain(q: Array, gram: Array) -> Array:
    """Q′ from Q: (…, C, C), inverse of ``@ dual_of(gram)``."""
    opened: Array = q @ _ridged(gram)
    return opened


def _ridged(gram: Array) -> Array:
    scale = float(np.trace(gram)) / len(gram)
    return gram + _RIDGE * scale * np.eye(len(gram))


def off_diagonal(classes: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Targets and sources of all C(C−1) label pairs, in the column order of the readings."""
    targets, sources = np.where(~np.eye(classes, dtype=bool))
    return targets, sources


def label_pairs(classes: int) -> tuple[Mislabelled, ...]:
    """All C(C−1) of them, in the order of :func:`off_diagonal`."""
    targets, sources = off_diagonal(classes)
    return tuple(Mislabelled(int(t), int(s)) for t, s in zip(targets, sources, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """Readings of one kind. ``values[r]`` (groups, readings): deviations from the round's level
    times √|G|, in units of the family's median deviation in that round. ``gains`` (rounds,): how
    loudly a round speaks of them. ``least``: effect below
    which nobody is an attacker, in those units."""

    readings: tuple[Reading, ...]
    values: list[Array]
    gains: Array
    least: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What every group of every round shows.

    ``mislabelled``, ``margins`` C(C−1) readings each, ``depleted`` C, ``against`` one.
    ``whole`` (C(C−1),): the most that any round of the run so far learns of each pair's source in
    the mean, as the values of ``mislabelled`` are in their units, mean over the rounds. A cohort
    that has learnt a class moves little for it, but clients differ as before.
    ``stride``: how far the cohort moves in a typical round of the run so far, as ``against.least``
    is of these rounds.
    ``resolution``: how well the dual basis tells the classes apart, the least part in (0, 1] of a
    class that it reads back as itself, mean over the rounds.
    ``classes`` (C, features): what is known of a class before looking at clients, standardised.
    ``skew``: how unevenly labels are dealt, the median variance on the dual diagonal over the
    median variance off it; medians, for an attack sits in few entries.
    """

    mislabelled: Family
    margins: Family
    depleted: Family
    against: Family
    whole: Array
    stride: float
    resolution: float
    classes: Array
    skew: float


@dataclass(frozen=True, slots=True, eq=False)
class RoundShown:
    """What the groups of one round show: deviations from its level as the families have them,
    (groups, readings), and what is known of the round's model."""

    mislabelled: Array
    margins: Array
    depleted: Array
    against: Array
    scatter: Array
    """(C, C): squared deviations of Q, sum over the groups, in the units of ``mislabelled``."""
    unit: float
    """Of ``mislabelled``, in Q's units."""
    moved: float
    """How far the cohort moves beyond chance, in that unit."""
    learnt: Array
    """(C,): what the cohort learns of every class, its level on the dual diagonal."""
    opened: Array
    """(C, C): the level of Q′."""
    gram: Array
    resolution: float
    """As :class:`Readings` has it, of this round."""


def look(
    means: Sequence[Array], grams: Sequence[Array | None], sizes: Sequence[Sequence[int]]
) -> list[RoundShown]:
    """Every round's groups through the readings of the module docstring.

    Args:
        means: ``means[r]`` (groups, C, C), group means of Q (dual basis).
        grams: ``grams[r]`` = MMᵀ (C, C) of the round's class means; None: taken for the identity.
        sizes: ``sizes[r]``, members per group.

    Units are medians over all groups and readings, so that a few attacked ones hardly move them,
    and they follow the statistics as they shrink while training converges.
    """
    return [_look(*entry) for entry in zip(means, grams, sizes, strict=True)]


def _look(mean: Array, gram: Array | None, sizes: Sequence[int]) -> RoundShown:
    classes = mean.shape[1]
    every = np.arange(classes)
    targets, sources = off_diagonal(classes)
    basis = np.eye(classes) if gram is None else gram
    level = mean_over_clients(sizes, mean)
    deviation = (mean - level) * np.sqrt(sizes)[:, None, None]
    entry = deviation[:, targets, sources]
    margin = entry - deviation[:, sources, sources]
    own = -plain(deviation, basis)[:, every, every]
    unit, length = _unit(entry), float(np.linalg.norm(level))
    scatter = np.square(deviation / unit).sum(axis=0)
    chance = float(scatter.sum()) / len(mean) / sum(sizes)
    along = -np.tensordot(deviation, level, axes=2) / (length + _TINY)
    return RoundShown(
        mislabelled=entry / unit,
        margins=margin / _unit(margin),
        depleted=own / _unit(own),
        against=along[:, None] / unit,
        scatter=scatter,
        unit=unit,
        moved=float(np.sqrt(max((length / unit) ** 2 - chance, 0.0))),
        learnt=level[every, every],
        opened=plain(level, basis),
        gram=basis,
        resolution=_resolution(basis),
    )


def read(run: Sequence[RoundShown], start: int = 0) -> Readings:
    """The rounds of ``run`` from ``start`` on, together."""
    rounds = run[start:]
    classes = len(rounds[0].learnt)
    _targets, sources = off_diagonal(classes)
    alike = np.ones(len(rounds))
    gains = np.array([entry.moved for entry in rounds])
    typical = float(np.sqrt(np.mean(gains**2)))
    scatter = np.sum([entry.scatter for entry in rounds], axis=0)
    own, others = np.diag(scatter), scatter[~np.eye(classes, dtype=bool)]
    units = np.array([entry.unit for entry in rounds])
    pairs = label_pairs(classes)
    return Readings(
        mislabelled=Family(pairs, [entry.mislabelled for entry in rounds], alike),
        margins=Family(
            tuple(Margin(p.target, p.source) for p in pairs),
            [entry.margins for entry in rounds],
            alike,
        ),
        depleted=Family(
            tuple(Depleted(source) for source in range(classes)),
            [entry.depleted for entry in rounds],
            alike,
        ),
        against=Family(
            (Against(),),
            [entry.against for entry in rounds],
            gains / typical if typical > 0.0 else alike,
            least=typical,
        ),
        whole=np.max([entry.learnt for entry in run], axis=0)[sources] * np.mean(1.0 / units),
        stride=float(np.sqrt(np.mean([entry.moved**2 for entry in run]))),
        resolution=float(np.mean([entry.resolution for entry in rounds])),
        classes=_known_of_classes(rounds),
        skew=float(np.median(own) / max(float(np.median(others)), _TINY)),
    )


def _resolution(gram: Array) -> float:
    return float(np.min(np.diag(gram @ dual_of(gram))))


def _unit(values: Array) -> float:
    return MEDIAN_TO_DEVIATION * float(np.median(np.abs(values))) or 1.0


def _known_of_classes(rounds: Sequence[RoundShown]) -> Array:
    """Per class, (C, 3): logarithms of how far its output moves, how much of that is its own, and
    how long its features are; means over the rounds."""
    moved = np.log(np.mean([np.abs(r.opened).mean(axis=1) for r in rounds], axis=0) + _TINY)
    mean_own = np.abs(np.mean([np.diag(r.opened) for r in rounds], axis=0))
    own = np.log(mean_own + _OWN_FLOOR * float(mean_own.mean()) + _TINY)
    long = np.log(np.mean([np.diag(r.gram) for r in rounds], axis=0) + _TINY)
    return np.column_stack([moved, own, long])


_OWN_FLOOR = 0.05  # of the mean: a class that hardly moves has no logarithm worth much
