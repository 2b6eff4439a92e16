"""The ring of a sparse graph, and why every row of it must hold an honest client."""

from __future__ import annotations

import numpy as np
import pytest

from auror.ids import ClientId
from auror.secagg.graph import Graph

COHORT = tuple(ClientId(i) for i in range(3, 43))


def components(graph: Graph, present: frozenset[ClientId]) -> int:
    left, found = set(present), 0
    while left:
        found += 1
        stack = [left.pop()]
        while stack:
            near = set(graph.neighbours[stack.pop()]) & left
            left -= near
            stack += near
    return found


def test_neighbourhoods_are_mutual_and_all_of_one_size() -> None:
    graph = Graph.harary(COHORT, 8, bytes(32))
    assert set(graph.neighbours) == set(COHORT)
    for me, peers in graph.neighbours.items():
        assert len(set(peers)) == 8
        assert me not in peers
        assert all(me in graph.neighbours[peer] for peer in peers)
        assert list(peers) == sorted(peers)
    assert not graph.is_complete
    assert components(graph, frozenset(COHORT)) == 1


def test_the_order_follows_the_seed_and_nothing_else() -> None:
    ring = Graph.harary(COHORT, 8, bytes(32)).ring
    assert ring == Graph.harary(tuple(reversed(COHORT)), 8, bytes(32)).ring
    assert ring != Graph.harary(COHORT, 8, bytes([1]) + bytes(31)).ring


def test_every_place_on_the_ring_is_equally_likely() -> None:
    counts = np.zeros((10, 10))
    for seed in range(3000):
        ring = Graph.harary(tuple(ClientId(i) for i in range(10)), 2, seed.to_bytes(32, "big")).ring
        counts[ring, range(10)] += 1
    assert abs(counts / 3000 - 0.1).max() < 0.03  # five standard deviations


@pytest.mark.parametrize("degree", [0, 3, 40, 42])
def test_impossible_degrees_are_refused(degree: int) -> None:
    with pytest.raises(ValueError, match="an even number from 2"):
        Graph.harary(COHORT, degree, bytes(32))


@pytest.mark.parametrize("seed", range(40))
def test_a_client_in_every_row_keeps_the_graph_connected(seed: int) -> None:
    rng = np.random.default_rng([8, seed])
    graph = Graph.harary(COHORT, 8, rng.bytes(32))
    present = frozenset(c for c in COHORT if rng.random() < rng.uniform(0.2, 0.9))
    rows = [graph.ring[k:] + graph.ring[:k] for k in range(len(graph.ring))]
    fewest = graph.fewest_in_a_row(present)
    assert fewest == min(len(present & set(row[:4])) for row in rows)
    if fewest >= 1:
        assert components(graph, present) == 1


def test_two_empty_rows_tear_the_graph_apart() -> None:
    graph = Graph.harary(COHORT, 8, bytes(32))
    present = frozenset(graph.ring[4:20] + graph.ring[24:])
    assert graph.fewest_in_a_row(present) == 0
    assert components(graph, present) == 2
