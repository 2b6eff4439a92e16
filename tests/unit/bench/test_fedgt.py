"""FedGT's groups are a parity check of BCH(15, 7), and its posteriors are those of the model."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from auror.bench.fedgt import (
    CLIENTS,
    FedGTParams,
    flagged,
    group_matrix,
    log_odds,
    positive_tests,
)

PARAMS = FedGTParams()


def test_groups_check_every_codeword_of_the_code() -> None:
    # Generator polynomial of BCH(15, 7), double-error-correcting: x^8 + x^7 + x^6 + x^4 + 1.
    generator = np.zeros(CLIENTS, dtype=int)
    generator[[0, 4, 6, 7, 8]] = 1
    codewords = np.stack([np.roll(generator, shift) for shift in range(7)])
    matrix = group_matrix().astype(int)
    for order in (codewords, codewords[:, ::-1]):
        if not (matrix @ order.T % 2).any():
            break
    else:
        pytest.fail("the groups check no such code")
    assert matrix.sum(axis=1).tolist() == [4] * 8
    assert (matrix.sum(axis=0) >= 1).all()


def test_posteriors_by_loops() -> None:
    groups = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]], dtype=bool)
    tests = np.array([True, True, False])
    mass = np.zeros((4, 2))
    for chosen in itertools.product((0, 1), repeat=4):
        weight = 1.0
        for client in chosen:
            weight *= PARAMS.prevalence if client else 1 - PARAMS.prevalence
        for row, outcome in zip(groups, tests, strict=True):
            hit = any(c and member for c, member in zip(chosen, row, strict=True))
            positive = 1 - PARAMS.missed if hit else PARAMS.false_alarm
            weight *= positive if outcome else 1 - positive
        for client, bad in enumerate(chosen):
            mass[client, bad] += weight
    expected = np.log(mass[:, 0] / mass[:, 1])
    np.testing.assert_allclose(log_odds(tests, PARAMS, groups), expected, rtol=1e-9)
    assert int(np.argmin(expected)) == 1


@pytest.mark.parametrize("bad", range(CLIENTS))
def test_true_tests_convict_one_attacker_of_three_groups(bad: int) -> None:
    matrix = group_matrix()
    found = flagged(matrix[:, bad], PARAMS)
    if matrix[:, bad].sum() >= 3:
        assert found[bad]
    assert not found[~matrix[matrix[:, bad]].any(axis=0)].any()


def test_a_test_is_positive_below_a_share_of_the_best() -> None:
    quality = np.array([1.0, 0.97, 0.95, 0.5, 1.0, 1.0, 1.0, 1.0])
    assert np.flatnonzero(positive_tests(quality, PARAMS)).tolist() == [2, 3]


def test_no_positive_test_flags_nobody() -> None:
    assert not flagged(np.zeros(8, dtype=bool), PARAMS).any()
