from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from worlds import cohort

from auror.defence.features import FeatureBlock, FeatureKind
from auror.defence.indicative import two_means
from auror.defence.ledger import GroupObservation, Ledger, RoundObservation
from auror.defence.paper import PaperParams, calibrate_alpha, judge_as_published
from auror.ids import ClientId

N, K = 20, 15


def ledger_of(rounds: NDArray[np.float64]) -> Ledger:
    ledger = Ledger([FeatureBlock(FeatureKind.OUTPUT, 0, K, (K,))])
    for index, values in enumerate(rounds):
        groups = tuple(GroupObservation((ClientId(i),), row) for i, row in enumerate(values))
        ledger.append(RoundObservation(index, 0, groups))
    return ledger


Clusters = tuple[NDArray[np.float64], NDArray[np.bool_]]
"""Per feature the distance of the two centres, and per round who is in the smaller cluster."""


def clustered(rounds: NDArray[np.float64]) -> Clusters:
    """The paper's text, with scikit-learn's clustering and plain loops."""
    distance = np.zeros(K)
    smaller = np.zeros((len(rounds), N, K), dtype=bool)
    for r, values in enumerate(rounds):
        for f in range(K):
            fit = KMeans(2, n_init=20, random_state=0).fit(values[:, [f]])
            distance[f] += abs(float(np.diff(fit.cluster_centers_[:, 0])[0])) / len(rounds)
            sizes = np.bincount(fit.labels_, minlength=2)
            if sizes[0] != sizes[1]:
                smaller[r, :, f] = fit.labels_ == np.argmin(sizes)
    return distance, smaller


def oracle(found: Clusters, alpha: float, tau: float) -> set[int]:
    """Whom the paper's text excludes."""
    distance, smaller = found
    chosen = distance > alpha
    if not chosen.any():
        return set()
    share = smaller[:, :, chosen].mean(axis=(0, 2))
    return set(np.flatnonzero(share > tau).tolist())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [1, 3])
def test_agrees_with_an_independent_reading_of_the_paper(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    rounds = rng.normal(size=(count, N, K))
    bad = rng.choice(N, 5, replace=False)
    rounds[:, bad[:, None], np.arange(4)] += 6.0
    clusters = clustered(rounds)
    for alpha in (0.5, 2.0, 3.5):
        found = judge_as_published(ledger_of(rounds), PaperParams(alpha), cohort(N))
        assert {int(c) for c in found.flagged} == oracle(clusters, alpha, 0.5)
    strict = judge_as_published(ledger_of(rounds), PaperParams(4.0), cohort(N))
    assert strict.indicative == (0, 1, 2, 3)
    assert {int(c) for c in strict.flagged} == set(bad.tolist())


def test_alpha_from_honest_rounds_names_nobody_there() -> None:
    rng = np.random.default_rng(5)
    honest = ledger_of(rng.normal(size=(6, N, K)))
    alpha = calibrate_alpha(honest)
    verdict = judge_as_published(honest, PaperParams(alpha), cohort(N))
    assert verdict.indicative == ()
    assert verdict.flagged == frozenset()
    assert judge_as_published(honest, PaperParams(alpha * 0.99), cohort(N)).indicative != ()


def test_groups_of_several_are_refused() -> None:
    ledger = Ledger([FeatureBlock(FeatureKind.OUTPUT, 0, K, (K,))])
    pair = GroupObservation((ClientId(0), ClientId(1)), np.zeros(K))
    ledger.append(RoundObservation(0, 0, (pair, GroupObservation((ClientId(2),), np.zeros(K)))))
    with pytest.raises(ValueError, match="group_size = 1"):
        judge_as_published(ledger, PaperParams(1.0), cohort(3))


def test_a_missing_block_is_named() -> None:
    with pytest.raises(ValueError, match="sketch"):
        judge_as_published(
            ledger_of(np.zeros((1, N, K))), PaperParams(1.0, kind=FeatureKind.SKETCH), cohort(N)
        )


def test_equal_clusters_accuse_nobody_and_constants_are_not_cut() -> None:
    values = np.array([[0.0, 7.0], [0.0, 7.0], [1.0, 7.0], [1.0, 7.0]])
    split = two_means(values)
    assert split.distance.tolist() == [1.0, 0.0]
    assert not split.smaller.any()
    assert split.in_high[:, 0].tolist() == [False, False, True, True]
