"""Min-Max and Min-Sum stay inside their bounds, touch them, and go against the deviation."""

from __future__ import annotations

import numpy as np
import pytest

from auror.ids import ClientId
from auror.learn.attack import Knowledge
from auror.learn.min_max import MinMax, MinSum

DIM = 40
FORGERS = (ClientId(2), ClientId(5))


def knowledge(honest: np.ndarray) -> Knowledge:
    own = {client: np.zeros(honest.shape[1], dtype=np.float32) for client in FORGERS}
    return Knowledge(own, own, honest.astype(np.float32), 0, None, None)


def honest_updates(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(7, DIM)) * rng.uniform(0.1, 3, size=DIM) + 1).astype(np.float32)


def sent_by(attack: MinMax | MinSum, honest: np.ndarray) -> np.ndarray:
    sent = attack.forge(knowledge(honest))
    assert set(sent) == set(FORGERS)
    np.testing.assert_array_equal(sent[FORGERS[0]], sent[FORGERS[1]])
    assert sent[FORGERS[0]].dtype == np.float32
    return sent[FORGERS[0]].astype(np.float64)


def distances(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.array([[np.linalg.norm(a - b) for b in others] for a in points.astype(np.float64)])


@pytest.mark.parametrize("seed", range(5))
def test_min_max_is_as_far_as_two_honest_updates_are(seed: int) -> None:
    honest = honest_updates(seed)
    farthest = distances(sent_by(MinMax(), honest)[None], honest).max()
    assert farthest == pytest.approx(distances(honest, honest).max(), rel=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_min_sum_is_as_far_from_all_as_the_farthest_honest_update(seed: int) -> None:
    honest = honest_updates(seed)
    total = (distances(sent_by(MinSum(), honest)[None], honest) ** 2).sum()
    assert total == pytest.approx((distances(honest, honest) ** 2).sum(axis=1).max(), rel=1e-5)


@pytest.mark.parametrize("attack", [MinMax(), MinSum()])
def test_the_mean_moves_against_the_standard_deviation(attack: MinMax | MinSum) -> None:
    honest = honest_updates(1)
    gamma = (honest.mean(axis=0) - sent_by(attack, honest)) / honest.std(axis=0)
    assert gamma.min() > 0.5
    np.testing.assert_allclose(gamma, gamma.mean(), rtol=1e-4)


def test_by_hand() -> None:
    # Honest 0, 2 and 4: mean 2, deviation 1.633. Max: 4 from the farthest, so 0 from the upper
    # one. Sum: the bound is 20, 8 are there at the mean, so 2 below it.
    honest = np.array([[0.0], [2.0], [4.0]])
    assert sent_by(MinMax(), honest) == pytest.approx(0.0, abs=1e-6)
    assert sent_by(MinSum(), honest) == pytest.approx(0.0, abs=1e-6)
    lone = np.array([[0.0], [0.0], [3.0]])  # Max: 3 below 3. Sum: bound 18, 6 at the mean 1
    assert sent_by(MinMax(), lone) == pytest.approx(0.0, abs=1e-6)
    assert sent_by(MinSum(), lone) == pytest.approx(1 - 2, abs=1e-6)


@pytest.mark.parametrize("attack", [MinMax(), MinSum()])
def test_where_the_honest_agree_their_mean_is_sent(attack: MinMax | MinSum) -> None:
    assert sent_by(attack, np.full((3, 2), 0.25)) == pytest.approx(np.full(2, 0.25))
