"""A cohort that suddenly teaches something else."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from auror.defence.change import FACTOR, MEMORY, ChangeWatch

CLASSES, READY = 10, 3 + 10 + 10
"""A baseline of three, ten that tell what is usual, and ten z."""


def rows(rounds: int, seed: int, jump: float = 0.0, at: int = 0) -> NDArray[np.float64]:
    """(rounds, C, C) around a level that fades; from round ``at`` on samples of 4 that count
    ``jump`` of an entry's usual change more are labelled 9."""
    rng = np.random.default_rng(seed)
    usual = np.exp(0.5 * rng.normal(size=(CLASSES, CLASSES)))
    level = 5.0 * rng.normal(size=(CLASSES, CLASSES))
    noise = usual * rng.normal(size=(rounds, CLASSES, CLASSES))
    noise[at:, 9, 4] += jump * usual[9, 4]
    noise[at:, 4, 4] -= jump * usual[4, 4]
    return np.asarray((level + noise) * (0.1 * 0.97 ** np.arange(rounds))[:, None, None])


def told(series: NDArray[np.float64]) -> list[int]:
    watch = ChangeWatch()
    return [at for at, one in enumerate(series) if watch.tell(one)]


def test_nothing_changes_where_nobody_begins_to_lie() -> None:
    alarms = [told(rows(60, seed)) for seed in range(20)]
    # 36 rounds each: chance alone makes a z the largest of 21 in some of them, not three times so
    assert sum(map(len, alarms)) <= 2


@pytest.mark.parametrize("seed", range(5))
def test_who_begins_to_lie_shows_in_the_first_round(seed: int) -> None:
    assert 40 in told(rows(60, seed, jump=20.0, at=40))
    assert 40 not in told(rows(60, seed, jump=0.5, at=40))


def test_nothing_is_said_before_enough_rounds_have_told_what_is_usual() -> None:
    for at in range(1, READY + 4):
        assert (at in told(rows(at + 1, 0, jump=40.0, at=at))) == (at >= READY)


def test_a_change_is_no_measure_of_the_next_one() -> None:
    """Who begins to lie after others did is seen as well."""
    series = rows(80, 3, jump=20.0, at=40)
    scale = 0.1 * 0.97 ** np.arange(80)
    series[60:, 1, 7] += 40.0 * scale[60:]
    assert {40, 60} <= set(told(series))


def test_a_change_that_stays_is_what_is_usual_after_a_while() -> None:
    """From round 60 on the samples of one of 43 classes vary more, and nobody lies."""
    rng, classes = np.random.default_rng(1), 43
    usual = np.ones((120, classes, classes))
    usual[60:, :, 3] = 8.0
    found = told(usual * rng.normal(size=usual.shape))
    assert found[:10] == list(range(60, 70))
    assert len(found) <= 12


def test_entries_that_stand_still_leave_nothing_to_compare_with() -> None:
    rng, watch = np.random.default_rng(0), ChangeWatch()
    for _ in range(40):
        one = np.zeros((CLASSES, CLASSES))
        one[0, 0] = 1e6 * rng.normal()
        assert not watch.tell(one)
    assert np.isfinite([*watch.seen, *watch.usual.ravel()]).all()


def test_what_is_no_number_is_passed_over() -> None:
    watch = ChangeWatch()
    assert not watch.tell(np.full((CLASSES, CLASSES), np.nan))
    assert not watch.tell(np.full((CLASSES, CLASSES), np.inf))
    assert len(watch.recent) == 0
    assert not any(watch.tell(np.zeros((CLASSES, CLASSES))) for _ in range(40))


def test_kept_and_read_again_it_says_the_same() -> None:
    series = rows(60, 1, jump=20.0, at=45)
    straight, kept = ChangeWatch(), ChangeWatch()
    for one in series:
        assert straight.tell(one) == kept.tell(one)
        written = json.dumps(kept.to_dict())
        assert written == json.dumps(straight.to_dict())
        kept = ChangeWatch.from_dict(json.loads(written))
    assert len(straight.seen) == MEMORY
    assert FACTOR > 1.0
