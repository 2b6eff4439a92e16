"""How a cohort is wired for one round: neighbours, thresholds, committee, dropouts it survives.

Server and clients compute it from the same three numbers, so neither takes the other's word.
docs/topology.md derives every condition.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from auror.errors import ConfigError
from auror.secagg.calculator import ETA, SIGMA, fewest_marked, most_marked

GRINDING_BITS = 40
"""The ring's order is a hash of the advertised keys, of which an active server chooses whom to
list, and the committee one of T, whose nonce the server draws: every try costs a hash, so bounds
on both are this much stronger."""

WORTH_IT = 100
"""A sparse graph must save a client so many neighbours, about a tenth of a second: the complete
one needs no probabilities, and a failed binding check can be localised on it."""

_STUCK = Fraction(1, 2 ** (ETA + 2))  # a quarter for each of four ways to get stuck
_UNSAFE = Fraction(1, 2 ** (SIGMA + GRINDING_BITS + 1))  # half for each of two ways to be unsafe


@dataclass(frozen=True, slots=True)
class Topology:
    """Derived for one cohort: any two openings of one secret share an honest holder."""

    cohort: int
    """n"""
    colluders: int
    """c"""
    degree: int
    """Neighbours of every client; n − 1 is the complete graph."""
    shares: int
    """t: shares that restore a secret, of degree + 1 holders."""
    window: int
    """On a sparse graph: of any degree/2 clients in a row on the ring at least so many must be
    in a total, so that an honest one is among them; 0 on the complete graph."""
    committee: int
    """How many sign U3 and the accepted set; n is everybody."""
    silent: int
    """x: honest dropouts that the round survives (sparse: but for 2^-20)."""

    @property
    def complete(self) -> bool:
        return self.degree == self.cohort - 1

    @property
    def fewest(self) -> int:
        """Fewest clients in U1, U2 and U3: with fewer, secrets could not be restored."""
        return self.shares if self.complete else self.cohort - self.silent

    @property
    def quorum(self) -> int:
        """Q: signatures of the committee under one set; 2Q > committee + colluders in it. Over the
        cohort, whoever is missing: a smaller U3 does not make two quorums possible."""
        if self.committee == self.cohort:
            return (self.cohort + self.colluders) // 2 + 1
        return committee_quorum(self.cohort, self.colluders, self.committee)

    @classmethod
    def for_cohort(cls, cohort: int, colluders: int, dropouts: float = 0.1) -> Topology:
        """The cheapest safe wiring of ``cohort`` clients, ``colluders`` of them bad, that lives
        with a fraction ``dropouts`` of clients that are silent or left out.

        Raises:
            ConfigError: no threshold is both safe and reachable.
        """
        if colluders > cohort - 2:  # and a sum with one honest client in it hides nothing
            smallest = (cohort + colluders) // 2 + 1
            raise ConfigError(
                f"colluders = {colluders} with a cohort of {cohort}: 2t > n + c needs t ≥"
                f" {smallest} of {cohort}, and two clients must be honest; lower colluders to at"
                f" most {max(0, cohort - 2)} or invite more clients"
            )
        return _cheapest(cohort, colluders, math.ceil(round(dropouts * cohort, 9)))

    def check_liveness(self, silent: int) -> None:
        """Raises ConfigError when ``silent`` clients more than x may fall silent."""
        if silent > self.silent:
            raise ConfigError(
                f"{silent} silent clients of {self.cohort}: n − x ≥ Q needs x ≤ {self.silent}"
                f" (Q = {self.quorum}, t = {self.shares}); expect fewer dropouts or"
                " assume fewer colluders"
            )


@functools.lru_cache(maxsize=256)
def committee_quorum(cohort: int, colluders: int, size: int) -> int:
    """Q for ``size`` signers drawn at random from ``cohort``: safe but for 2^-SIGMA, after
    2^GRINDING_BITS tries."""
    unsafe = Fraction(1, 2 ** (SIGMA + GRINDING_BITS))
    corrupt = most_marked(cohort, min(colluders, cohort), size, unsafe)
    return (size + corrupt) // 2 + 1


@functools.lru_cache(maxsize=64)
def _cheapest(cohort: int, colluders: int, silent: int) -> Topology:
    complete = complete_graph(cohort, colluders)
    for degree in range(2, cohort - WORTH_IT, 2):
        found = sparse_graph(cohort, colluders, degree)
        if _graph_lives(found, silent):
            size = next(
                (size for size in _sizes(cohort) if _committee_lives(found, silent, size)), cohort
            )
            return _measured(found, size, silent)
    return complete


def complete_graph(cohort: int, colluders: int) -> Topology:
    """Bonawitz 2017: everybody is everybody's neighbour; 2t > n + c."""
    shares = (cohort + colluders) // 2 + 1
    return Topology(cohort, colluders, cohort - 1, shares, 0, cohort, cohort - shares)


def sparse_graph(cohort: int, colluders: int, degree: int) -> Topology:
    """Bell 2020 with the smallest t and window that are safe but for 2^-SIGMA, at any ``degree``;
    whether it lives is another question, so ``silent`` is 0 and everybody signs."""
    each = _UNSAFE / cohort
    corrupt = most_marked(cohort - 1, min(colluders, cohort - 1), degree, each)
    window = most_marked(cohort, colluders, degree // 2, each) + 1
    return Topology(cohort, colluders, degree, (degree + 1 + corrupt) // 2 + 1, window, cohort, 0)


def _measured(found: Topology, committee: int, silent: int) -> Topology:
    """``found`` with its committee and the largest number of silent clients it survives."""
    low, high = silent, found.cohort - found.colluders - 2
    while low < high:
        middle = (low + high + 1) // 2
        lives = _graph_lives(found, middle) and _committee_lives(found, middle, committee)
        low, high = (middle, high) if lives else (low, middle - 1)
    return Topology(
        found.cohort, found.colluders, found.degree, found.shares, found.window, committee, low
    )


def _graph_lives(wired: Topology, silent: int) -> bool:
    """Whether enough holders of every secret stay, and enough clients in every window."""
    n, each = wired.cohort, _STUCK / wired.cohort
    half = wired.degree // 2
    holders = fewest_marked(n - 1, max(0, n - 1 - silent), wired.degree, each)
    return holders >= wired.shares and fewest_marked(n, n - silent, half, each) >= wired.window


def _sizes(cohort: int) -> Iterator[int]:
    """Committees worth having: smaller than half of everybody."""
    return iter(range(2, cohort // 2, 2))


def _committee_lives(wired: Topology, silent: int, size: int) -> bool:
    """Whether ``size`` signers reach their quorum when ``silent`` of the cohort do not sign."""
    n, c = wired.cohort, wired.colluders
    if size == n:
        return n - silent >= wired.quorum
    return fewest_marked(n, n - silent, size, _STUCK) >= committee_quorum(n, c, size)
