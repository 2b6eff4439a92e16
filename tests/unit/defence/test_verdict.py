from __future__ import annotations

import json
import time

import numpy as np
import pytest
from worlds import CONFUSION, client_statistics, cohort, grouped

from auror.defence.features import FeatureBlock, FeatureKind
from auror.defence.ledger import GroupObservation, Ledger, RoundObservation
from auror.defence.verdict import Reason, VerdictParams, judge
from auror.defence.windows import WHOLE
from auror.ids import ClientId

PARAMS = VerdictParams()


@pytest.mark.parametrize(("size", "rounds"), [(1, 8), (3, 12), (5, 20), (10, 40)])
@pytest.mark.parametrize("bad", [(2, 11, 23), (0, 1, 5, 8, 13, 17, 21, 25, 29)])
def test_attackers_and_their_labels_are_named(size: int, rounds: int, bad: tuple[int, ...]) -> None:
    rng = np.random.default_rng(size)
    statistics = client_statistics(rounds, 30, rng, malicious=bad, source=3, target=8, effect=13.0)
    verdict = judge(grouped(statistics, size, rng), PARAMS, cohort(30))
    assert {int(client) for client in verdict.flagged} == set(bad)
    assert (verdict.source, verdict.target) == (3, 8)
    assert verdict.strength >= verdict.required
    assert verdict.rounds == tuple(range(rounds))
    honest = [entry for entry in verdict.clients if not entry.flagged]
    assert {entry.reason for entry in honest} <= {Reason.WITH_THE_COHORT, Reason.UNDECIDED}
    worst = max(entry.score for entry in honest)
    assert all(verdict.scores[ClientId(client)] > worst for client in bad)


@pytest.mark.parametrize("size", [1, 5, 10])
def test_without_attacker_nobody(size: int) -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        verdict = judge(grouped(client_statistics(40, 30, rng), size, rng), PARAMS, cohort(30))
        assert verdict.flagged == frozenset()
        assert verdict.source is None
        assert {entry.reason for entry in verdict.clients} == {Reason.NO_PATTERN}


def test_the_other_sign_is_not_mislabelling() -> None:
    rng = np.random.default_rng(1)
    statistics = client_statistics(20, 30, rng, malicious=(1, 2, 3, 4), effect=-10.0)
    verdict = judge(grouped(statistics, 5, rng), PARAMS, cohort(30))
    assert (verdict.source, verdict.target) != (4, 9)
    assert not verdict.flagged & {ClientId(c) for c in (1, 2, 3, 4)}


def test_two_coalitions_are_both_found() -> None:
    rng = np.random.default_rng(2)
    statistics = client_statistics(24, 30, rng, malicious=(0, 1, 2, 3, 4))
    other = client_statistics(
        24, 30, np.random.default_rng(2), malicious=(20, 21, 22, 23), source=1, target=7
    )
    plain = client_statistics(24, 30, np.random.default_rng(2))
    statistics[:, 20:24] = other[:, 20:24] - plain[:, 20:24] + statistics[:, 20:24]
    verdict = judge(grouped(statistics, 5, rng), PARAMS, cohort(30))
    named = {(entry.source, entry.target) for entry in verdict.indications}
    assert {(4, 9), (1, 7)} <= named
    assert {int(c) for c in verdict.flagged} == {0, 1, 2, 3, 4, 20, 21, 22, 23}


def test_after_removal_the_rest_is_nobody() -> None:
    rng = np.random.default_rng(3)
    bad = (3, 7, 12, 18, 26)
    statistics = client_statistics(45, 30, rng, malicious=bad)
    ledger = Ledger([CONFUSION])
    kept = np.arange(30)
    for index, values in enumerate(statistics):
        if index == 15:
            kept = np.setdiff1d(kept, bad)
        groups = tuple(
            GroupObservation(
                tuple(ClientId(int(m)) for m in np.sort(g)), values[g].mean(axis=0).ravel()
            )
            for g in np.array_split(rng.permutation(kept), len(kept) // 5)
        )
        ledger.append(RoundObservation(index, int(index >= 30), groups))
        if index >= 12 and index % 4 == 0:
            flagged = judge(ledger, PARAMS, cohort(30)).flagged
            assert {int(c) for c in flagged} <= set(bad)
    assert {int(c) for c in flagged} == set(bad)


def test_dropouts_are_no_hindrance() -> None:
    rng = np.random.default_rng(4)
    bad = (1, 4, 9, 16, 25)
    statistics = client_statistics(30, 30, rng, malicious=bad)
    verdict = judge(grouped(statistics, 5, rng, dropout=0.15), PARAMS, cohort(30))
    assert {int(c) for c in verdict.flagged} == set(bad)


def test_sums_that_come_from_no_individuals() -> None:
    """The server's code sees sums only: any source of sums will do, also one without clients."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        ledger = Ledger([CONFUSION])
        for index in range(30):
            groups = tuple(
                GroupObservation(
                    tuple(ClientId(int(m)) for m in np.sort(g)), rng.normal(size=CONFUSION.width)
                )
                for g in np.array_split(rng.permutation(30), 6)
            )
            ledger.append(RoundObservation(index, 0, groups))
        verdict = judge(ledger, PARAMS, cohort(30))
        assert verdict.flagged == frozenset()
        assert all(np.isfinite(list(verdict.scores.values())))


def test_anyone_can_recompute_it() -> None:
    rng = np.random.default_rng(5)
    ledger = grouped(client_statistics(20, 30, rng, malicious=(1, 2, 3)), 5, rng)
    copy = Ledger.from_dict(json.loads(json.dumps(ledger.to_dict())))
    first = judge(ledger, PARAMS, cohort(30))
    assert json.dumps(first.to_dict()) == json.dumps(judge(copy, PARAMS, cohort(30)).to_dict())
    assert first == judge(ledger, PARAMS, reversed(cohort(30)))


def test_too_little_evidence_is_held_out() -> None:
    rng = np.random.default_rng(6)
    statistics = client_statistics(30, 30, rng, malicious=(1, 2, 3))
    early = judge(grouped(statistics[:6], 5, rng), PARAMS, cohort(31))
    assert early.flagged == frozenset()
    assert {entry.reason for entry in early.clients} == {Reason.TOO_FEW_ROUNDS}
    empty = judge(Ledger([CONFUSION]), PARAMS, cohort(3))
    assert (empty.flagged, empty.groups, len(empty.clients)) == (frozenset(), 0, 3)
    late = judge(grouped(statistics, 5, rng), PARAMS, cohort(31))
    assert late.clients[30].reason is Reason.NO_EVIDENCE


@pytest.mark.parametrize(
    ("size", "rounds", "judged"), [(1, 4, False), (1, 5, True), (5, 6, False), (5, 7, True)]
)
def test_nobody_is_judged_before_enough_rounds_and_enough_sums_per_client(
    size: int, rounds: int, judged: bool
) -> None:
    """Five rounds, and 1.2 independent sums for each of 29 differences between clients: six rounds
    of six groups give 30 of 34.8."""
    rng = np.random.default_rng(6)
    statistics = client_statistics(rounds, 30, rng, malicious=(1, 2, 3), effect=20.0)
    found = judge(grouped(statistics, size, rng), PARAMS, cohort(30))
    assert (found.clients[0].reason is not Reason.TOO_FEW_ROUNDS) == judged
    assert (found.strength != 0.0) == judged
    if not judged:
        assert found.required == pytest.approx(PARAMS.required(30) - np.log(WHOLE))


def test_alpha_is_what_decides() -> None:
    rng = np.random.default_rng(11)
    ledger = grouped(client_statistics(15, 30, rng, malicious=(1, 2, 3), effect=13.0), 5, rng)
    found = judge(ledger, PARAMS, cohort(30))
    assert found.required == pytest.approx(np.log(1.0 / (WHOLE * PARAMS.alpha)))
    assert found.flagged
    stricter = VerdictParams(alpha=float(np.exp(-found.strength)) * 0.9)
    assert not judge(ledger, stricter, cohort(30)).flagged
    assert judge(ledger, stricter, cohort(30)).strength == found.strength


def test_clients_of_few_classes_are_not_judged_by_their_labels() -> None:
    """Who holds two classes alone moves only those: that is no attack, and one cannot be told."""
    rng = np.random.default_rng(0)
    values = client_statistics(20, 30, rng, malicious=(3, 8, 21), effect=15.0)
    told = judge(grouped(values, 5, rng), VerdictParams(), cohort(30))
    assert told.flagged == {3, 8, 21}
    holds = rng.random((30, 10)) < 0.2
    classes = np.arange(10)
    values[:, :, classes, classes] += 40.0 * holds * (0.1 * 0.9 ** np.arange(20))[:, None, None]
    verdict = judge(grouped(values, 5, rng), VerdictParams(), cohort(30))
    assert not verdict.flagged
    assert {entry.reason for entry in verdict.clients} == {Reason.TOO_SKEWED}


def test_two_clients_have_no_majority() -> None:
    rng = np.random.default_rng(9)
    verdict = judge(grouped(client_statistics(20, 2, rng), 1, rng), PARAMS, cohort(2))
    assert verdict.flagged == frozenset()
    assert "Infinity" not in json.dumps(verdict.to_dict())


def test_constant_statistics_accuse_nobody() -> None:
    rng = np.random.default_rng(7)
    verdict = judge(grouped(np.zeros((20, 30, 10, 10)), 5, rng), PARAMS, cohort(30))
    assert verdict.flagged == frozenset()


def test_a_plan_without_confusion_is_refused() -> None:
    ledger = Ledger([FeatureBlock(FeatureKind.SKETCH, 0, 4, (4,))])
    with pytest.raises(ValueError, match="confusion"):
        judge(ledger, PARAMS, cohort(3))


def test_sixty_rounds_are_judged_quickly() -> None:
    rng = np.random.default_rng(8)
    ledger = grouped(client_statistics(60, 30, rng, malicious=(1, 2, 3)), 5, rng)
    judge(ledger, PARAMS, cohort(30))
    best = np.inf
    for _ in range(5):
        begin = time.process_time()
        judge(ledger, PARAMS, cohort(30))
        best = min(best, time.process_time() - begin)
    assert best < 0.5
