"""Synthetic cohorts: what clients would send, grouped at random as a server would see it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auror.defence.features import FeatureBlock, FeatureKind
from auror.defence.ledger import GroupObservation, Ledger, RoundObservation
from auror.ids import ClientId

CLASSES = 10
CONFUSION = FeatureBlock(FeatureKind.CONFUSION, 0, CLASSES * CLASSES, (CLASSES, CLASSES))


def cohort(n: int) -> tuple[ClientId, ...]:
    return tuple(ClientId(client) for client in range(n))


def client_statistics(
    rounds: int,
    n: int,
    rng: np.random.Generator,
    *,
    malicious: tuple[int, ...] = (),
    source: int = 4,
    target: int = 9,
    effect: float = 10.0,
) -> NDArray[np.float64]:
    """(rounds, n, C, C): a persistent and a fresh part; columns sum to zero; scale shrinks.

    All clients move every class's mass onto its own label, as when the class is learnt.
    """
    persistent = rng.normal(size=(n, CLASSES, CLASSES))
    fresh = 0.5 * rng.normal(size=(rounds, n, CLASSES, CLASSES))
    values = persistent + fresh
    values -= values.mean(axis=2, keepdims=True)
    for client in malicious:
        strength = effect * rng.uniform(0.7, 1.3)
        values[:, client, target, source] += strength / np.sqrt(2.0)
        values[:, client, source, source] -= strength / np.sqrt(2.0)
    level = rng.normal(size=(rounds, 1, CLASSES, CLASSES)) + 8.0 * np.eye(CLASSES)
    scale = 0.1 * 0.9 ** np.arange(rounds)
    return np.asarray((values + level) * scale[:, None, None, None])


def grouped(
    statistics: NDArray[np.float64],
    group_size: int,
    rng: np.random.Generator,
    dropout: float = 0.0,
) -> Ledger:
    """The ledger a server would hold: random groups in every round, their means only."""
    ledger = Ledger([CONFUSION])
    n = statistics.shape[1]
    for index, values in enumerate(statistics):
        groups = []
        for members in np.array_split(rng.permutation(n), n // group_size):
            left = np.sort(members[rng.random(len(members)) >= dropout])
            if len(left):
                groups.append(
                    GroupObservation(
                        tuple(ClientId(int(member)) for member in left),
                        values[left].mean(axis=0).ravel(),
                    )
                )
        ledger.append(RoundObservation(index, 0, tuple(groups)))
    return ledger
