"""Two to five classes: who moves much of a class is found, who moves little of it is not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from auror.defence.blocks import PartsOfWhole, blocks_of
from auror.defence.confusion import Against, Mislabelled, look, read
from auror.defence.features import FeatureBlock, FeatureKind
from auror.defence.ledger import GroupObservation, Ledger, RoundObservation
from auror.defence.selection import VerdictParams
from auror.defence.spreads import SHARES
from auror.defence.verdict import DecodedVerdict, judge
from auror.ids import ClientId

Array = NDArray[np.float64]
N, SIZE, ROUNDS = 30, 5, 16


def masses(
    classes: int, seed: int, *, liars: int = 0, moved: float = 1.0, other: float = 0.03
) -> Array:
    """(rounds, n, C, C): every client learns its samples of each class, ever less as the model
    does; ``liars`` keep labelling ``moved`` of class 0 as class 1, and all differ by ``other``."""
    rng = np.random.default_rng(seed)
    samples = rng.uniform(0.8, 1.2, size=(N, classes))
    persistent = other * rng.normal(size=(N, classes, classes))
    values = np.zeros((ROUNDS, N, classes, classes))
    for at in range(ROUNDS):
        left = 0.8**at
        values[at] = 0.01 * rng.normal(size=(N, classes, classes)) + persistent
        for source in range(classes):
            values[at, :, :, source] -= (left * samples[:, source] / (classes - 1))[:, None]
            values[at, :, source, source] += left * samples[:, source] * classes / (classes - 1)
        values[at, :liars, 1, 0] += moved * samples[:liars, 0]
        values[at, :liars, 0, 0] -= moved * samples[:liars, 0]
    return values


def ledger(values: Array, seed: int, size: int = SIZE) -> Ledger:
    rng = np.random.default_rng([seed, 1])
    classes = values.shape[-1]
    made = Ledger([FeatureBlock(FeatureKind.CONFUSION, 0, classes**2, (classes, classes))])
    for at, round_ in enumerate(values):
        split = np.array_split(rng.permutation(values.shape[1]), values.shape[1] // size)
        groups = tuple(
            GroupObservation(
                tuple(ClientId(int(m)) for m in np.sort(g)), round_[g].mean(axis=0).ravel()
            )
            for g in split
        )
        made.append(RoundObservation(at, 0, groups))
    return made


def sums(values: Array, seed: int) -> tuple[list[list[list[int]]], list[Array], list[list[int]]]:
    """Of every round the groups' members, their means (groups, C, C) and how many they are."""
    shape, rounds = values.shape[2:], ledger(values, seed).rounds
    groups = [[list(map(int, g.members)) for g in entry.groups] for entry in rounds]
    means = [np.stack([g.mean.reshape(shape) for g in entry.groups]) for entry in rounds]
    return groups, means, [[len(members) for members in entry] for entry in groups]


def judged(values: Array, seed: int) -> DecodedVerdict:
    everybody = [ClientId(c) for c in range(values.shape[1])]
    return judge(ledger(values, seed), VerdictParams(), everybody)


@pytest.mark.parametrize("classes", [2, 3, 4, 5])
@pytest.mark.parametrize("liars", [3, 9])
def test_liars_about_one_of_few_classes_are_found(classes: int, liars: int) -> None:
    found = judged(masses(classes, 1, liars=liars), 1)
    assert found.flagged == set(range(liars))
    assert (found.source, found.target) == (0, 1)


@pytest.mark.parametrize("classes", [2, 3, 4, 5])
def test_nobody_is_accused_where_nobody_lies(classes: int) -> None:
    for seed in range(3):
        found = judged(masses(classes, seed), seed)
        assert not found.flagged
        assert found.strength < np.log(1.0 / 0.3)


@pytest.mark.parametrize("classes", [2, 3, 4, 5])
@pytest.mark.parametrize("liars", [3, 9])
def test_who_keeps_the_cohort_from_learning_ends_no_training_and_frames_nobody(
    classes: int, liars: int
) -> None:
    """Of no class is there a round in which anything was learnt."""
    values = masses(classes, 3)
    values[:, :liars] = -1.01 * values[:, liars:].sum(axis=1, keepdims=True) / liars
    _groups, means, sizes = sums(values, 3)
    assert (read(look(means, [None] * ROUNDS, sizes)).whole < 0.0).all()
    found = judged(values, 3)
    assert found.flagged <= set(range(liars))
    assert np.isfinite([found.strength, *found.scores.values()]).all()


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_a_boost_in_one_round_hides_a_lie_about_few_classes(classes: int) -> None:
    """A limit that the pages state: the best round tells how far honest clients may differ."""
    values = masses(classes, 0, liars=9)
    assert judged(values, 0).flagged == set(range(9))
    values[0, :9] = 10 * masses(classes, 0)[0, :9]
    assert not judged(values, 0).flagged


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_honest_clients_do_not_stand_out_once_the_cohort_has_learnt(classes: int) -> None:
    """It moves little then, they differ as before; late windows hold only such rounds."""
    steps = 0.8 ** np.arange(32)
    for seed in range(3):
        rng = np.random.default_rng([seed, classes])
        own = rng.normal(size=(N, classes, classes)) * rng.choice(
            [0.02, 0.2], (N, 1, 1), p=[0.8, 0.2]
        )
        values = 0.003 * rng.normal(size=(32, N, classes, classes)) + own
        values += (
            (steps[:, None] * rng.uniform(0.8, 1.2, size=N))[:, :, None, None]
            * (classes * np.eye(classes) - 1.0)
            / (classes - 1)
        )
        assert not judged(values, seed).flagged


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_late_rounds_are_read_by_what_the_whole_run_taught(classes: int) -> None:
    groups, means, sizes = sums(masses(classes, 5), 5)
    shown = look(means, [None] * ROUNDS, sizes)
    everything, late = read(shown), read(shown, 8)
    assert len(late.against.values) == 8
    assert late.stride == everything.stride == pytest.approx(everything.against.least)
    assert late.against.least < late.stride
    ratio = late.whole / everything.whole
    np.testing.assert_allclose(ratio, ratio[0])  # units differ, parts do not
    assert ratio[0] > 0.9
    against = blocks_of(groups[8:], late, N, VerdictParams())[-1]
    assert float(against.least[0] * against.noise[0]) == pytest.approx(late.stride)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("classes", [2, 5, 6, 10])
@pytest.mark.parametrize("kind", ["nothing", "alike", "one client", "moved"])
def test_a_ledger_of_nothing_or_of_too_much_is_judged(classes: int, kind: str) -> None:
    for clients, size in ((2, 1), (N, SIZE)):
        for seed in range(2):
            values = masses(classes, seed)[:, :clients]
            if kind == "moved":  # as far as 64 bits carry a lie that a total cancels
                values[:, 0] += 1e15
                values[:, 1] -= 1e15
            else:
                values[:, 1 if kind == "one client" else 0 :] = float(kind == "alike")
            verdict = judge(
                ledger(values, seed, size), VerdictParams(), map(ClientId, range(clients))
            )
            assert not verdict.flagged - {0, 1}
            json.dumps(verdict.to_dict(), allow_nan=False)


@pytest.mark.parametrize("classes", [2, 4])
def test_less_than_a_tenth_of_a_class_tells_nobody_apart(classes: int) -> None:
    """Four odd samples among clients that hardly differ: many spreads of theirs, little mass."""
    assert SHARES[0] == pytest.approx(0.1)
    values = masses(classes, 2, liars=4, moved=0.06, other=0.002)
    found = judged(values, 2)
    assert not found.flagged
    assert found.strength < np.log(1.0 / 0.3)
    assert judged(masses(classes, 2, liars=4, moved=1.0, other=0.002), 2).flagged == set(range(4))


def test_spreads_are_parts_of_what_the_cohort_learns_of_the_source() -> None:
    values = masses(3, 3)
    groups, means, sizes = sums(values, 3)
    readings = read(look(means, [None] * ROUNDS, sizes))
    pairs, against = blocks_of(groups, readings, N, VerdictParams())
    assert {type(reading) for reading in pairs.readings} == {Mislabelled}
    assert isinstance(against.readings[0], Against)
    assert isinstance(pairs.spreads, PartsOfWhole)
    # the first round teaches most: all of everybody's samples, whoever looks later
    unit = [np.abs(v - v.mean(axis=0))[:, ~np.eye(3, dtype=bool)] for v in means]
    typical = np.mean([1.0 / (1.4826 * np.sqrt(SIZE) * np.median(u)) for u in unit])
    np.testing.assert_allclose(readings.whole / typical, 1.0, rtol=0.1)
    for column in range(len(pairs.readings)):
        grid, log_prior = pairs.spreads.of(column)
        np.testing.assert_allclose(grid, SHARES * readings.whole[column] / pairs.noise[column])
        np.testing.assert_allclose(np.exp(log_prior), 1.0 / len(SHARES))
    assert SHARES[-1] == pytest.approx(0.5)


def test_classes_that_look_alike_are_not_judged_by_pairs() -> None:
    values = masses(4, 4)
    groups, means, sizes = sums(values, 4)
    features = np.full((4, 4), 1.0) + 0.1 * np.eye(4)
    readings = read(look(means, [features @ features.T] * ROUNDS, sizes))
    assert readings.resolution < VerdictParams().resolved
    (only,) = blocks_of(groups, readings, N, VerdictParams())
    assert isinstance(only.readings[0], Against)


@pytest.mark.parametrize("seed", range(4))
def test_clients_with_few_and_many_samples_do_not_step_back(seed: int) -> None:
    """Two camps who vary by hardly anything from round to round, 15 clients in three groups."""
    rng = np.random.default_rng(seed)
    shares = np.where(np.arange(15) < 7, 0.6, 1.4) + 0.1 * rng.normal(size=15)
    step = np.eye(4) * 0.9 ** np.arange(40)[:, None, None, None]
    noise = 0.02 * rng.normal(size=(40, 15, 4, 4)) * step.max(axis=(2, 3), keepdims=True)
    values = shares[:, None, None] * step + noise
    for rounds in (12, 16, 22, 30, 40):
        found = judged(values[:rounds], seed)
        assert not found.flagged
        assert found.strength < np.log(1.0 / 0.3)


def test_who_steps_back_is_found_with_few_classes() -> None:
    rng = np.random.default_rng(7)
    shares = 1.0 + 0.1 * rng.normal(size=N)
    shares[:4] *= -1.0
    step = np.eye(4) * 0.9 ** np.arange(20)[:, None, None, None]
    noise = 0.1 * rng.normal(size=(20, N, 4, 4)) * step.max(axis=(2, 3), keepdims=True)
    found = judged(shares[:, None, None] * step + noise, 7)
    assert found.flagged == set(range(4))
    assert "against" in found.indications[0].attack
