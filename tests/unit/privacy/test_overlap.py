from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from auror.ids import ClientId
from auror.params import RoundParams
from auror.privacy.account import account
from auror.privacy.overlap import (
    Company,
    Design,
    aimed,
    companies,
    halves,
    nested,
    one_out,
    records_of,
    triples,
    truth_of,
)
from auror.privacy.truth import TruthRecorder

PARAMS = RoundParams(group_size=5, colluders=3)
MEMBERS = tuple(ClientId(i) for i in range(30))
VICTIM = ClientId(7)


def sums_of(sets: list[set[int]], own: np.ndarray) -> dict[frozenset[ClientId], np.ndarray]:
    return {frozenset(map(ClientId, of)): own[sorted(of)].sum(axis=0) for of in sets}


def solve(
    sums: Mapping[frozenset[ClientId], NDArray[np.float64]], members: Iterable[ClientId]
) -> dict[ClientId, NDArray[np.float64]]:
    """The vectors that ``sums`` determine exactly when every member has the same one in all rounds.

    Args:
        sums: set of clients -> sum of their vectors, (k,).
        members: everybody who is in some set.

    Returns:
        client -> (k,), for those whose unit vector is in the span of the sets' indicators.
    """
    order = sorted(members)
    rows = np.array([[client in of for client in order] for of in sums], dtype=np.float64)
    inverse = np.linalg.pinv(rows)
    found = inverse @ np.stack(list(sums.values()))
    leverage = np.einsum("ij,ji->i", inverse, rows)  # 1: the span holds that client alone
    return {
        client: vector
        for client, vector, share in zip(order, found, leverage, strict=True)
        if share > 1 - 1e-9
    }


def test_three_overlapping_totals_of_one_model_and_that_of_everybody_solve_for_three_clients() -> (
    None
):
    own = np.random.default_rng(1).normal(size=(21, 6))
    v, a, b, core = 0, 1, 2, set(range(3, 21))
    overlapping = [core | {v, a}, core | {v, b}, core | {a, b}]
    assert min(map(len, overlapping)) >= PARAMS.fewest_present(30, False)
    found = solve(sums_of([*overlapping, core | {v, a, b}], own), map(ClientId, range(21)))
    assert set(found) == {v, a, b}
    for client, vector in found.items():
        np.testing.assert_allclose(vector, own[client], atol=1e-9)


def test_without_the_sum_of_everybody_the_three_show_differences_only() -> None:
    own = np.random.default_rng(1).normal(size=(21, 6))
    core = set(range(3, 21))
    assert not solve(
        sums_of([core | {0, 1}, core | {0, 2}, core | {1, 2}], own), map(ClientId, range(21))
    )


@pytest.mark.parametrize(
    "design",
    [
        halves(MEMBERS, PARAMS),
        one_out(MEMBERS, PARAMS),
        *(design(MEMBERS, PARAMS, VICTIM) for design in (aimed, triples, nested)),
    ],
)
def test_designs_stay_within_what_clients_accept(design: Design) -> None:
    played = companies(design, 12, seed=1)
    for company in played:
        company.check(len(MEMBERS), PARAMS)
    assert played == companies(design, 12, seed=1)


def test_what_clients_refuse_is_no_design() -> None:
    groups = companies(halves(MEMBERS, PARAMS), 1, seed=2)[0].groups
    with pytest.raises(ValueError, match="total of 10 of 30"):
        Company(groups, (0, 1)).check(30, PARAMS)
    with pytest.raises(ValueError, match="15 of 30 members"):
        Company(groups[:3], (0, 1)).check(30, PARAMS)


@pytest.mark.parametrize("design", [triples, nested])
def test_overlaps_single_out_the_victim(
    design: Callable[[tuple[ClientId, ...], RoundParams, ClientId], Design],
) -> None:
    """Updates that never change, nothing of them in the statistics."""
    rng = np.random.default_rng(3)
    own = rng.normal(size=(30, 60)).astype(np.float32)
    everybody = TruthRecorder()
    for index in range(9):
        for client in MEMBERS:
            everybody.statistics[index, client] = np.zeros(1)
            everybody.inside[index, client] = np.zeros(60, dtype=np.float32)
            everybody.outside[index, client] = own[client]

    def of(design: Design) -> dict[ClientId, float]:
        records = records_of(companies(design, 9, seed=4))
        found = account(
            records,
            group_size=5,
            colluders=3,
            quantisation_bits=16,
            truth=truth_of(records, everybody),
        )
        assert found.update_recovery_of is not None
        return found.update_recovery_of

    aimed_at = of(design(MEMBERS, PARAMS, VICTIM))
    assert aimed_at[VICTIM] > 0.7
    assert aimed_at[VICTIM] > np.mean(list(aimed_at.values())) + 0.3
    assert of(halves(MEMBERS, PARAMS))[VICTIM] < aimed_at[VICTIM]
    assert np.mean(list(of(one_out(MEMBERS, PARAMS)).values())) < np.mean(
        list(of(halves(MEMBERS, PARAMS)).values())
    )
