"""Parameters are checked when made; errors quote the arithmetic and name the fix."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from auror.errors import ConfigError
from auror.ids import ClientId
from auror.params import Budget, OwnRules, PlanCaps, RoundParams
from auror.round.arithmetic import check_round
from auror.round.public import draw_groups
from auror.secagg.topology import Topology


@pytest.mark.parametrize("n", range(2, 60))
def test_thresholds_are_the_smallest_safe_ones(n: int) -> None:
    for c in range(n - 1):
        found = Topology.for_cohort(n, c)
        assert found.shares == found.quorum <= n
        assert 2 * found.shares > n + c >= 2 * (found.shares - 1)
        assert found.silent == n - found.quorum
    with pytest.raises(ConfigError, match=f"at most {n - 2}"):
        Topology.for_cohort(n, n - 1)


def test_liveness_is_checked_with_its_arithmetic() -> None:
    found = Topology.for_cohort(30, 9)
    assert (found.shares, found.silent) == (20, 10)
    found.check_liveness(10)
    with pytest.raises(ConfigError, match="x ≤ 10"):
        found.check_liveness(11)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("group_size", 0),
        ("colluders", -1),
        ("quantisation_bits", 1),
        ("quantisation_bits", 25),
        ("quantisation_range", 0.0),
        ("quantisation_range", float("nan")),
        ("quantisation_range", float("inf")),
        ("challenge_rows", -1),
        ("min_accepted_groups", 0),
        ("max_attempts", 0),
    ],
)
def test_round_parameters_out_of_range(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=field) as error:
        RoundParams(**{field: value})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (OwnRules, "min_group", 0),
        (OwnRules, "min_present", 0),
        (OwnRules, "min_accepted", 0),
        (OwnRules, "max_openings", 0),
        (OwnRules, "max_statistics", -1),
        (PlanCaps, "max_statistics", -1),
        (PlanCaps, "max_coefficient_bits", 0),
        (PlanCaps, "max_row_norm_bits", 0),
        (Budget, "max_openings", -1),
        (Budget, "max_totals", -1),
        (Budget, "max_steps", -1),
        (Budget, "max_disputed", -1),
        (Budget, "max_watched", 0),
    ],
)
def test_rules_out_of_range(kind: type, field: str, value: Any) -> None:
    whole = dict.fromkeys((one.name for one in fields(Budget)), 9)
    with pytest.raises(ConfigError, match=field) as error:
        kind(**{**(whole if kind is Budget else {}), field: value})
    assert "\n" not in str(error.value)


def test_a_total_holds_two_honest_clients_and_half_of_the_cohort() -> None:
    alone = RoundParams(group_size=1, colluders=9)
    assert alone.fewest_accepted(cohort=12, members=30) == 11  # c + 2
    assert alone.fewest_accepted(cohort=30, members=30) == 15
    grouped = RoundParams(group_size=5, colluders=9)
    assert grouped.fewest_accepted(cohort=12, members=30) == 14  # c + g
    assert grouped.fewest_accepted(cohort=12, members=12) == 12  # everybody, no more
    assert grouped.fewest_present(members=30, disputed=False) == 20
    assert grouped.fewest_present(members=30, disputed=True) == 15
    assert grouped.fewest_present(members=20, disputed=True) == 14


@pytest.mark.parametrize("n", range(2, 40))
def test_no_group_is_smaller_than_the_configured_size(n: int) -> None:
    """A group loses nobody: it is drawn over U3, and opens whole or not at all."""
    uploaded = tuple(ClientId(3 * i) for i in range(n))
    for g in range(1, n + 1):
        sizes = [len(group) for group in draw_groups(bytes(32), uploaded, g)]
        assert sum(sizes) == n
        assert len(sizes) == n // g
        assert min(sizes) >= g
        assert max(sizes) - min(sizes) <= 1
    with pytest.raises(ValueError, match=f"{n} clients make no group of {n + 1}"):
        draw_groups(bytes(32), uploaded, n + 1)


def test_round_that_cannot_work() -> None:
    params = RoundParams(group_size=5, colluders=1)
    assert check_round(params, 10).shares == 6
    for changed, cohort, norm, text in (
        (params, 1, 0, "at least 2"),
        (params, 4, 0, "larger than the cohort"),
        (RoundParams(group_size=5, colluders=1, min_accepted_groups=3), 10, 0, "lower one"),
        (RoundParams(quantisation_bits=24, colluders=1), 257, 0, "quantisation_bits ≤ 23"),
        (params, 10, 2**44, "statistics overflow"),
        (RoundParams(group_size=2, colluders=9), 10, 0, "two clients must be honest"),
    ):
        with pytest.raises(ConfigError, match=text):
            check_round(changed, cohort, norm)
    check_round(RoundParams(quantisation_bits=24, colluders=1), 256)
    largest = (2**63 - 1) // (10 * (2**16 - 1))
    check_round(params, 10, largest)
    with pytest.raises(ConfigError, match="2\\^63"):
        check_round(params, 10, largest + 1)
