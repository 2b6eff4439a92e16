"""Numbers drawn for load tests, as they are written."""

from __future__ import annotations

import numpy as np
import pytest

from auror.distribution import Distribution
from auror.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "middle", "lowest"),
    [
        ("2", 2.0, 2.0),
        ("uniform:1:3", 2.0, 1.0),
        ("exponential:2", 2 * np.log(2), 0.0),
        ("lognormal:2:0.5", 2.0, 0.0),
    ],
)
def test_what_is_drawn(text: str, middle: float, lowest: float) -> None:
    rng = np.random.default_rng(1)
    found = [Distribution.parse("delay", text).draw(rng) for _ in range(2000)]
    assert np.median(found) == pytest.approx(middle, rel=0.06)
    assert min(found) >= lowest


@pytest.mark.parametrize(
    "text",
    ["", "x", "-1", "nan", "inf", "uniform:3", "uniform:3:1", "lognormal:1", "normal:0:1", "2:3"],
)
def test_anything_else_is_an_error_that_says_what_to_choose(text: str) -> None:
    with pytest.raises(ConfigError, match=r"delay = .*: choose 2, uniform:LOW:HIGH"):
        Distribution.parse("delay", text)
