from __future__ import annotations

import numpy as np
import pytest

from auror.privacy.whose import attribution_auc

CLIENTS, EACH, ENTRIES = 10, 20, 12


def world(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What every sample adds, whose it is, and every client's own mean of it."""
    rng = np.random.default_rng(seed)
    samples = rng.normal(size=(CLIENTS * EACH, ENTRIES)) * rng.gamma(1, size=(CLIENTS * EACH, 1))
    owners = np.repeat(np.arange(CLIENTS), EACH)
    own = np.stack([samples[owners == client].mean(axis=0) for client in range(CLIENTS)])
    return samples, owners, own


def test_own_means_in_the_clear_tell_the_owner_and_better_for_telling_samples() -> None:
    samples, owners, own = world(1)
    telling = attribution_auc(own, samples, owners, samples, 0.05)
    assert telling > 0.9
    assert attribution_auc(own, samples, owners, samples, 1.0) < telling


def test_an_estimate_that_knows_nothing_guesses() -> None:
    samples, owners, own = world(2)
    assert attribution_auc(np.zeros_like(own), samples, owners, samples, 0.2) == pytest.approx(0.5)
    shuffled = own[np.roll(np.arange(CLIENTS), 1)]
    assert attribution_auc(shuffled, samples, owners, samples, 0.2) < 0.65
