"""Parameters are checked when made; errors quote the arithmetic and name the fix."""

from __future__ import annotations

from typing import Any

import pytest

from auror.errors import ConfigError
from auror.params import ClientPolicy, RoundParams
from auror.round.arithmetic import check_round
from auror.secagg.topology import Topology


@pytest.mark.parametrize("n", range(2, 60))
def test_thresholds_are_the_smallest_safe_ones(n: int) -> None:
    for c in range(n - 1):
        found = Topology.for_cohort(n, c)
        assert found.shares == found.quorum(n) <= n
        assert 2 * found.shares > n + c >= 2 * (found.shares - 1)
        assert found.silent == n - found.quorum(n)
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
    "field",
    ["min_cohort", "min_group", "min_accepted", "colluders", "max_statistics", "max_left_out",
     "max_attempts"],
)  # fmt: skip
def test_policy_out_of_range(field: str) -> None:
    with pytest.raises(ConfigError, match=field):
        ClientPolicy(**{field: -1})


def test_policy_wants_two_honest_clients_in_a_total() -> None:
    assert ClientPolicy(colluders=9).accepted_floor() == 11
    assert ClientPolicy(min_accepted=20, colluders=9).accepted_floor() == 20


@pytest.mark.parametrize(("g", "floor"), [(1, 1), (2, 2), (3, 2), (5, 3), (10, 6), (15, 9)])
def test_smallest_group(g: int, floor: int) -> None:
    assert RoundParams(group_size=g).smallest_group() == floor


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
