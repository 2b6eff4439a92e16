"""How often a cohort in which nobody lies is accused, and what is found among unequal classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from worlds import client_statistics, cohort, grouped

from auror.defence.features import FeatureBlock, FeatureKind
from auror.defence.ledger import GroupObservation, Ledger, RoundObservation
from auror.defence.verdict import DecodedVerdict, VerdictParams, judge
from auror.ids import ClientId

Array = NDArray[np.float64]
N, SIGNS, SIZE = 30, 43, 5


def heavy_tailed(rounds: int, rng: np.random.Generator) -> Array:
    """Every client differs in some label pairs by many times what the others do (Student's t with
    four degrees of freedom)."""
    calm = client_statistics(rounds, N, rng)
    odd = rng.standard_t(4.0, size=(N, 10, 10))
    scale = 0.1 * 0.9 ** np.arange(rounds)
    return np.asarray(calm + odd * scale[:, None, None, None])


def normal(rounds: int, rng: np.random.Generator) -> Array:
    return client_statistics(rounds, N, rng)


@pytest.mark.parametrize("make", [normal, heavy_tailed])
def test_nobody_is_accused_in_more_than_alpha_of_honest_cohorts(
    make: Callable[[int, np.random.Generator], Array],
) -> None:
    alpha, cohorts = 0.1, 30
    rng = np.random.default_rng(5)
    verdicts = [
        judge(grouped(make(12, rng), SIZE, rng), VerdictParams(alpha=alpha), cohort(N))
        for _ in range(cohorts)
    ]
    assert sum(verdict.strength >= np.log(1.0 / alpha) for verdict in verdicts) <= alpha * cohorts
    assert sum(bool(verdict.flagged) for verdict in verdicts) <= alpha * cohorts
    # The strengths are no constant: they come as near to it as chance takes them.
    assert np.std([verdict.strength for verdict in verdicts]) > 0.1


def signs(
    seed: int, *, liars: tuple[int, ...] = (), effect: float = 0.0, odd: float = 1.0
) -> Ledger:
    """43 classes with unequal numbers of samples, twelve rounds of groups of five.

    A class's spread and noise grow with its samples. ``liars`` label ``effect`` spreads of class 7
    as class 9; honest clients differ ``odd`` times as much in class 20 as its samples tell.
    """
    rng = np.random.default_rng(seed)
    scale = np.exp(0.6 * rng.normal(size=SIGNS))
    truth = 1.2 * rng.normal(size=(N, SIGNS, SIGNS)) * scale
    truth[:, :, 20] *= odd
    for client in liars:
        strength = effect * rng.uniform(0.7, 1.3) * scale[7]
        truth[client, 9, 7] += strength
        truth[client, 7, 7] -= strength
    ledger = Ledger([FeatureBlock(FeatureKind.CONFUSION, 0, SIGNS**2, (SIGNS, SIGNS))])
    step = 6.0 * np.diag(scale)
    for index in range(12):
        values = truth + rng.normal(size=truth.shape) * scale + step
        groups = tuple(
            GroupObservation(
                tuple(ClientId(int(m)) for m in np.sort(group)),
                0.9**index * values[group].mean(axis=0).ravel(),
            )
            for group in np.array_split(rng.permutation(N), N // SIZE)
        )
        ledger.append(RoundObservation(index, 0, groups))
    return ledger


def judged(ledger: Ledger) -> DecodedVerdict:
    return judge(ledger, VerdictParams(), cohort(N))


@pytest.mark.parametrize("odd", [1.0, 4.0])
def test_of_unequal_classes_nobody_is_accused_not_even_where_one_is_odd(odd: float) -> None:
    for seed in range(6):
        found = judged(signs(seed, odd=odd))
        assert not found.flagged
        assert found.strength < found.required


@pytest.mark.parametrize("liars", [(2, 11, 23), (0, 1, 5, 8, 13, 17, 21, 25, 29)])
@pytest.mark.parametrize("seed", range(2))
def test_liars_about_one_of_many_unequal_classes_are_found(
    liars: tuple[int, ...], seed: int
) -> None:
    found = judged(signs(seed, liars=liars, effect=20.0))
    assert {int(client) for client in found.flagged} == set(liars)
    assert found.source == 7
