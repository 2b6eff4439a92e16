"""Back-off: arithmetic on a clock that the test sets."""

from __future__ import annotations

import pytest
from auror_client.reconnect import FIRST_PAUSE, LONGEST_PAUSE, Reconnection


def test_pauses_double_up_to_the_longest() -> None:
    again = Reconnection(1e9, 0.0, lambda: 0.5)
    pauses = [again.pause(0.0) for _ in range(9)]
    assert pauses == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0]


def test_after_a_message_they_begin_anew() -> None:
    again = Reconnection(1e9, 0.0, lambda: 0.5)
    for _ in range(5):
        again.pause(0.0)
    again.heard()
    assert again.pause(0.0) == FIRST_PAUSE


def test_pauses_are_spread_over_half_to_one_and_a_half() -> None:
    drawn = iter([0.0, 0.999] * 20)
    again = Reconnection(1e9, 0.0, lambda: next(drawn))
    for _ in range(10):
        again.pause(0.0)
    assert again.pause(0.0) == LONGEST_PAUSE / 2
    assert again.pause(0.0) == pytest.approx(1.499 * LONGEST_PAUSE)


def test_it_gives_up_when_there_was_no_connection_for_so_long() -> None:
    again = Reconnection(30.0, 100.0, lambda: 0.5)
    assert again.pause(130.0) is not None
    assert again.pause(130.1) is None
    again.lost(200.0)  # there was one until now
    assert again.pause(230.0) is not None
    assert again.pause(231.0) is None
    assert again.silent(231.0) == 31.0
