"""AUROR as published, for statistics in the clear (g = 1).

Shen, Tople, Saxena: "AUROR: defending against poisoning attacks in collaborative deep learning
systems", ACSAC 2016, section 4. Every feature's values are clustered in two by 2-means. A
feature whose centres are further apart than α is *indicative*. A user who lies in the smaller
cluster for more than τ = 50 % of the indicative features is malicious.

Over several observed rounds, a feature's distance is the mean over the rounds, and a user's
share is taken over all (round, indicative feature) pairs; with one round this is the text above.
α has the features' units and moves with model and learning rate: ``calibrate_alpha`` takes it
from rounds that are known to be honest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.defence.features import FeatureBlock, FeatureKind
from auror.defence.indicative import indicative_features, two_means
from auror.defence.ledger import Ledger, RoundObservation
from auror.ids import ClientId
from auror.params import TAU

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PaperParams:
    """``alpha`` > 0 in the features' units; ``tau`` in (0, 1); ``kind``: the columns looked at."""

    alpha: float
    tau: float = TAU
    kind: FeatureKind = FeatureKind.OUTPUT

    def __post_init__(self) -> None:
        if not self.alpha > 0.0:
            raise ValueError("alpha must be positive")
        if not 0.0 < self.tau < 1.0:
            raise ValueError("tau must lie between 0 and 1")


@dataclass(frozen=True, slots=True)
class PaperVerdict:
    """``shares``: part of the indicative (round, feature) pairs with the client in the smaller
    cluster, in [0, 1]; ``indicative``: positions of the indicative features in the block;
    ``rounds``: the rounds looked at."""

    flagged: frozenset[ClientId]
    shares: dict[ClientId, float]
    indicative: tuple[int, ...]
    rounds: tuple[int, ...]
    params: PaperParams

    @property
    def doubted(self) -> frozenset[ClientId]:
        """Nobody: in the clear, no company can lie for a client."""
        return frozenset()

    @property
    def cleared(self) -> frozenset[ClientId]:
        """Nobody: this detector never says that it has seen enough."""
        return frozenset()

    @property
    def strength(self) -> None:
        """The published algorithm has no such number, nor one that it requires."""

    @property
    def required(self) -> None:
        """See ``strength``."""

    @property
    def scores(self) -> dict[ClientId, float]:
        """Score by client: its share."""
        return self.shares

    def to_dict(self) -> dict[str, object]:
        """JSON-able form."""
        return {
            "flagged": sorted(int(client) for client in self.flagged),
            "shares": {str(int(client)): share for client, share in self.shares.items()},
            "indicative": list(self.indicative),
            "rounds": list(self.rounds),
            "alpha": self.params.alpha,
            "tau": self.params.tau,
            "kind": self.params.kind.value,
        }


def judge_as_published(
    ledger: Ledger, params: PaperParams, cohort: Iterable[ClientId]
) -> PaperVerdict:
    """The published verdict on ``cohort``. Deterministic.

    Raises ValueError when a group has more than one member or the block is not in the plan.
    """
    block = ledger.block(params.kind)
    if block is None:
        raise ValueError(f"the statistics plan has no {params.kind.value} block")
    rounds = tuple(entry for entry in ledger.rounds if len(entry.groups) >= 2)
    splits = [two_means(_values(entry, block)) for entry in rounds]
    clients = set(cohort) | {m for entry in rounds for g in entry.groups for m in g.members}
    inside = dict.fromkeys(sorted(clients), 0)
    looked = dict.fromkeys(sorted(clients), 0)
    indicative = np.zeros(block.width, dtype=bool)
    if splits:
        distances = np.stack([split.distance for split in splits])
        indicative = indicative_features(distances, params.alpha)
    count = int(indicative.sum())
    for entry, split in zip(rounds, splits, strict=True):
        for row, group in enumerate(entry.groups):
            client = group.members[0]
            inside[client] += int(split.smaller[row, indicative].sum())
            looked[client] += count
    shares = {c: inside[c] / looked[c] if looked[c] else 0.0 for c in inside}
    return PaperVerdict(
        flagged=frozenset(client for client, share in shares.items() if share > params.tau),
        shares=shares,
        indicative=tuple(int(feature) for feature in np.flatnonzero(indicative)),
        rounds=tuple(entry.round_index for entry in rounds),
        params=params,
    )


def calibrate_alpha(honest: Ledger) -> float:
    """The smallest α that names no output-layer feature in rounds known to be honest (g = 1).

    Raises ValueError when there is no such round or block, or all centres coincide.
    """
    block = honest.block(FeatureKind.OUTPUT)
    rounds = [entry for entry in honest.rounds if len(entry.groups) >= 2]
    if block is None or not rounds:
        raise ValueError("no honest rounds with an output block to calibrate on")
    splits = [two_means(_values(entry, block)) for entry in rounds]
    alpha = float(np.mean([split.distance for split in splits], axis=0).max())
    if alpha <= 0.0:
        raise ValueError("the honest rounds have no spread to calibrate on")
    return alpha


def _values(entry: RoundObservation, block: FeatureBlock) -> Array:
    if any(len(group.members) != 1 for group in entry.groups):
        raise ValueError(
            f"round {entry.round_index} has groups of several clients; "
            "the published algorithm needs group_size = 1"
        )
    return np.stack([group.mean[block.start : block.stop] for group in entry.groups])
