"""FedGT's groups are a parity check of BCH(15, 7), its posteriors are those of the model, and its
tests cluster as its authors describe."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from auror.bench.fedgt import (
    CLIENTS,
    FedGTParams,
    estimated_malicious,
    first_component,
    flagged,
    group_matrix,
    log_odds,
    noise_free_rates,
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
            weight *= 0.2 if client else 0.8
        for row, outcome in zip(groups, tests, strict=True):
            hit = any(c and member for c, member in zip(chosen, row, strict=True))
            positive = 1 - PARAMS.missed if hit else PARAMS.false_alarm
            weight *= positive if outcome else 1 - positive
        for client, bad in enumerate(chosen):
            mass[client, bad] += weight
    expected = np.log(mass[:, 0] / mass[:, 1])
    np.testing.assert_allclose(log_odds(tests, 0.2, PARAMS, groups), expected, rtol=1e-9)
    assert int(np.argmin(expected)) == 1


@pytest.mark.parametrize("bad", range(CLIENTS))
def test_true_tests_convict_a_lone_attacker(bad: int) -> None:
    matrix = group_matrix()
    found = flagged(matrix[:, bad], PARAMS)
    assert found[bad]
    assert not found[~matrix[matrix[:, bad]].any(axis=0)].any()


@pytest.mark.parametrize(("negative", "malicious"), [(0, 5), (3, 4), (5, 3), (7, 1), (8, 0)])
def test_few_negative_tests_speak_for_many_malicious(negative: int, malicious: int) -> None:
    assert estimated_malicious(np.arange(8) >= negative) == malicious


def test_as_many_are_flagged_as_estimated_and_who_ties_with_them() -> None:
    tests = np.array([True] * 4 + [False] * 4)
    odds = log_odds(tests, estimated_malicious(tests) / CLIENTS, PARAMS)
    last = np.sort(odds)[estimated_malicious(tests) - 1]
    assert (odds > 0).sum() > CLIENTS - estimated_malicious(tests)  # the odds alone name fewer
    np.testing.assert_array_equal(flagged(tests, PARAMS), odds <= last + 1e-9)


def test_one_cluster_of_low_recall_is_positive() -> None:
    recall = np.array([1.0, 0.5, 1.0, 0.4, 1.0, 1.0, 0.5, 1.0])
    component = np.array([0.1, -0.3, 0.12, -0.3, 0.1, 0.11, -0.32, 0.1])
    for sign in (1, -1):
        found = np.flatnonzero(positive_tests(recall, sign * component, PARAMS))
        assert found.tolist() == [1, 3, 6]


def test_equal_recall_leaves_the_component_to_decide_and_the_larger_cluster_is_negative() -> None:
    component = np.array([0.5, 0.51, 0.0, 0.01, 0.005, 0.015, 0.002, 0.012])
    for sign in (1, -1):
        found = np.flatnonzero(positive_tests(np.ones(8), sign * component, PARAMS))
        assert found.tolist() == [0, 1]


@pytest.mark.parametrize("points", [np.random.default_rng(3).normal(size=(8, 2)), np.ones((8, 2))])
def test_without_clear_clusters_every_test_is_negative(points: np.ndarray) -> None:
    assert not positive_tests(points[:, 0], points[:, 1], PARAMS).any()


def test_the_silhouette_is_the_gate() -> None:
    points = np.random.default_rng(3).normal(size=(8, 2))
    assert positive_tests(points[:, 0], points[:, 1], FedGTParams(silhouette=0.1)).any()


def test_the_component_is_the_widest_direction() -> None:
    rng = np.random.default_rng(1)
    along = rng.normal(size=8)
    direction = np.array([0.6, 0.0, 0.8])
    rows = 5 + np.outer(along, direction) + 1e-6 * rng.normal(size=(8, 3))
    found = first_component(rows)
    expected = along - along.mean()
    np.testing.assert_allclose(found * np.sign(found @ expected), expected, atol=1e-5)


def test_the_odds_alone_never_name_more_than_the_estimate() -> None:
    for number in range(255):
        tests = (number >> np.arange(8) & 1) == 0
        count = estimated_malicious(tests)
        assert (log_odds(tests, count / CLIENTS, PARAMS) <= 0).sum() <= count


def test_no_positive_test_flags_nobody() -> None:
    assert not flagged(np.zeros(8, dtype=bool), PARAMS).any()


@pytest.mark.parametrize(
    ("malicious", "tpr", "fpr"),
    [(1, 1.0, 0.08), (2, 0.99, 0.09), (3, 0.88, 0.12), (4, 0.73, 0.17), (5, 0.59, 0.20)],
)
def test_what_noise_free_tests_reach_agrees_with_what_was_computed_elsewhere(
    malicious: int, tpr: float, fpr: float
) -> None:
    found = noise_free_rates(malicious, PARAMS, benign_group=False)
    assert found == pytest.approx((tpr, fpr), abs=0.0051)


def test_sets_that_leave_a_benign_group_are_easier() -> None:
    (tpr, fpr), (every_tpr, every_fpr) = (
        noise_free_rates(5, PARAMS, benign_group=only) for only in (True, False)
    )
    assert tpr is not None
    assert every_tpr is not None
    assert tpr > every_tpr
    assert fpr < every_fpr
    assert noise_free_rates(0, PARAMS, benign_group=True) == (None, 0.0)
