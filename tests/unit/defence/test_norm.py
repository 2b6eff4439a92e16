from __future__ import annotations

import numpy as np
import pytest

from auror.defence.features import FeatureBlock, FeatureKind
from auror.defence.ledger import GroupObservation, RoundObservation
from auror.defence.norm import NormParams, oversized_groups
from auror.ids import ClientId

BLOCK = FeatureBlock(FeatureKind.CHALLENGE, 2, 66, (64,))


def round_of(scales: list[float], seed: int = 0) -> RoundObservation:
    rng = np.random.default_rng(seed)
    return RoundObservation(
        0,
        0,
        tuple(
            GroupObservation((ClientId(i),), np.r_[1e6, 0.0, scale * rng.normal(size=64)])
            for i, scale in enumerate(scales)
        ),
    )


def test_honest_rounds_pass() -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        scales = list(rng.uniform(0.8, 1.25, size=6))
        assert oversized_groups(round_of(scales, seed), BLOCK, NormParams()) == ()


def test_an_oversized_group_is_named() -> None:
    assert oversized_groups(round_of([1, 1, 20, 1, 1, 1]), BLOCK, NormParams()) == (2,)
    assert oversized_groups(round_of([1, 30, 1, 1, 9, 1]), BLOCK, NormParams()) == (1, 4)


def test_small_updates_are_no_reason() -> None:
    assert oversized_groups(round_of([1, 1, 0.01, 1, 1]), BLOCK, NormParams()) == ()


def test_two_groups_have_no_majority() -> None:
    assert oversized_groups(round_of([1, 50]), BLOCK, NormParams()) == ()


def test_only_the_challenge_is_read() -> None:
    other = FeatureBlock(FeatureKind.SKETCH, 2, 66, (64,))
    with pytest.raises(ValueError, match="challenge"):
        oversized_groups(round_of([1, 1, 1]), other, NormParams())
