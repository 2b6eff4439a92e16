"""Degree, threshold and committee of a sparse graph, from exact hypergeometric tails.

Bell, Bonawitz, Gascón, Lepoint, Raykova 2020 ("Secure Single-Server Aggregation with
(Poly)Logarithmic Overhead", section 3): the graph is a Harary graph over a random order, so
neighbourhoods are samples without replacement. All comparisons are between integers; nothing
is rounded. docs/topology.md derives the conditions.
"""

from __future__ import annotations

import enum
import functools
import math
from dataclasses import dataclass
from fractions import Fraction

SIGMA = 40
"""Security: the chance that a graph or committee is unsafe is at most 2^-SIGMA."""
ETA = 20
"""Liveness: the chance that the expected dropouts end a round is at most 2^-ETA."""


class Adversary(enum.Enum):
    """Whom the server colludes with the clients as (Bell et al. 2020, sections 3 and 4)."""

    CURIOUS = "curious"
    """It follows the protocol: t must exceed the corrupt neighbours."""
    SEMI_MALICIOUS = "semi-malicious"
    """After the graph is drawn it lies: two sets of t holders must share an honest one."""


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """What the calculator finds."""

    degree: int
    """Neighbours of every client, even."""
    threshold: int
    """Shares that restore a secret."""


def most_marked(population: int, marked: int, drawn: int, chance: Fraction) -> int:
    """The smallest x with P[X > x] ≤ ``chance``, X the marked among ``drawn`` of ``population``.

    X is hypergeometric: ``drawn`` are taken without replacement.
    """
    # counted in samples out of C(population, drawn): whole numbers, so flooring changes nothing
    left = math.comb(population, drawn) * chance.numerator // chance.denominator
    x, least = min(marked, drawn), max(0, drawn - (population - marked))
    ways = math.comb(marked, x) * math.comb(population - marked, drawn - x)
    while x > least and ways <= left:
        left -= ways
        ways = ways * x * (population - marked - drawn + x) // ((marked - x + 1) * (drawn - x + 1))
        x -= 1
    return x


def fewest_marked(population: int, marked: int, drawn: int, chance: Fraction) -> int:
    """The largest x with P[X < x] ≤ ``chance``."""
    return drawn - most_marked(population, population - marked, drawn, chance)


def disconnected(clients: int, bad: int, degree: int) -> Fraction:
    """A bound on the chance that ``bad`` removed clients disconnect a random Harary graph.

    On the ring, two runs of degree/2 neighbouring clients must all be gone; a union over the
    pairs of places where the runs can be.
    """
    if degree > bad:
        return Fraction(0)
    pairs = Fraction(clients * (clients - degree - 1), 2)
    return pairs * Fraction(math.comb(clients - degree, bad - degree), math.comb(clients, bad))


def local_threshold(
    clients: int, malicious: int, degree: int, chance: Fraction, adversary: Adversary
) -> int:
    """The smallest t that is safe for an honest client's secrets, but for ``chance``.

    Curious: t > corrupt neighbours. Semi-malicious: 2t > degree + corrupt neighbours, for the
    ``degree`` holders of its shares.
    """
    corrupt = most_marked(clients, malicious, degree, chance)
    if adversary is Adversary.CURIOUS:
        return max(2, corrupt + 1)
    return max(2, (degree + corrupt) // 2 + 1)


@functools.lru_cache(maxsize=64)
def neighbourhood(
    clients: int,
    malicious: int,
    dropouts: int,
    adversary: Adversary = Adversary.SEMI_MALICIOUS,
    sigma: int = SIGMA,
    eta: int = ETA,
) -> Neighbourhood | None:
    """The smallest degree, and its threshold, that is safe but for 2^-sigma and alive but for
    2^-eta; None when only the complete graph is.

    Args:
        malicious, dropouts: how many of the ``clients``.
    """
    unsafe = Fraction(1, 2 ** (sigma + 1))  # half for each of the two ways to be unsafe
    stuck = Fraction(1, 2**eta)
    for degree in range(2, clients - 1, 2):
        if disconnected(clients, malicious + dropouts, degree) > unsafe:
            continue
        threshold = local_threshold(clients, malicious, degree, unsafe / clients, adversary)
        if fewest_marked(clients, clients - dropouts, degree, stuck / clients) >= threshold:
            return Neighbourhood(degree, threshold)
    return None
