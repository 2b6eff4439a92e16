"""Late parts of a run that are judged by themselves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from worlds import client_statistics, cohort, grouped

from auror.defence import verdict
from auror.defence.verdict import Reason, VerdictParams, judge
from auror.defence.windows import WHOLE, Window, late_windows
from auror.ids import ClientId

N, SIZE = 30, 5
SLEEPERS = frozenset({3, 8, 17, 21})


def waking(rounds: int, wakes: int, seed: int, *, effect: float = 15.0) -> NDArray[np.float64]:
    """Client statistics (rounds, N, 10, 10) of liars who behave in the first ``wakes`` rounds."""
    calm, lying = (
        client_statistics(
            rounds, N, np.random.default_rng(seed), malicious=tuple(sorted(who)), effect=effect
        )
        for who in (frozenset(), SLEEPERS)
    )
    return np.concatenate([calm[:wakes], lying[wakes:]])


def test_windows_are_the_last_rounds_from_starts_that_no_evidence_moves() -> None:
    shares: dict[tuple[int, int], float] = {}
    for rounds in range(400):
        found = late_windows(rounds)
        lengths = [rounds - window.start for window in found]
        assert lengths == sorted(lengths, reverse=True)
        for window, length in zip(found, lengths, strict=True):
            kind = int(math.log2(length))
            assert kind >= 3
            assert window.start > 0
            assert window.start % 2**kind == 0
            # what a window may spend is the same at every look into it
            assert shares.setdefault((kind, window.start), window.share) == window.share
    assert len(shares) > 80
    assert 0.07 < sum(shares.values()) <= 1.0 - WHOLE


@pytest.mark.parametrize(
    ("rounds", "starts"), [(15, []), (16, [8]), (31, [16]), (32, [16, 24]), (60, [32, 48])]
)
def test_a_window_is_judged_from_its_eighth_round_on(rounds: int, starts: list[int]) -> None:
    assert [window.start for window in late_windows(rounds)] == starts


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("wakes", [40, 43])
def test_who_begins_to_lie_late_is_found_in_sixteen_rounds(seed: int, wakes: int) -> None:
    told = grouped(waking(wakes + 16, wakes, seed), SIZE, np.random.default_rng(seed))
    found = judge(told, VerdictParams(), cohort(N))
    assert found.flagged == SLEEPERS
    assert found.rounds[0] >= wakes


def test_all_rounds_together_do_not_find_them(monkeypatch: pytest.MonkeyPatch) -> None:
    told = grouped(waking(56, 40, 0), SIZE, np.random.default_rng(0))
    monkeypatch.setattr(verdict, "late_windows", lambda _rounds: ())
    assert not judge(told, VerdictParams(), cohort(N)).flagged


def test_a_window_pays_for_being_one_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    told = grouped(waking(56, 40, 0), SIZE, np.random.default_rng(0))
    found = judge(told, VerdictParams(), cohort(N))
    window = late_windows(56)[-1]
    assert found.required == pytest.approx(-math.log(window.share * VerdictParams().alpha))
    assert found.params == VerdictParams()  # what was stated, not this window's part of it
    dear = Window(window.start, math.exp(-found.strength - 1.0) / VerdictParams().alpha)
    monkeypatch.setattr(verdict, "late_windows", lambda _rounds: (dear,))
    assert not judge(told, VerdictParams(), cohort(N)).flagged


def test_who_was_flagged_before_stays_flagged_beside_who_lies_now() -> None:
    """The first camp is left out once it is flagged, and is in none of the late rounds."""
    camp = frozenset({1, 2, 5, 9, 11})
    early = client_statistics(
        20, N, np.random.default_rng(4), malicious=tuple(camp), source=1, target=7, effect=15.0
    )
    rest = [client for client in range(N) if client not in camp]
    told = grouped(early, SIZE, np.random.default_rng(4))
    late = grouped(waking(36, 0, 5)[20:, rest], SIZE, np.random.default_rng(5))
    for entry in late.rounds:
        groups = tuple(
            replace(group, members=tuple(ClientId(rest[m]) for m in group.members))
            for group in entry.groups
        )
        told.append(replace(entry, round_index=20 + entry.round_index, groups=groups))
    invited = [client for client in cohort(N) if client in rest]
    found = judge(told, VerdictParams(), invited)
    assert found.flagged == camp | SLEEPERS
    assert {entry.client for entry in found.clients if entry.flagged} == camp | SLEEPERS


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    ("source", "target", "effect", "late"), [(1, 7, 15.0, 15.0), (4, 9, 60.0, 30.0)]
)
def test_who_is_accused_and_still_invited_hides_no_sleeper(
    source: int, target: int, effect: float, late: float, seed: int
) -> None:
    """As long as no audit confirms what all rounds show, whom they accuse stays in the groups."""
    camp = (1, 2, 5)
    always = client_statistics(
        56,
        N,
        np.random.default_rng(seed),
        malicious=camp,
        source=source,
        target=target,
        effect=effect,
    )
    shown = waking(56, 40, seed, effect=late)
    shown[:, camp] = always[:, camp]
    told = grouped(shown, SIZE, np.random.default_rng(seed))
    found = judge(told, VerdictParams(), cohort(N))
    assert found.flagged == SLEEPERS.union(camp)
    assert found.rounds[0] >= 40
    assert set(found.indications[0].clients).difference(camp) == SLEEPERS
    assert not found.cleared & found.flagged


def test_in_large_cohorts_who_is_gone_is_no_part_of_a_window() -> None:
    """Above ``gaussian.EXACT_UP_TO`` a free effect of clients in no group would cover the rest."""
    count, gone, sleepers = 150, range(40), range(40, 49)
    rng = np.random.default_rng(1)
    told = grouped(client_statistics(16, count, rng, malicious=tuple(gone), effect=15.0), SIZE, rng)
    calm, lying = (
        client_statistics(32, count, np.random.default_rng(2), malicious=who, effect=15.0)
        for who in ((), tuple(sleepers))
    )
    rest = list(range(40, count))
    late = grouped(np.concatenate([calm[:16], lying[16:]])[:, rest], SIZE, rng)
    for entry in late.rounds:
        groups = tuple(
            replace(group, members=tuple(ClientId(rest[m]) for m in group.members))
            for group in entry.groups
        )
        told.append(replace(entry, round_index=16 + entry.round_index, groups=groups))
    found = judge(told, VerdictParams(), [ClientId(client) for client in rest])
    assert found.flagged == set(gone) | set(sleepers)


@pytest.mark.parametrize("seed", range(2))
def test_whom_a_window_flagged_is_not_cleared_once_it_is_not_invited(seed: int) -> None:
    """All rounds together find nothing about it, and no window is judged for it any more."""
    told = grouped(waking(56, 40, seed), SIZE, np.random.default_rng(seed))
    invited = frozenset(cohort(N)) - SLEEPERS
    found = judge(told, VerdictParams(), invited)
    assert found.cleared
    assert found.cleared <= invited


def test_whom_all_rounds_doubt_a_window_does_not_clear() -> None:
    told = grouped(waking(56, 40, 0), SIZE, np.random.default_rng(0))
    late = judge(told, VerdictParams(), cohort(N))
    entries = [replace(entry, flagged=False, cleared=True) for entry in late.clients]
    entries[1] = replace(entries[1], flagged=True, cleared=False)
    entries[2] = replace(entries[2], cleared=False, reason=Reason.UNSTEADY)
    flagged, doubted = frozenset({ClientId(1)}), frozenset({ClientId(2)})
    whole = replace(late, clients=tuple(entries), flagged=flagged, doubted=doubted)
    late = replace(
        late,
        clients=tuple(replace(entry, cleared=not entry.flagged) for entry in late.clients),
        doubted=flagged,
    )
    both = verdict._both(whole, late)
    assert both.flagged == SLEEPERS | flagged
    assert both.doubted == doubted
    assert both.clients[2].reason is Reason.UNSTEADY
    assert not both.cleared & (both.flagged | both.doubted)
