"""Who is cleared: looked at closely enough, and nothing against it."""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from auror.defence import clearing
from auror.defence.blocks import PAIR_SPREADS
from auror.defence.clearing import SMALLEST, cleared, widest, widths
from auror.defence.confusion import Depleted, Mislabelled
from auror.defence.gaussian import Gaussians
from auror.defence.selection import Block, Cohort, Finding, Selection, examined
from auror.defence.spike_slab import USUAL, Posterior

N = 6
ALPHA = 0.01
AROUND = Cohort(np.ones(N, dtype=np.bool_), 5.0, frozenset(range(N)), 2.0)


def block(told: float, spread: float = 1.0, *, fades: bool = False) -> Block:
    """Sums that tell every client's value with precision ``told``."""
    one = np.ones(1)
    return Block(
        (Mislabelled(1, 0),), [], one, Gaussians(told * np.eye(N)), np.zeros((1, N)), PAIR_SPREADS,
        spread * one, one, one, one, 0.0 * one, fades, alike=True,
    )  # fmt: skip


def finding(
    effect: list[float],
    deviation: float = 0.3,
    inclusion: float = 0.5,
    score: float = 5.0,
    members: tuple[int, ...] = (),
) -> Finding:
    belief = Posterior(score, np.full(N, inclusion), np.array(effect), np.full(N, deviation))
    return Finding(block(100.0), 0, USUAL, belief, score, members)


def chosen(*found: Finding, rest: Finding | None = None, unfinished: bool = False) -> Selection:
    return Selection(found, None, rest, unfinished, 0.0, 4.6)


@pytest.mark.parametrize("alpha", [0.001, 0.01, 0.05])
def test_at_the_widest_width_both_errors_of_a_test_of_one_client_are_alpha(alpha: float) -> None:
    width = widest(alpha)
    assert width > 0
    liar = NormalDist(SMALLEST, width)
    honest = NormalDist(0.0, np.sqrt(1 + width**2))
    line = liar.inv_cdf(alpha)
    assert 1 - honest.cdf(line) == pytest.approx(alpha)
    assert widest(alpha / 2) < width


def test_an_error_rate_that_no_width_reaches_clears_nobody() -> None:
    assert widest(1e-6) < 0
    assert cleared([block(1e9)], chosen(), AROUND, 1e-6) == frozenset()


def test_widths_are_what_the_sums_leave_open_in_honest_spreads() -> None:
    np.testing.assert_allclose(widths(block(4.0), []), 0.5)
    np.testing.assert_allclose(widths(block(4.0, spread=2.0), []), 0.25)
    assert np.all(np.isinf(widths(block(0.0), [])))
    # two clients that only ever sat together: their sum is known, each of them is not
    together = replace(block(0.0), gaussians=Gaussians(100.0 * np.ones((N, N))))
    assert widths(together, [])[0] > 1.5
    assert widths(together, [1])[0] > widths(together, [])[0]


def test_cleared_is_who_was_seen_closely_enough_in_every_lasting_family() -> None:
    enough, little = 1 / widest(ALPHA) ** 2 * 1.01, 1 / widest(ALPHA) ** 2 * 0.99
    everybody = frozenset(range(N))
    assert cleared([block(enough)], chosen(), AROUND, ALPHA) == everybody
    assert cleared([block(enough), block(little)], chosen(), AROUND, ALPHA) == frozenset()
    fading = block(little, fades=True)
    assert cleared([block(enough), fading], chosen(), AROUND, ALPHA) == everybody
    assert cleared([fading], chosen(), AROUND, ALPHA) == frozenset()  # labels were not judged
    uneven = replace(block(enough), gaussians=Gaussians(np.diag([enough] * 5 + [little])))
    assert cleared([uneven], chosen(), AROUND, ALPHA) == frozenset(range(5))
    unseen = replace(AROUND, seen=np.array([True] * 5 + [False]))
    assert cleared([block(enough)], chosen(), unseen, ALPHA) == frozenset(range(5))


def test_nobody_is_cleared_whom_a_reading_speaks_against() -> None:
    seen = [block(1e3)]
    low, high = SMALLEST - 2.33 * 0.3 - 0.01, SMALLEST - 2.32 * 0.3 + 0.01
    doubtful = finding([low, high, *[0.0] * 4])
    others = frozenset(range(N)) - {1}
    assert cleared(seen, chosen(rest=doubtful), AROUND, ALPHA) == others
    # a large effect that is hardly anybody's lie does not count: the choice of reading is paid
    unlikely = finding([low, high, *[0.0] * 4], inclusion=0.9, score=-4.6)
    assert cleared(seen, chosen(rest=unlikely), AROUND, ALPHA) == frozenset(range(N))
    likelier = finding([low, high, *[0.0] * 4], inclusion=0.9, score=-4.4)
    assert cleared(seen, chosen(rest=likelier), AROUND, ALPHA) == others


LIARS = {1, 4}


def shown(alike: bool) -> Block:
    """Three readings of 30 clients, in the second of which ``LIARS`` stand out by 9 spreads."""
    truth = np.random.default_rng(0).normal(size=(3, 30))
    truth[1, list(LIARS)] = 9.0
    ones = np.ones(3)
    readings = (Depleted(0), Depleted(1), Depleted(2))
    return Block(
        readings, [], np.ones(0), Gaussians(20.0 * np.eye(30)), truth * 20.0, PAIR_SPREADS,
        ones, ones, ones, 20.0 * ones, 0.0 * ones, alike=alike,
    )  # fmt: skip


MANY = Cohort(np.ones(30, dtype=np.bool_), 5.0, frozenset(range(30)), 5.0)


def test_where_a_glance_may_miss_liars_the_strongest_reading_is_examined() -> None:
    """Here it missed them: nothing was chosen."""
    honest = frozenset(range(30)) - LIARS
    assert cleared([shown(alike=False)], chosen(), MANY, ALPHA) == honest
    assert cleared([shown(alike=True)], chosen(), MANY, ALPHA) == frozenset(range(30))


def test_what_cannot_be_examined_clears_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "examined", lambda *_: ([], -np.inf))
    assert cleared([shown(alike=False)], chosen(), MANY, ALPHA) == frozenset()


def test_the_only_family_that_lasts_is_not_corrected_for_its_readings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    corrections: list[float] = []

    def noted(block: Block, flagged: list[int], choice: float) -> tuple[list[Finding], float]:
        corrections.append(choice)
        return examined(block, flagged, choice)

    monkeypatch.setattr(clearing, "examined", noted)
    alone, pairs, fading = shown(alike=False), shown(alike=True), replace(shown(True), fades=True)
    cleared([alone, fading], chosen(), MANY, ALPHA)
    cleared([alone, pairs], chosen(), MANY, ALPHA)
    assert corrections == [0.0, pytest.approx(np.log(6))]


def test_whoever_is_found_is_not_cleared_and_others_by_the_reading_that_found_them() -> None:
    seen = [block(1e3)]
    found = finding([9.0, 3.9, *[0.0] * 4], members=(0,))
    assert cleared(seen, chosen(found), AROUND, ALPHA) == frozenset({2, 3, 4, 5})
    assert cleared(seen, chosen(found, unfinished=True), AROUND, ALPHA) == frozenset()
