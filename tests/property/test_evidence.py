"""Properties of the verdict that hold whatever the numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import CONFUSION, client_statistics, cohort, grouped

from auror.defence.indicative import two_means
from auror.defence.ledger import GroupObservation, Ledger, RoundObservation
from auror.defence.verdict import VerdictParams, judge
from auror.ids import ClientId

seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=8)
@given(seeds, st.integers(-6, 6))
def test_units_do_not_matter(seed: int, exponent: int) -> None:
    """Scaling every statistic by a power of two (exact in floats) leaves the verdict as it is."""
    rng = np.random.default_rng(seed)
    ledger = grouped(client_statistics(12, 18, rng, malicious=(0, 5, 9)), 3, rng)
    scaled = Ledger([CONFUSION])
    for entry in ledger.rounds:
        scaled.append(
            RoundObservation(
                entry.round_index,
                entry.era,
                tuple(GroupObservation(g.members, g.mean * 2.0**exponent) for g in entry.groups),
            )
        )
    one, other = (judge(x, VerdictParams(), cohort(18)) for x in (ledger, scaled))
    assert one.flagged == other.flagged
    np.testing.assert_allclose(list(one.scores.values()), list(other.scores.values()), rtol=1e-6)


@settings(max_examples=8)
@given(seeds)
def test_names_do_not_matter(seed: int) -> None:
    """Renaming the clients renames the flags."""
    rng = np.random.default_rng(seed)
    ledger = grouped(client_statistics(14, 15, rng, malicious=(2, 7, 11)), 3, rng)
    names = rng.permutation(15)
    renamed = Ledger([CONFUSION])
    for entry in ledger.rounds:
        renamed.append(
            RoundObservation(
                entry.round_index,
                entry.era,
                tuple(
                    GroupObservation(tuple(ClientId(int(names[m])) for m in g.members), g.mean)
                    for g in entry.groups
                ),
            )
        )
    flagged = judge(ledger, VerdictParams(), cohort(15)).flagged
    again = judge(renamed, VerdictParams(), cohort(15)).flagged
    assert {int(names[c]) for c in flagged} == {int(c) for c in again}


@settings(max_examples=50)
@given(seeds, st.integers(2, 12))
def test_no_cut_is_better_than_two_means(seed: int, n: int) -> None:
    """Against every assignment of n values to two clusters, tried one by one."""
    values = np.round(np.random.default_rng(seed).normal(size=n), 1)
    split = two_means(values[:, None])
    best = np.inf
    for code in range(2 ** (n - 1)):
        side = (code >> np.arange(n)) & 1 == 1
        parts = (values[side], values[~side])
        best = min(best, sum(float(np.sum((p - p.mean()) ** 2)) for p in parts if len(p)))
    high = split.in_high[:, 0]
    mine = sum(float(np.sum((p - p.mean()) ** 2)) for p in (values[high], values[~high]) if len(p))
    assert mine <= best + 1e-9


@settings(max_examples=10)
@given(seeds, st.integers(4, 20), st.integers(1, 6), st.floats(-1e6, 1e6))
def test_never_half_of_the_cohort(seed: int, n: int, size: int, wild: float) -> None:
    """Whatever one group claims in one round, one attack never names half of the clients."""
    rng = np.random.default_rng(seed)
    ledger = grouped(client_statistics(12, n, rng), min(size, n), rng)
    last = ledger.rounds[-1]
    mad = tuple(
        GroupObservation(g.members, g.mean + wild * rng.normal(size=len(g.mean)) * (i == 0))
        for i, g in enumerate(last.groups)
    )
    ledger.append(RoundObservation(last.round_index + 1, last.era, mad))
    verdict = judge(ledger, VerdictParams(), cohort(n))
    for entry in verdict.indications:
        assert 2 * len(entry.clients) < n
    assert np.isfinite([e.confidence for e in verdict.clients]).all()
