"""Partitions: disjoint, covering, by seed, nobody left with nothing."""

from __future__ import annotations

import numpy as np
import pytest

from auror.errors import ConfigError, DataError
from auror.learn.partition import (
    MINIMUM_SAMPLES,
    Indices,
    Partition,
    parse_partition,
    partition_dirichlet,
    partition_iid,
)

LABELS = np.repeat(np.arange(10), 400)


def assert_covers(parts: list[Indices], samples: int) -> None:
    assert sorted(np.concatenate(parts)) == list(range(samples))


def skew(parts: list[Indices]) -> float:
    """Mean share of the commonest label; 0.1 would be perfectly even."""
    return float(np.mean([np.bincount(LABELS[part]).max() / len(part) for part in parts]))


@pytest.mark.parametrize(("clients", "sizes"), [(30, {133, 134}), (1, {4000}), (4000, {1})])
def test_iid_shares_evenly(clients: int, sizes: set[int]) -> None:
    parts = partition_iid(LABELS, clients, seed=1)
    assert_covers(parts, 4000)
    assert {len(part) for part in parts} == sizes


@pytest.mark.parametrize("alpha", [0.01, 0.5, 1.0, 100.0])
def test_dirichlet_covers_and_leaves_nobody_with_nothing(alpha: float) -> None:
    for seed in range(3):
        parts = partition_dirichlet(LABELS, 30, alpha, seed)
        assert_covers(parts, 4000)
        assert min(len(part) for part in parts) >= MINIMUM_SAMPLES


def test_a_small_alpha_skews_labels_and_a_large_one_does_not() -> None:
    strong, mild, none = (skew(partition_dirichlet(LABELS, 30, a, 1)) for a in (0.1, 1.0, 1000.0))
    assert strong > 0.5 > mild > 0.2 > none


def test_scarce_data_still_gives_everyone_something() -> None:
    labels = LABELS[::80]  # 50 samples for 20 clients
    parts = partition_dirichlet(labels, 20, 0.1, seed=1)
    assert_covers(parts, 50)
    assert min(len(part) for part in parts) >= 2


@pytest.mark.parametrize("text", ["iid", "dirichlet:0.5"])
def test_the_split_follows_the_seed(text: str) -> None:
    partition = parse_partition(text)
    first, again, other = (partition.split(LABELS, 7, seed) for seed in (1, 1, 2))
    for left, right in zip(first, again, strict=True):
        np.testing.assert_array_equal(left, right)
    assert any(len(a) != len(b) or (a != b).any() for a, b in zip(first, other, strict=True))


def test_parsing_round_trips() -> None:
    assert parse_partition("iid") == Partition()
    assert parse_partition("dirichlet:0.5") == Partition(0.5)
    for text in ("iid", "dirichlet:0.5"):
        assert str(parse_partition(text)) == text


@pytest.mark.parametrize(
    "text", ["", "IID", "dirichlet", "dirichlet:", "dirichlet:x", "dirichlet:0", "dirichlet:nan"]
)
def test_a_bad_partition_says_how_to_write_it(text: str) -> None:
    with pytest.raises(ConfigError, match=r"write iid or dirichlet:ALPHA"):
        parse_partition(text)


def test_too_many_or_too_few_clients_are_refused() -> None:
    with pytest.raises(DataError, match="lower --clients"):
        partition_iid(LABELS, 4001, seed=1)
    with pytest.raises(ConfigError, match="at least 1"):
        partition_dirichlet(LABELS, 0, 1.0, seed=1)
