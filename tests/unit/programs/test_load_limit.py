"""What a load test waited for, by the cores at work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from load_kit import looks

from auror.programs import load_limit
from auror.programs.load_limit import Cores

TIMINGS: list[dict[str, Any]] = [
    {"phases": {"upload": {"seconds": 3.0}, "unmask": {"seconds": 1.0}}},
    {"phases": {"upload": {"seconds": 1.0}, "unmask": {"seconds": 2.0}}},
]


def test_cores_are_counted_while_rounds_are_played() -> None:
    seen = looks(0.25, (0.5, 0.125), 1.0)
    assert load_limit.cores_at_work(seen, 2) == Cores(0.25, 0.62, 0.5, 0.12, 2)
    idle = [replace(one, playing=False) for one in seen]
    assert load_limit.cores_at_work(idle, 2) is None


@pytest.mark.parametrize(
    ("cores", "said"),
    [
        (Cores(0.3, 1.5, 0.8, 0.1, 2), "CPU, most of it taken by clients"),
        (Cores(1.2, 0.6, 0.3, 0.1, 2), "CPU, most of it taken by server"),
        (Cores(0.3, 0.5, 0.3, 1.1, 2), "CPU, most of it taken by other programs"),
        (Cores(0.9, 0.3, 0.2, 0.1, 8), "the server's one event loop"),
        (Cores(0.2, 0.95, 0.95, 0.0, 8), "more --workers"),
        (Cores(0.1, 0.1, 0.1, 0.0, 2), "waiting, not CPU"),
    ],
)
def test_the_limit_is_what_is_used_up(cores: Cores, said: str) -> None:
    found = load_limit.limit_of(cores, TIMINGS, {})
    assert said in found
    assert f"of {cores.all}" in found


def test_the_longest_phase_is_that_of_all_rounds() -> None:
    assert load_limit.longest_phase(TIMINGS) == "upload"
    assert load_limit.limit_of(None, TIMINGS, {}) == "the rounds were too short to look at"


BUSY, IDLE = Cores(0.03, 0.06, 0.03, 1.9, 2), Cores(0.03, 0.06, 0.03, 0.1, 2)


def test_cores_that_others_take_hide_what_else_is_waited_for() -> None:
    found = load_limit.limit_of(BUSY, TIMINGS, {"delay": "", "bandwidth": ""})
    assert found.startswith("other programs take the CPU: what links, delays and deadlines cost")
    assert "most of it" not in found
    assert "asked for" not in found


def test_waits_that_were_asked_for_are_named() -> None:
    asked = {"delay": "3", "bandwidth": "uniform:1:2"}
    assert "; asked for: delay 3, bandwidth uniform:1:2 (" in load_limit.limit_of(
        BUSY, TIMINGS, asked
    )
    assert "waiting, not CPU: what was asked for (delay 3), links" in load_limit.limit_of(
        IDLE, TIMINGS, {"delay": "3", "bandwidth": ""}
    )
