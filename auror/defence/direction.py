"""A verdict for statistics without labels: one direction that splits the cohort in two.

The output layer and the sketch have no classes and no sign, so nobody can say beforehand where an
attack will show. Decoded as in docs/defence.md, section 2, they give X̂ (clients, columns); its
leading principal direction is where the clients differ most, and cutting it exactly in two there
(``indicative.two_means``) accuses the smaller part. Two tests have to be passed first:

1. ``gap``: the centres of both parts are far apart for the spread within them.
2. ``standout``: the direction stands out of the spectrum of X̂. A gap alone is no evidence: in
   many columns an honest client with odd data owns a direction by itself, and its gap grows with
   every round, but the next client's direction is as long.

What this cannot see: two attacks in different directions at once, and attackers who are not fewer
than the honest clients.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from auror.defence.decode import Design, decode, mean_over_clients
from auror.defence.features import FeatureKind
from auror.defence.indicative import two_means
from auror.defence.ledger import Arranged, Ledger, arrange
from auror.defence.selection import VerdictParams
from auror.fields import default_of
from auror.ids import ClientId

Array = NDArray[np.float64]

_FEWEST_CLIENTS = 4
# Parts without any spread count as this far apart, not as infinitely far.
_SMALLEST_SPREAD = 1e-6


@dataclass(frozen=True, slots=True)
class DirectionParams:
    """Thresholds, set on seeds 200 to 211 of the default training, 30 clients.

    Nobody lies, 12 trainings of 60 rounds, five groupings each at g = 3, 5, 10: nobody flagged,
    strength at most 0.94. So few trainings only bound false alarms below about a quarter (95 %).
    3 to 12 lie, 12 trainings at g = 1 to 15: honest clients flagged in 0 of 60 runs with the output
    layer, 2 with a sketch of 512, 4 with one of 128.

    ``kind``: the columns looked at, OUTPUT or SKETCH.
    ``gap``: distance of the two centres, in pooled deviations within the parts.
    ``standout``: length of the leading principal direction of X̂, in lengths of the next.
    ``share``: how far a flagged client lies from the larger part's centre (0) towards the
    smaller part's (1): who lies between the parts waits for more rounds.
    ``min_rounds``, ``coverage``: as in ``VerdictParams``.
    """

    kind: FeatureKind
    gap: float = 5.0
    standout: float = 1.25
    share: float = 0.6
    min_rounds: int = default_of(VerdictParams, "min_rounds")
    coverage: float = default_of(VerdictParams, "coverage")

    def __post_init__(self) -> None:
        if not (self.gap > 0.0 and self.standout >= 1.0 and 0.0 < self.share < 1.0):
            raise ValueError("gap > 0, standout >= 1 and share between 0 and 1 are needed")
        if self.min_rounds < 1 or self.coverage < 0.0:
            raise ValueError("min_rounds and coverage must be positive")


@dataclass(frozen=True, slots=True)
class DirectionVerdict:
    """``scores``: position along the direction in pooled deviations from the larger part's
    centre, the smaller part on the positive side; 0 for who was in no opened group.
    ``gap`` and ``standout``: as measured; 0 while it is too early to judge.
    ``rounds``: the rounds it rests on."""

    flagged: frozenset[ClientId]
    scores: dict[ClientId, float]
    gap: float
    standout: float
    rounds: tuple[int, ...]
    params: DirectionParams

    @property
    def doubted(self) -> frozenset[ClientId]:
        """Nobody: this detector does not ask whether evidence is steady."""
        return frozenset()

    @property
    def cleared(self) -> frozenset[ClientId]:
        """Nobody: this detector never says that it has seen enough."""
        return frozenset()

    @property
    def strength(self) -> float:
        """The weaker of both tests in parts of its threshold; from ``required`` on it flags."""
        return min(self.gap / self.params.gap, self.standout / self.params.standout)

    @property
    def required(self) -> float:
        """What ``strength`` has to reach."""
        return 1.0

    def to_dict(self) -> dict[str, object]:
        """JSON-able form."""
        return {
            "flagged": sorted(int(client) for client in self.flagged),
            "scores": {str(int(client)): score for client, score in self.scores.items()},
            "gap": self.gap,
            "standout": self.standout,
            "strength": self.strength,
            "required": self.required,
            "rounds": list(self.rounds),
            "params": {**asdict(self.params), "kind": self.params.kind.value},
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """``positions`` (clients,): 0 at the larger part's centre, 1 at the smaller part's;
    ``smaller`` (clients,): bool; ``gap``, ``standout``: see ``DirectionParams``."""

    positions: Array
    smaller: NDArray[np.bool_]
    gap: float
    standout: float


def judge_direction(
    ledger: Ledger, params: DirectionParams, cohort: Iterable[ClientId]
) -> DirectionVerdict:
    """Verdict on ``cohort`` and on whoever else is in the ledger. Deterministic.

    Raises ValueError when the plan has no block of ``params.kind``.
    """
    block = ledger.block(params.kind)
    if block is None:
        raise ValueError(f"the statistics plan has no {params.kind.value} block")
    # Nobody is added: who was in no opened group has no estimate, and at zero would pull the split.
    seen_in = arrange(ledger, block, ())
    names = seen_in.round_indices
    seen = seen_in.clients
    scores = dict.fromkeys(sorted(set(cohort) | set(seen)), 0.0)
    if (
        len(names) < params.min_rounds
        or seen_in.equations < params.coverage * (len(seen) - 1)
        or len(seen) < _FEWEST_CLIENTS
    ):
        return DirectionVerdict(frozenset(), scores, 0.0, 0.0, names, params)
    cut = _cut(_estimate(seen_in))
    scores.update(zip(seen, (cut.positions * cut.gap).tolist(), strict=True))
    passed = cut.gap >= params.gap and cut.standout >= params.standout
    apart = cut.smaller & (cut.positions >= params.share)
    flagged = (client for client, far in zip(seen, apart, strict=True) if passed and far)
    return DirectionVerdict(frozenset(flagged), scores, cut.gap, cut.standout, names, params)


def _estimate(seen_in: Arranged) -> Array:
    """X̂ (clients, columns), every round in units of its own root mean square deviation.

    Statistics shrink while training converges, and no single round shall outweigh the rest.
    """
    values = []
    for mean, sizes in zip(seen_in.means, seen_in.sizes, strict=True):
        flat = mean.reshape(len(mean), -1)
        deviation = (flat - mean_over_clients(sizes, flat)) * np.sqrt(sizes)[:, None]
        unit = float(np.sqrt(np.mean(deviation**2)))
        values.append(deviation / unit if unit > 0.0 else deviation)
    return decode(Design(seen_in.groups, len(seen_in.clients)).gather(values)).estimate


def _cut(estimate: Array) -> _Cut:
    """Split the leading principal direction of ``estimate`` (clients, columns) in two."""
    n = len(estimate)
    centred = estimate - estimate.mean(axis=0)
    lengths, directions = np.linalg.eigh(centred @ centred.T)
    nobody = _Cut(np.zeros(n), np.zeros(n, dtype=bool), 0.0, 0.0)
    if lengths[-1] <= 0.0:
        return nobody
    # A single direction has no next one; then it stands out by 1 / the smallest spread.
    standout = np.sqrt(lengths[-1] / max(lengths[-2], _SMALLEST_SPREAD**2 * lengths[-1]))
    along = directions[:, -1:] * np.sqrt(lengths[-1])
    split = two_means(along)
    smaller, distance = split.smaller[:, 0], float(split.distance[0])
    if not smaller.any():
        return nobody
    home, away = along[~smaller, 0], along[smaller, 0]
    within = np.sum((home - home.mean()) ** 2) + np.sum((away - away.mean()) ** 2)
    spread = max(float(np.sqrt(within / (n - 2))), _SMALLEST_SPREAD * distance)
    positions = (along[:, 0] - home.mean()) / (away.mean() - home.mean())
    return _Cut(positions, smaller, distance / spread, float(standout))
