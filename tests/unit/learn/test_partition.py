"""Partitions: disjoint, covering, by seed, nobody left with nothing."""

from __future__ import annotations

import numpy as np
import pytest

from auror.errors import ConfigError, DataError
from auror.learn.partition import (
    MINIMUM_SAMPLES,
    Dirichlet,
    Iid,
    Indices,
    LabelShards,
    parse_partition,
)

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 400))
WAYS = ["iid", "dirichlet:0.5", "shards:2"]


def assert_covers(parts: list[Indices], samples: int) -> None:
    assert sorted(np.concatenate(parts)) == list(range(samples))


def skew(parts: list[Indices]) -> float:
    """Mean share of the commonest label; 0.1 would be perfectly even."""
    return float(np.mean([np.bincount(LABELS[part]).max() / len(part) for part in parts]))


@pytest.mark.parametrize(("clients", "sizes"), [(30, {133, 134}), (1, {4000}), (4000, {1})])
def test_iid_shares_evenly(clients: int, sizes: set[int]) -> None:
    parts = Iid().split(LABELS, clients, seed=1)
    assert_covers(parts, 4000)
    assert {len(part) for part in parts} == sizes


@pytest.mark.parametrize("alpha", [0.01, 0.5, 1.0, 100.0])
def test_dirichlet_covers_and_leaves_nobody_with_nothing(alpha: float) -> None:
    for seed in range(3):
        parts = Dirichlet(alpha).split(LABELS, 30, seed)
        assert_covers(parts, 4000)
        assert min(len(part) for part in parts) >= MINIMUM_SAMPLES


def test_a_small_alpha_skews_labels_and_a_large_one_does_not() -> None:
    strong, mild, none = (skew(Dirichlet(a).split(LABELS, 30, 1)) for a in (0.1, 1.0, 1000.0))
    assert strong > 0.5 > mild > 0.2 > none


def test_scarce_data_still_gives_everyone_something() -> None:
    labels = LABELS[::80]  # 50 samples for 20 clients
    parts = Dirichlet(0.1).split(labels, 20, seed=1)
    assert_covers(parts, 50)
    assert min(len(part) for part in parts) >= 2


@pytest.mark.parametrize(("clients", "per_client"), [(30, 2), (7, 3), (1, 1), (4000, 1), (40, 100)])
def test_shards_cover_and_differ_by_one_sample_each(clients: int, per_client: int) -> None:
    parts = LabelShards(per_client).split(LABELS, clients, seed=1)
    assert_covers(parts, 4000)
    sizes = [len(part) for part in parts]
    assert len(sizes) == clients
    assert max(sizes) - min(sizes) <= per_client


def test_a_client_sees_as_many_labels_as_it_was_dealt_shards() -> None:
    # 20 shards of 200 samples, two to a label: no shard holds two labels
    for seed in range(3):
        parts = LabelShards(2).split(LABELS, 10, seed)
        assert {len(part) for part in parts} == {400}
        assert {len(np.unique(LABELS[part])) for part in parts} <= {1, 2}
    # 60 shards of 66 or 67: a shard may span two labels
    uneven = LabelShards(2).split(LABELS, 30, seed=1)
    assert max(len(np.unique(LABELS[part])) for part in uneven) <= 4
    assert skew(LabelShards(1).split(LABELS, 30, seed=1)) > skew(uneven) > 0.5


def test_which_samples_of_a_label_share_a_shard_is_random() -> None:
    first, other = (LabelShards(1).split(LABELS, 20, seed) for seed in (1, 2))
    assert {part.tobytes() for part in first}.isdisjoint(part.tobytes() for part in other)


@pytest.mark.parametrize("text", WAYS)
def test_the_split_follows_the_seed(text: str) -> None:
    partition = parse_partition(text)
    first, again, other = (partition.split(LABELS, 7, seed) for seed in (1, 1, 2))
    for left, right in zip(first, again, strict=True):
        np.testing.assert_array_equal(left, right)
    assert any(len(a) != len(b) or (a != b).any() for a, b in zip(first, other, strict=True))


def test_parsing_round_trips() -> None:
    assert [parse_partition(text) for text in WAYS] == [Iid(), Dirichlet(0.5), LabelShards(2)]
    assert [str(parse_partition(text)) for text in WAYS] == WAYS


@pytest.mark.parametrize(
    "text",
    ["", "IID", "iid:2", "dirichlet", "dirichlet:", "dirichlet:x", "dirichlet:0", "dirichlet:nan",
     "shards", "shards:", "shards:x", "shards:0", "shards:-1", "shards:2.5",
     "iid-samples:2", "dirichlet-samples", "dirichlet-samples:0", "shards-samples:2"],
)  # fmt: skip
def test_a_bad_partition_says_how_to_write_it(text: str) -> None:
    with pytest.raises(ConfigError, match=r"write iid, dirichlet:ALPHA or shards:K"):
        parse_partition(text)


@pytest.mark.parametrize("text", WAYS)
def test_too_many_or_too_few_clients_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="fewer clients"):
        parse_partition(text).split(LABELS, 4001, seed=1)
    with pytest.raises(ConfigError, match="at least 1"):
        parse_partition(text).split(LABELS, 0, seed=1)


@pytest.mark.parametrize("text", ["iid-samples", "dirichlet-samples:0.5"])
def test_samples_of_a_track_may_go_to_several_clients(text: str) -> None:
    tracks = LABELS * 100 + np.arange(4000) % 7  # 70 tracks of about 57
    partition, usual = parse_partition(text), parse_partition(text.replace("-samples", ""))
    assert str(partition) == text
    assert partition != usual
    parts = partition.split(LABELS, 30, 1, tracks)
    for mine, plain in zip(parts, usual.split(LABELS, 30, 1), strict=True):
        np.testing.assert_array_equal(mine, plain)  # as if there were no tracks
    owners = {t: sum(t in set(tracks[part]) for part in parts) for t in set(tracks)}
    assert max(owners.values()) > 1
    whole = usual.split(LABELS, 30, 1, tracks)
    assert all(sum(t in set(tracks[part]) for part in whole) == 1 for t in set(tracks))


@pytest.mark.parametrize("text", ["iid-samples", "dirichlet-samples:0.5"])
def test_without_tracks_dealing_samples_is_an_option_without_effect(text: str) -> None:
    usual = text.replace("-samples", "")
    with pytest.raises(ConfigError, match=f"has no effect.*choose {usual}"):
        parse_partition(text).split(LABELS, 30, 1)


def test_more_shards_than_samples_are_refused() -> None:
    with pytest.raises(DataError, match=r"need 4020 training samples, there are 4000: lower K"):
        LabelShards(134).split(LABELS, 30, seed=1)
