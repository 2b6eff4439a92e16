"""Exact tails, Google's table, and what the wiring of a cohort promises."""

from __future__ import annotations

from fractions import Fraction
from math import comb, floor

import pytest
from scipy.stats import hypergeom

from auror.errors import ConfigError
from auror.secagg.calculator import (
    Adversary,
    disconnected,
    fewest_marked,
    most_marked,
    neighbourhood,
)
from auror.secagg.topology import (
    GRINDING_BITS,
    Topology,
    committee_quorum,
    complete_graph,
    sparse_graph,
)

CURIOUS, SEMI = Adversary.CURIOUS, Adversary.SEMI_MALICIOUS


def exact_tail(population: int, marked: int, drawn: int, above: int) -> Fraction:
    ways = sum(
        comb(marked, x) * comb(population - marked, drawn - x) for x in range(above + 1, drawn + 1)
    )
    return Fraction(ways, comb(population, drawn))


@pytest.mark.parametrize(("population", "marked", "drawn"), [(10, 3, 4), (40, 13, 12), (25, 0, 6),
                         (25, 25, 6), (30, 28, 20), (200, 60, 50)])  # fmt: skip
@pytest.mark.parametrize("bits", [1, 8, 20, 60])
def test_quantiles_are_exact(population: int, marked: int, drawn: int, bits: int) -> None:
    chance = Fraction(1, 2**bits)
    x = most_marked(population, marked, drawn, chance)
    assert exact_tail(population, marked, drawn, x) <= chance
    impossible = x == max(0, drawn - (population - marked))  # X is never less
    assert impossible or exact_tail(population, marked, drawn, x - 1) > chance
    assert fewest_marked(population, population - marked, drawn, chance) == drawn - x


def test_quantiles_agree_with_scipy_where_floats_can() -> None:
    x = most_marked(1000, 330, 100, Fraction(1, 2**20))
    assert hypergeom.sf(x, 1000, 330, 100) <= 2**-20 < hypergeom.sf(x - 1, 1000, 330, 100)


@pytest.mark.parametrize(
    ("malicious", "dropouts", "adversary", "cells"),
    [
        (0.05, 0.05, CURIOUS, [(12, 6), (30, 17), (34, 20)]),
        (0.05, 0.05, SEMI, [(16, 11), (52, 37), (62, 44)]),
        (0.05, 0.33, CURIOUS, [(28, 6), (72, 24), (86, 29)]),
        (0.05, 0.33, SEMI, [(72, 39), (398, 223), (746, 420)]),
        (0.33, 0.05, CURIOUS, [(34, 29), (78, 60), (92, 70)]),
        (0.33, 0.33, CURIOUS, [(68, 34), (286, 150), (422, 221)]),
    ],
)
def test_googles_published_table(
    malicious: float, dropouts: float, adversary: Adversary, cells: list[tuple[int, int]]
) -> None:
    """Degree and threshold at n = 100, 1,000 and 10,000, σ = 40, η = 20: every cell alike."""
    for clients, expected in zip((100, 1000, 10_000), cells, strict=True):
        bad, silent = (floor(round(part * clients, 6)) for part in (malicious, dropouts))
        found = neighbourhood(clients, bad, silent, adversary)
        assert found is not None
        assert (found.degree, found.threshold) == expected


def test_no_sparse_graph_for_an_impossible_demand() -> None:
    assert neighbourhood(20, 12, 6) is None
    assert disconnected(100, 5, 6) == 0


@pytest.mark.parametrize(("n", "c"), [(200, 10), (500, 25), (1024, 50), (1000, 300), (10_000, 500)])
def test_a_sparse_cohort_is_safe_and_alive(n: int, c: int) -> None:
    wired = Topology.for_cohort(n, c)
    each = Fraction(1, 2 ** (40 + GRINDING_BITS + 1) * n)
    holders = wired.degree + 1
    worst = 2 * wired.shares - holders  # so many colluding holders would let two sets be disjoint
    assert exact_tail(n - 1, c, wired.degree, worst - 1) <= each
    assert exact_tail(n, c, wired.degree // 2, wired.window - 1) <= each
    assert wired.degree % 2 == 0
    assert wired.silent >= 0.1 * n
    assert 2 * wired.quorum > wired.committee
    corrupt = 2 * wired.quorum - wired.committee  # so many in the committee could sign two sets
    assert exact_tail(n, c, wired.committee, corrupt - 1) <= Fraction(1, 2 ** (40 + GRINDING_BITS))


@pytest.mark.parametrize(
    ("n", "c", "committee", "quorum"),
    [(200, 10, 38, 25), (1024, 51, 76, 54), (10_000, 500, 90, 64), (10_000, 3000, 270, 216)],
)
def test_committees_are_the_smallest_that_survive_grinding(
    n: int, c: int, committee: int, quorum: int
) -> None:
    """The server draws the nonce in T, so it may try 2^40 committees."""
    assert GRINDING_BITS == 40
    wired = Topology.for_cohort(n, c)
    assert (wired.committee, wired.quorum) == (committee, quorum)
    unsafe, corrupt = Fraction(1, 2**80), 2 * quorum - committee
    assert exact_tail(n, c, committee, corrupt - 1) <= unsafe
    # one signature less, and two quorums need not share an honest client
    assert exact_tail(n, c, committee, corrupt - 3) > unsafe
    # two signers less, and ten of a hundred silent end more than one round in 2^22
    smaller, silent = committee - 2, -(-n // 10)
    lacking = smaller - committee_quorum(n, c, smaller)  # more silent ones than these are too many
    assert exact_tail(n, silent, smaller, lacking) > Fraction(1, 2**22)
    lacking = committee - quorum
    assert exact_tail(n, silent, committee, lacking) <= Fraction(1, 2**22)


@pytest.mark.parametrize("n", [3, 7, 30, 199, 200, 1024])
def test_a_quorum_is_over_the_cohort_whoever_is_missing(n: int) -> None:
    """Two quorums share an honest client: it takes more than half of the signers and the liars.
    Over a smaller U3 it could be fewer, and the server chooses U3."""
    for c in (0, n // 20, n // 5):
        wired = Topology.for_cohort(n, c)
        if wired.committee == n:
            assert 2 * wired.quorum > n + c >= 2 * (wired.quorum - 1)
        else:
            assert wired.quorum == committee_quorum(n, c, wired.committee)
        assert wired.quorum <= wired.committee
        if wired.complete:
            assert wired.quorum == wired.shares == wired.fewest
            assert n - wired.silent == wired.quorum


def test_small_cohorts_are_complete_and_large_ones_are_not() -> None:
    assert all(Topology.for_cohort(n, n // 5).complete for n in range(2, 120))
    assert not Topology.for_cohort(200, 10).complete
    assert Topology.for_cohort(30, 9) == complete_graph(30, 9)


def test_more_colluders_never_make_a_threshold_smaller() -> None:
    found = [sparse_graph(1000, c, 100) for c in range(0, 400, 20)]
    assert [wired.shares for wired in found] == sorted(wired.shares for wired in found)
    assert [wired.window for wired in found] == sorted(wired.window for wired in found)
    assert committee_quorum(1000, 0, 40) <= committee_quorum(1000, 100, 40)


def test_hopeless_cohorts_are_refused_with_the_arithmetic() -> None:
    with pytest.raises(ConfigError, match="lower colluders to at most 28"):
        Topology.for_cohort(30, 29)
