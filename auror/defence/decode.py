"""From group sums over many rounds to evidence about single clients.

Model (docs/defence.md, section 2). In round r, group G, one column:

    S_rG = m_r + (1/|G|) Σ_{i∈G} (γ_r x_i + e_ir),    x_i ~ (0, τ²),  e_ir ~ (0, σ²)

m_r is the round's own level, x_i what client i brings every time (its data do not change), e_ir
what changes from round to round, and γ_r how loudly round r speaks of x (1 unless said
otherwise). Multiplying by √|G| gives equal noise σ²; m_r is projected out. What is left are the
sufficient statistics F = AᵀA and H = AᵀY, and the ratio ρ = τ²/σ² is found by restricted maximum
likelihood over all columns together: regularised least squares whose regulariser is learnt
instead of guessed.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auror.defence.ledger import RoundObservation
from auror.ids import ClientId

Array = NDArray[np.float64]

_RANK_TOLERANCE = 1e-8
_RATIO_GRID = np.exp(np.linspace(np.log(0.02), np.log(200.0), 40))
_TINY = 1e-300
MEDIAN_TO_DEVIATION = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


class Design:
    """Who was in which group of which round: A, levels projected out. Built once for all columns
    of which the rounds speak equally loudly.

    ``gram`` (n, n) = AᵀA; ``freedom``: number of group sums less the levels.
    """

    def __init__(
        self, groups: Sequence[Sequence[Sequence[int]]], clients: int, gains: Array | None = None
    ) -> None:
        """``groups[r][G]``: member positions; ``gains`` (rounds,): γ, all 1 by default."""
        self._gains = np.ones(len(groups)) if gains is None else gains
        self._roots = [np.sqrt([len(group) for group in entry]) for entry in groups]
        self._places = [_places(entry, clients) for entry in groups]
        self.gram = _gram(self._gains, groups, clients)
        self.freedom = sum(len(entry) - 1 for entry in groups)

    def gather(self, values: Sequence[Array]) -> Evidence:
        """``values[r]`` (groups, columns): group means times √|G| (equal noise)."""
        columns = values[0].shape[1] if values else 0
        moment, total = np.zeros((len(self.gram), columns)), np.zeros(columns)
        rounds = zip(self._gains, self._roots, self._places, values, strict=True)
        for gain, root, places, value in rounds:
            centred = without_level(root, value)
            # Aᵀ Y; taking the level out of A as well would change nothing
            own = np.vstack([centred * (gain / root)[:, None], np.zeros(columns)])
            moment += own[places]
            total += np.einsum("ge,ge->e", centred, centred)
        return Evidence(self, moment, total)

    @functools.cached_property
    def axes(self) -> tuple[Array, Array]:
        """Eigenvalues of AᵀA above zero (rank,), and their vectors (n, rank)."""
        values, vectors = np.linalg.eigh(self.gram)
        keep = values > _RANK_TOLERANCE
        return values[keep], vectors[:, keep]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Sufficient statistics of some columns: ``moment`` (n, columns) = AᵀY; ``total`` (columns,) =
    Σ Y²."""

    design: Design
    moment: Array
    total: Array

    @property
    def freedom(self) -> int:
        """Of each column's sums."""
        return self.design.freedom

    def along(self) -> tuple[Array, Array, Array]:
        """The design's axes, and the sums along them (rank, columns)."""
        d, basis = self.design.axes
        return d, basis, (basis.T @ self.moment) / np.sqrt(d)[:, None]


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """What the sums say of the clients, whatever one believes of them, and how they differ.

    ``precision`` Λ (n, n) and ``shift`` h (columns, n): the likelihood of x in units of the
    honest spread, exp(−½ xᵀΛx + hᵀx) up to a constant. Λ·1 = 0 when every round's level is free:
    only differences between clients are seen.
    ``honest_spread``: τ; ``ratio``: ρ.
    """

    precision: Array
    shift: Array
    honest_spread: float
    ratio: float

    @property
    def estimate(self) -> Array:
        """Best linear prediction of x, (n, columns), in the columns' units."""
        believed = self.precision + np.eye(len(self.precision))
        return np.asarray(self.honest_spread * np.linalg.solve(believed, self.shift.T))

    def columns(self, chosen: slice) -> Decoded:
        """Some of the columns, decoded together with all."""
        return replace(self, shift=self.shift[chosen])


def _places(groups: Sequence[Sequence[int]], clients: int) -> NDArray[np.intp]:
    """Which of ``groups`` each client is in (clients,); after the last: in none."""
    places = np.full(clients, len(groups))
    for number, members in enumerate(groups):
        places[list(members)] = number
    return places


def assignment(groups: Sequence[Sequence[int]], clients: int) -> Array:
    """A_r, shape (groups, clients), float64: row G has 1/|G| at the members of G."""
    matrix = np.zeros((len(groups), clients))
    for row, members in enumerate(groups):
        matrix[row, list(members)] = 1.0 / len(members)
    return matrix


def without_level(root: Array, values: Array) -> Array:
    """Take out the round's level m_r, which is common to its groups.

    ``root`` (groups,): √|G|; ``values`` (groups, columns): group means times ``root``.
    """
    level = root / np.linalg.norm(root)
    left: Array = values - np.outer(level, level @ values)
    return left


def mean_over_clients(sizes: Sequence[int], means: Array) -> Array:
    """A round's level: the mean over all clients of its groups' ``means`` (groups, …)."""
    weight = np.asarray(sizes, dtype=np.float64)
    level: Array = np.tensordot(weight, means, axes=(0, 0)) / weight.sum()
    return level


def _gram(gains: Array, groups: Sequence[Sequence[Sequence[int]]], clients: int) -> Array:
    """AᵀA (n, n): a round of N adds γ²/|G| for companions, and takes γ²/N from whoever is there."""
    every = [(gain, group) for gain, entry in zip(gains, groups, strict=True) for group in entry]
    if not every:
        return np.zeros((clients, clients))
    sizes = np.array([len(group) for _, group in every])
    members = np.concatenate([group for _, group in every])
    # every member beside each of its group, itself among them
    company = np.repeat(sizes, sizes)
    one, first = np.repeat(members, company), np.repeat(np.cumsum(sizes) - sizes, sizes)
    within = np.arange(len(one)) - np.repeat(np.cumsum(company) - company, company)
    other = members[np.repeat(first, company) + within]
    weight = np.repeat([gain**2 / len(group) for gain, group in every], sizes**2)
    together = np.bincount(one * clients + other, weight, clients**2).reshape(clients, clients)
    present = np.zeros((len(groups), clients))
    for row, entry, gain in zip(present, groups, gains, strict=True):
        there = [client for group in entry for client in group]
        row[there] = gain / np.sqrt(len(there))
    gram: Array = together - present.T @ present
    return gram


def round_design(groups: Sequence[Sequence[int]], clients: int, gain: float = 1.0) -> Array:
    """One round's rows of A, (groups, clients): γ_r √|G| times the assignment, level taken out."""
    root = np.sqrt([len(members) for members in groups])
    return gain * without_level(root, assignment(groups, clients) * root[:, None])


def decode(evidence: Evidence) -> Decoded:
    """Restricted maximum likelihood for ρ, then generalised least squares (module docstring)."""
    d, basis, seen = evidence.along()
    rank, columns = seen.shape
    if rank == 0 or columns == 0:
        n = len(basis)
        return Decoded(np.zeros((n, n)), np.zeros((columns, n)), 0.0, 0.0)
    power = np.mean(seen**2, axis=1)
    rest = max(float(np.mean(evidence.total - np.sum(seen**2, axis=0))), 0.0)
    freedom = max(evidence.freedom, rank)
    inflation = d[None, :] * _RATIO_GRID[:, None] + 1.0
    noise = ((power / inflation).sum(axis=1) + rest) / freedom
    likelihood = -0.5 * (np.log(inflation).sum(axis=1) + freedom * np.log(noise + _TINY))
    best = int(np.argmax(likelihood))
    ratio, sigma2 = float(_RATIO_GRID[best]), float(noise[best]) + _TINY
    spread = float(np.sqrt(ratio * sigma2))
    return Decoded(
        precision=ratio * evidence.design.gram,
        shift=ratio / spread * evidence.moment.T,
        honest_spread=spread,
        ratio=ratio,
    )


def inequality(evidence: Evidence) -> float:
    """How unequal the columns are: standard deviation of the logarithm of a sum's deviation, from
    the median so that a few attacked columns hardly move it, beyond what chance makes of it."""
    logs = 0.5 * np.log(evidence.total / max(evidence.freedom, 1) + _TINY)
    apart = MEDIAN_TO_DEVIATION * float(np.median(np.abs(logs - np.median(logs))))
    chance = _trigamma(max(evidence.freedom, 1) / 2.0) / 4.0
    return float(np.sqrt(max(apart**2 - chance, 0.0)))


def _trigamma(x: float) -> float:
    """Variance of the logarithm of a gamma variable of shape ``x``; to a hundredth from 2 on."""
    return 1.0 / x + 1.0 / (2.0 * x**2) + 1.0 / (6.0 * x**3)


@dataclass(frozen=True, slots=True, eq=False)
class EachDecoded:
    """As ``Decoded``, every column with a noise of its own and x in units of that noise.

    ``precision`` Λ (n, n) = AᵀA; ``shift`` h (columns, n); ``noise`` σ (columns,).
    ``eigenvalues`` (rank,) of AᵀA above zero, and the sums along its eigenvectors in units of σ,
    ``seen`` (rank, columns).
    """

    precision: Array
    shift: Array
    noise: Array
    eigenvalues: Array
    seen: Array

    def at_least(self, noise: float) -> EachDecoded:
        """The same as if no column had less noise than ``noise``."""
        more = np.maximum(noise / self.noise, 1.0)
        return replace(
            self, shift=self.shift / more[:, None], noise=self.noise * more, seen=self.seen / more
        )

    def spread_likelihood(self, spreads: Array) -> Array:
        """Log likelihood of every honest spread τ/σ in ``spreads``, (spreads, columns)."""
        inflation = 1.0 + self.eigenvalues[None, :] * spreads[:, None] ** 2
        shown = np.log(inflation).sum(axis=1)[:, None] + (1.0 / inflation) @ self.seen**2
        log: Array = -0.5 * shown
        return log


_NOISE_PRIOR = 10.0  # degrees of freedom with which the median column's noise counts for each


def decode_each(evidence: Evidence) -> EachDecoded:
    """Each column's noise from what no clients explain, drawn towards the median column's."""
    d, _basis, seen = evidence.along()
    left = max(evidence.freedom - len(d), 0)
    rest = np.maximum(evidence.total - np.sum(seen**2, axis=0), 0.0)
    if left:
        typical = float(np.exp(np.median(np.log(rest / left + _TINY))))
    else:
        typical = float(np.median(evidence.total)) / max(evidence.freedom, 1)
    noise = np.sqrt((rest + _NOISE_PRIOR * typical) / (left + _NOISE_PRIOR)) + _TINY
    return EachDecoded(evidence.design.gram, (evidence.moment / noise).T, noise, d, seen / noise)


def client_leverage(rounds: Sequence[RoundObservation], clients: Sequence[ClientId]) -> Array:
    """Diagonal of A⁺A over all rounds, shape (clients,), each in [0, 1].

    1 means the opened sums determine this client's mean statistic; in one round it is 1/|G|.
    """
    position = {client: row for row, client in enumerate(clients)}
    rows = [
        assignment([[position[member] for member in group.members]], len(clients))
        for entry in rounds
        for group in entry.groups
    ]
    if not rows:
        return np.zeros(len(clients))
    stacked = np.concatenate(rows)
    projection = np.linalg.pinv(stacked) @ stacked
    return np.clip(np.diag(projection), 0.0, 1.0)
