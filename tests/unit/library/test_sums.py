"""A masked sum of one's own vectors: exact, whoever is lost, or refused in one line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auror import masked_sum
from auror.errors import ConfigError, DataError


@given(
    st.integers(2, 6).flatmap(
        lambda n: st.lists(
            st.lists(st.integers(-(2**59), 2**59), min_size=3, max_size=3), min_size=n, max_size=n
        )
    )
)
def test_whole_numbers_sum_exactly(rows: list[list[int]]) -> None:
    found = masked_sum(rows)
    assert found.dtype == np.int64
    assert found.tolist() == [sum(column) for column in zip(*rows, strict=True)]


def test_floats_sum_exactly_in_steps_and_keep_their_shape() -> None:
    rng = np.random.default_rng(1)
    values = [rng.normal(size=(2, 3)) for _ in range(5)]
    found = masked_sum(values)
    assert found.shape == (2, 3)
    steps = [np.rint(value * 2**24).astype(np.int64) for value in values]
    np.testing.assert_array_equal(found, np.sum(steps, axis=0) / 2**24)
    np.testing.assert_allclose(found, np.sum(values, axis=0), atol=5 * 2.0**-25)
    np.testing.assert_array_equal(masked_sum([[1.25], [0.5]], step=0.25), [1.75])


def test_who_is_lost_before_the_upload_is_not_in_the_sum_who_is_lost_after_is() -> None:
    vectors = {client: [10**client] for client in range(6)}
    found = masked_sum(vectors, threshold=4, lost_before_upload=[1], lost_after_upload=[4])
    assert found.tolist() == [111_101]


@pytest.mark.parametrize(
    ("vectors", "options", "kind", "words"),
    [
        ([[1]], {}, ConfigError, "at least 2 clients"),
        ([[1], [1, 2]], {}, DataError, "one shape"),
        ([[], []], {}, DataError, "at least one entry"),
        ([[1.0], [float("nan")]], {}, DataError, "client 1 gives NaN"),
        ([[1], ["a"]], {}, DataError, "whole numbers or floats"),
        ([[2**62], [2**62]], {}, DataError, "smaller numbers"),
        ([[1e30], [1.0]], {}, DataError, "a larger step"),
        ([[1.0], [1.0]], {"step": 0.0}, ConfigError, "step = 0.0"),
        ([[1]] * 4, {"threshold": 2}, ConfigError, "choose 3 … 4"),
        ([[1]] * 4, {"threshold": 5}, ConfigError, "choose 3 … 4"),
        ([[1]] * 4, {"lost_before_upload": [0], "lost_after_upload": [1]}, ConfigError, "2 of 4"),
        ([[1]] * 4, {"lost_before_upload": [7]}, ConfigError, "client 7 cannot be lost"),
    ],
)
def test_what_cannot_be_summed_is_one_line_with_the_fix(
    vectors: list[list[int]], options: dict[str, object], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        masked_sum(vectors, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
