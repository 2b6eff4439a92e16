"""Silence: who pauses after how many rounds, by calculation and by drawing."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from auror.ids import ClientId
from auror.training.attendance import LIMIT, OFTEN, TOLERATED, UNPUNISHED, Attendance

ONE, TWO = ClientId(1), ClientId(2)
STEPS = 1600


def rounds_to_pause(silent: float) -> float:
    """Mean rounds until a client that is silent with that chance pauses: the chain of its sums, in
    ``STEPS`` steps up to the limit, solved."""
    up, down = math.log(OFTEN / TOLERATED), math.log((1 - OFTEN) / (1 - TOLERATED))
    width = LIMIT / STEPS
    moves = np.zeros((STEPS, STEPS))
    for at in range(STEPS):
        if at * width + up < LIMIT:
            moves[at, min(round(at + up / width), STEPS - 1)] += silent
        moves[at, max(round(at + down / width), 0)] += 1.0 - silent
    return float(np.linalg.solve(np.eye(STEPS) - moves, np.ones(STEPS))[0])


@pytest.mark.parametrize(
    ("silent", "least", "most"),
    [(1.0, 9, 9), (0.7, 15, 18), (0.5, 35, 42), (0.2, 1e4, 1e6), (0.1, 1e7, 1e9)],
)
def test_the_rounds_that_the_docstring_states(silent: float, least: float, most: float) -> None:
    assert least - 1e-6 <= rounds_to_pause(silent) <= most + 1e-6


@pytest.mark.parametrize("silent", [1.0, 0.7, 0.5])
def test_the_calculation_is_what_happens(silent: float) -> None:
    rng, runs = np.random.default_rng(5), []
    for _ in range(400):
        attendance, index = Attendance(), 0
        while not attendance.paused(index):
            gone = [ONE] if rng.random() < silent else []
            attendance.book([] if gone else [ONE], gone, index)
            index += 1
        runs.append(index)
    assert np.mean(runs) == pytest.approx(rounds_to_pause(silent), rel=0.15)


def test_honest_clients_that_drop_out_of_a_tenth_of_their_rounds_do_not_pause() -> None:
    """Fewer than one in 1,000 client-rounds; of 30,000 here, none."""
    rng, attendance, paused = np.random.default_rng(6), Attendance(), 0
    everybody = [ClientId(client) for client in range(30)]
    for index in range(1000):
        gone = [client for client in everybody if rng.random() < 0.1]
        attendance.book([c for c in everybody if c not in gone], gone, index)
        paused += len(attendance.paused(index + 1))
    assert paused == 0


def test_pauses_double_while_a_client_stays_silent_and_it_comes_back_each_time() -> None:
    attendance, invited = Attendance(), []
    for index in range(60):
        if ONE not in attendance.paused(index):
            invited.append(index)
            attendance.book([TWO], [ONE], index)
    assert invited == [*range(9), 10, 13, 18, 27, 44]
    assert attendance.paused(60) == {ONE}


def test_answering_undoes_it_and_the_next_pause_is_short_again() -> None:
    attendance = Attendance()
    for index in range(10):
        attendance.book([], [ONE], index)
    assert attendance.pauses[ONE] == 2
    index = attendance.until[ONE]
    while attendance.sums:
        attendance.book([ONE], [], index)
        index += 1
    assert attendance.pauses == {}
    for _ in range(9):
        attendance.book([], [ONE], index)
        index += 1
    assert attendance.until[ONE] == index + 1


def test_who_came_late_was_not_silent() -> None:
    late, silent = Attendance(), Attendance()
    for index in range(30):
        for attendance in (late, silent):
            attendance.book([], [ONE], index)
        late.came([ONE, TWO])
        late.came([ONE])  # once a round
        assert late.paused(index + 1) == frozenset()
    assert late.sums == {}
    assert silent.paused(30) == {ONE}


def test_who_is_silent_at_the_rate_that_is_not_punished_stays_about_where_it_is() -> None:
    up, down = math.log(OFTEN / TOLERATED), math.log((1 - OFTEN) / (1 - TOLERATED))
    assert UNPUNISHED * up + (1 - UNPUNISHED) * down == pytest.approx(0.0)
    assert pytest.approx(0.39, abs=0.005) == UNPUNISHED


def test_it_survives_as_json() -> None:
    attendance = Attendance()
    for index in range(12):
        attendance.book([], [ONE], index)
    assert Attendance.from_dict(json.loads(json.dumps(attendance.to_dict()))) == attendance
