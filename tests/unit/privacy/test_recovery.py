"""The estimator against truths whose best weights are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from helpers_account import drawn_groups

from auror.ids import ClientId
from auror.privacy.recovery import OpenedSet, estimate, fit, recovery

N, ENTRIES, SIZE = 30, 100, 5


@dataclass(frozen=True)
class Played:
    """d_ir = signal_r z_i + noise_r e_ir, and who was opened together in every round."""

    signal: np.ndarray
    noise: np.ndarray
    deviations: np.ndarray
    """(rounds, clients, entries); they add up to zero over the clients."""
    groups: list[list[list[int]]]

    @property
    def own(self) -> np.ndarray:
        own: np.ndarray = self.deviations.mean(axis=0)
        return own

    def recovered(self, estimated: np.ndarray) -> float:
        left = ((estimated - self.own) ** 2).sum(axis=1) / (self.own**2).sum(axis=1)
        return float(np.clip(1 - left, 0, 1).mean())

    def vectors(self) -> dict[tuple[int, ClientId], np.ndarray]:
        common = np.random.default_rng(9).normal(size=(len(self.signal), ENTRIES))
        return {
            (r, ClientId(i)): common[r] + self.deviations[r, i]
            for r in range(len(self.signal))
            for i in range(N)
        }

    def opened(self) -> list[OpenedSet]:
        return [
            OpenedSet(r, tuple(ClientId(i) for i in sorted(group)))
            for r, groups in enumerate(self.groups)
            for group in groups
        ]

    def best(self, signal: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """The linear minimum mean square estimate for z_i ~ (0, 1) and these weights, through z:
        what was opened, and the guess from ẑ for what was not."""
        means = np.zeros((len(signal), N, N))
        for r, groups in enumerate(self.groups):
            for group in groups:
                means[r][np.ix_(group, group)] = 1 / len(group)
        known = means @ self.deviations
        normal = np.eye(N) + np.tensordot(signal**2 / noise**2, means, 1)
        z = np.linalg.solve(normal, np.tensordot(signal / noise**2, known, 1))
        rest = signal[:, None, None] * (z - means @ z)
        found: np.ndarray = (known + rest).mean(axis=0)
        return found


def played(rounds: int, seed: int, spread: float) -> Played:
    """``spread``: of the logarithms of signal and noise over the rounds."""
    rng = np.random.default_rng(seed)
    signal, noise = np.exp(spread * rng.normal(size=(2, rounds)))
    z, e = rng.normal(size=(N, ENTRIES)), rng.normal(size=(rounds, N, ENTRIES))
    deviations = signal[:, None, None] * z + noise[:, None, None] * e
    deviations -= deviations.mean(axis=1, keepdims=True)
    return Played(signal, noise, deviations, [drawn_groups(rng, N, SIZE) for _ in range(rounds)])


@pytest.mark.parametrize("rounds", [6, 20, 60])
@pytest.mark.parametrize("seed", range(4))
def test_rounds_are_weighed_as_well_as_when_their_signal_and_noise_are_known(
    rounds: int, seed: int
) -> None:
    run = played(rounds, seed, spread=0.8)
    found = recovery(run.opened(), run.vectors(), standardise=False)
    assert found is not None
    got, known = float(found.mean()), run.recovered(run.best(run.signal, run.noise))
    assert got == pytest.approx(known, abs=0.005)
    ones = np.ones(rounds)
    equal = max(
        run.recovered(run.best(ones, noise * ones)) for noise in 10.0 ** np.arange(-2, 2.1, 0.25)
    )
    assert got >= equal
    assert known > equal + 0.01


@pytest.mark.parametrize("seed", range(4))
def test_equal_rounds_are_weighed_equally(seed: int) -> None:
    run = played(12, seed, spread=0.0)
    got = estimate(run.opened(), run.vectors(), fit(run.vectors()))
    known = run.best(run.signal, run.noise)
    assert run.recovered(got) == pytest.approx(run.recovered(known), abs=0.005)


def test_what_is_opened_one_by_one_is_known_whatever_the_weights() -> None:
    run = played(6, 1, spread=1.0)
    alone = [OpenedSet(r, (ClientId(i),)) for r in range(6) for i in range(N)]
    found = recovery(alone, run.vectors(), standardise=True)
    assert found == pytest.approx(np.ones(N), abs=1e-6)
    # the last one of a round follows from the others and what everybody has in common
    but_one = [item for item in alone if item.members != (ClientId(7),)]
    assert recovery(but_one, run.vectors(), standardise=True) == pytest.approx(found, abs=1e-6)


def test_sums_of_sets_that_are_open_add_nothing() -> None:
    run = played(6, 2, spread=0.5)
    pairs = [OpenedSet(r, tuple(ClientId(i) for i in sorted(g[0] + g[1])))
             for r, g in enumerate(run.groups)]  # fmt: skip
    without = recovery(run.opened(), run.vectors(), standardise=True)
    assert recovery([*run.opened(), *pairs], run.vectors(), standardise=True) == pytest.approx(
        without, abs=1e-6
    )


def test_a_second_training_unlike_the_first_is_not_more_of_the_same() -> None:
    first, second = played(10, 3, spread=0.3), played(10, 4, spread=0.3)
    both = Played(
        np.concatenate([first.signal, second.signal]),
        np.concatenate([first.noise, second.noise]),
        np.concatenate([first.deviations, second.deviations]),
        first.groups + second.groups,
    )
    found = recovery(both.opened(), both.vectors(), standardise=False)
    apart = (first.best(first.signal, first.noise) + second.best(second.signal, second.noise)) / 2
    taken_for_one = both.best(both.signal, both.noise)
    assert found is not None
    assert float(found.mean()) == pytest.approx(both.recovered(apart), abs=0.01)
    assert float(found.mean()) > both.recovered(taken_for_one) + 0.05
