"""The verdict without labels: one direction, two parts, and who has to be left alone."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from worlds import cohort

from auror.defence.direction import DirectionParams, DirectionVerdict, judge_direction
from auror.defence.features import FeatureBlock, FeatureKind
from auror.defence.ledger import GroupObservation, Ledger, RoundObservation
from auror.ids import ClientId

N, COLUMNS = 24, 60
BAD = (2, 7, 11, 19)
OUTPUT = DirectionParams(FeatureKind.OUTPUT)


def clients(
    rounds: int, rng: np.random.Generator, bad: tuple[int, ...] = (), effect: float = 12.0
) -> NDArray[np.float64]:
    """(rounds, N, COLUMNS): a persistent and a fresh part; the scale shrinks."""
    persistent = rng.normal(size=(N, COLUMNS))
    persistent[list(bad)] += effect * rng.uniform(0.8, 1.2, (len(bad), 1)) / np.sqrt(COLUMNS)
    fresh = 0.5 * rng.normal(size=(rounds, N, COLUMNS))
    level = 5.0 * rng.normal(size=(rounds, 1, COLUMNS))
    scale = 0.9 ** np.arange(rounds)
    return np.asarray((persistent + fresh + level) * scale[:, None, None])


def opened(
    statistics: NDArray[np.float64], group_size: int, rng: np.random.Generator, before: int = 0
) -> Ledger:
    """Random groups in every round; ``before`` columns of another block come first."""
    width = statistics.shape[2]
    blocks = [FeatureBlock(FeatureKind.OUTPUT, before, before + width, (width,))]
    if before:
        blocks.insert(0, FeatureBlock(FeatureKind.SKETCH, 0, before, (before,)))
    ledger = Ledger(blocks)
    n = statistics.shape[1]
    for index, values in enumerate(statistics):
        parts = np.array_split(rng.permutation(n), n // group_size)
        groups = (
            GroupObservation(
                tuple(ClientId(int(member)) for member in sorted(part)),
                np.append(100.0 * rng.normal(size=before), values[part].mean(axis=0)),
            )
            for part in parts
        )
        ledger.append(RoundObservation(index, 0, tuple(groups)))
    return ledger


@pytest.mark.parametrize(("group_size", "rounds"), [(1, 6), (4, 20), (8, 40)])
@pytest.mark.parametrize("seed", range(3))
def test_a_common_direction_is_found_in_group_sums(group_size: int, rounds: int, seed: int) -> None:
    rng = np.random.default_rng([seed, group_size])
    ledger = opened(clients(rounds, rng, BAD), group_size, rng, before=3)
    verdict = judge_direction(ledger, OUTPUT, cohort(N))
    assert {int(client) for client in verdict.flagged} == set(BAD)
    assert verdict.strength >= verdict.required
    honest = max(verdict.scores[ClientId(c)] for c in range(N) if c not in BAD)
    assert honest < min(verdict.scores[ClientId(c)] for c in BAD)
    assert judge_direction(ledger, OUTPUT, cohort(N)) == verdict
    read = json.loads(json.dumps(verdict.to_dict(), allow_nan=False))
    assert read["flagged"] == sorted(BAD)
    assert read["strength"] == verdict.strength


@pytest.mark.parametrize("group_size", [1, 4, 8])
def test_nobody_is_accused_when_nobody_lies(group_size: int) -> None:
    for seed in range(8):
        rng = np.random.default_rng([seed, group_size, 1])
        ledger = opened(clients(40, rng), group_size, rng)
        verdict = judge_direction(ledger, OUTPUT, cohort(N))
        assert verdict.flagged == frozenset()
        assert verdict.strength < verdict.required


def own_directions(first: float) -> Ledger:
    """Every client in a column of its own, ``first`` times as far as the others."""
    lengths = np.full(N, 1.0) + 0.001 * np.arange(N)
    lengths[0] = first
    statistics = np.tile(np.diag(lengths), (6, 1, 1))
    return opened(statistics, 1, np.random.default_rng(0))


def test_an_honest_client_with_a_direction_of_its_own_is_no_attack() -> None:
    odd = judge_direction(own_directions(1.15), OUTPUT, cohort(N))
    assert odd.gap > 5 * OUTPUT.gap  # a gap alone would have accused it
    assert odd.standout < OUTPUT.standout
    assert odd.flagged == frozenset()
    careless = replace(OUTPUT, standout=1.0)
    assert judge_direction(own_directions(1.15), careless, cohort(N)).flagged == {ClientId(0)}


def line(positions: NDArray[np.float64], rounds: int = 6) -> DirectionVerdict:
    """The verdict on clients that lie on a line, in the clear."""
    statistics = np.tile(positions[:, None] * np.ones(COLUMNS), (rounds, 1, 1))
    ledger = opened(statistics, 1, np.random.default_rng(0))
    return judge_direction(ledger, OUTPUT, cohort(len(positions)))


def test_who_lies_between_the_parts_waits() -> None:
    positions = 0.01 * np.arange(N)
    positions[-4:] = 2.0
    positions[5] = 1.1
    verdict = line(positions)
    assert {int(client) for client in verdict.flagged} == {20, 21, 22, 23}
    assert verdict.scores[ClientId(5)] > max(verdict.scores[ClientId(c)] for c in range(5))


def test_equal_parts_and_equal_clients_accuse_nobody() -> None:
    halves = line(np.repeat([0.0, 1.0], N // 2))
    assert halves.flagged == frozenset()
    assert halves.strength == 0.0
    assert line(np.ones(N)).strength == 0.0


def test_parts_without_spread_stay_finite() -> None:
    verdict = line(np.repeat([0.0, 1.0], [N - 3, 3]))
    assert {int(client) for client in verdict.flagged} == {21, 22, 23}
    assert np.isfinite([verdict.gap, verdict.standout, *verdict.scores.values()]).all()


def test_nobody_is_judged_too_early() -> None:
    rng = np.random.default_rng(3)
    early = opened(clients(OUTPUT.min_rounds - 1, rng, BAD), 1, rng)
    assert judge_direction(early, OUTPUT, cohort(N)).flagged == frozenset()
    # 8 rounds of 3 groups: 16 equations for 23 unknowns
    few = judge_direction(opened(clients(8, rng, BAD), 8, rng), OUTPUT, cohort(N))
    assert few.flagged == frozenset()
    assert few.strength == 0.0
    assert few.rounds == tuple(range(8))
    assert judge_direction(Ledger(early.blocks), OUTPUT, []).scores == {}


def test_who_was_never_opened_has_no_say() -> None:
    rng = np.random.default_rng(4)
    ledger = opened(clients(20, rng, BAD), 4, rng)
    alone = judge_direction(ledger, OUTPUT, cohort(N))
    wide = judge_direction(ledger, OUTPUT, cohort(N + 5))
    assert wide.flagged == alone.flagged
    assert wide.scores == {**alone.scores, **{ClientId(c): 0.0 for c in range(N, N + 5)}}


def test_a_missing_block_is_named() -> None:
    ledger = opened(clients(6, np.random.default_rng(0)), 1, np.random.default_rng(0))
    with pytest.raises(ValueError, match="no sketch block"):
        judge_direction(ledger, DirectionParams(FeatureKind.SKETCH), cohort(N))


@pytest.mark.parametrize(
    "wrong",
    [{"gap": 0.0}, {"standout": 0.5}, {"share": 1.0}, {"min_rounds": 0}, {"coverage": -1.0}],
)
def test_thresholds_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        DirectionParams(FeatureKind.OUTPUT, **wrong)  # type: ignore[arg-type]
