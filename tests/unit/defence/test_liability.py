"""Marks prove only what follows from them: an honest client is never named."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from auror.defence.liability import Liability
from auror.ids import ClientId


def booked(*marks: tuple[int, ...]) -> Liability:
    found = Liability()
    found.add([ClientId(c) for c in mark] for mark in marks)
    return found


def brute_force(marks: list[frozenset[ClientId]], clients: int, colluders: int) -> set[int]:
    """Members of every hitting set of at most ``colluders`` clients, by trying them all."""
    sets = [
        set(chosen)
        for size in range(colluders + 1)
        for chosen in itertools.combinations(range(clients), size)
        if all(set(mark) & set(chosen) for mark in marks)
    ]
    return set.intersection(*sets) if sets else set()


def test_no_mark_names_nobody() -> None:
    assert booked().proven(3) == frozenset()


def test_a_mark_on_one_client_is_a_proof_whatever_c_is() -> None:
    assert booked((4,)).proven(0) == {4}


def test_two_marks_that_share_one_client_prove_it_when_there_is_one_liar() -> None:
    assert booked((1, 2, 3), (3, 4, 5)).proven(1) == {3}
    assert booked((1, 2, 3), (3, 4, 5)).proven(2) == frozenset()


def test_more_disputes_than_liars_prove_the_common_end() -> None:
    disputes = [(0, k) for k in range(1, 5)]
    assert booked(*disputes[:3]).proven(3) == frozenset()
    assert booked(*disputes).proven(3) == {0}


def test_marks_that_so_few_liars_cannot_explain_prove_nothing() -> None:
    assert booked((0, 1), (2, 3), (4, 5)).proven(2) == frozenset()


@pytest.mark.parametrize("seed", range(12))
def test_proofs_are_those_of_an_exhaustive_search_and_never_name_the_honest(seed: int) -> None:
    rng = np.random.default_rng([5, seed])
    clients, colluders = 9, int(rng.integers(1, 4))
    liars = set(rng.choice(clients, size=colluders, replace=False).tolist())
    found = Liability()
    for _ in range(int(rng.integers(1, 9))):
        order = rng.permutation(clients).tolist()
        groups = [frozenset(ClientId(c) for c in order[k::3]) for k in range(3)]
        active = {liar for liar in liars if rng.random() < 0.7}
        found.add(group for group in groups if group & active)
    proven = found.proven(colluders)
    assert proven <= liars
    assert proven == brute_force(found.marks, clients, colluders)


def test_suspicion_ranks_by_marks_per_checked_round_and_survives_a_checkpoint() -> None:
    found = Liability()
    found.add([(ClientId(0), ClientId(1))], [ClientId(0), ClientId(1), ClientId(2)])
    found.add([(ClientId(0), ClientId(2))], [ClientId(0), ClientId(1), ClientId(2)])
    assert found.suspicion(ClientId(0)) == 1 / 4
    assert found.suspicion(ClientId(1)) == 1 / 8
    assert found.suspicion(ClientId(7)) == 0.0
    assert Liability.from_dict(found.to_dict()) == found
