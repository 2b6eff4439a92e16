"""Readings of the label confusion: what an attack leaves in each, in which basis and unit."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from auror.defence.confusion import (
    Against,
    Depleted,
    Family,
    Margin,
    Mislabelled,
    dual_of,
    dual_readout,
    label_pairs,
    look,
    off_diagonal,
    plain,
    read,
)

Array = NDArray[np.float64]
C = 6
SIZES = [[4] * 5] * 12
NO_GRAMS = [None] * 12


def opened(seed: int, *, attack: Array | None = None, strength: float = 0.0) -> list[Array]:
    """Twelve rounds of five group means (5, C, C) around a common step; group 0 attacks."""
    rng = np.random.default_rng(seed)
    means = []
    for at in range(12):
        step = (4.0 * np.eye(C) - 0.5) * 0.8**at
        noise = rng.normal(size=(5, C, C))
        if attack is not None:
            noise[0] += strength * attack
        means.append((step + 0.3 * noise) * 0.5)
    return means


def pattern(target: int, source: int) -> Array:
    found = np.zeros((C, C))
    found[target, source], found[source, source] = 1.0, -1.0
    return found


def shown(family: Family) -> Array:
    """Mean over the rounds, (groups, readings)."""
    return np.mean(family.values, axis=0)


@pytest.mark.parametrize(("target", "source"), [(4, 1), (0, 5), (2, 3)])
def test_mislabelling_stands_out_upwards_in_its_own_readings(target: int, source: int) -> None:
    seen = read(look(opened(1, attack=pattern(target, source), strength=5.0), NO_GRAMS, SIZES))
    pair = label_pairs(C).index(Mislabelled(target, source))
    for family, column in ((seen.mislabelled, pair), (seen.margins, pair), (seen.depleted, source)):
        values = shown(family)
        assert int(np.argmax(values[0])) == column
        assert values[0, column] > 3.0
        assert np.abs(values[1:, column]).max() < values[0, column] / 2.0
        assert family.readings[column] in {
            Mislabelled(target, source),
            Margin(target, source),
            Depleted(source),
        }


def test_families_list_their_readings_in_the_order_of_their_columns() -> None:
    targets, sources = off_diagonal(C)
    seen = read(look(opened(3), NO_GRAMS, SIZES))
    assert seen.mislabelled.readings == label_pairs(C)
    for family, kind in ((seen.mislabelled, Mislabelled), (seen.margins, Margin)):
        named = [kind(int(t), int(s)) for t, s in zip(targets, sources, strict=True)]
        assert list(family.readings) == named
        assert {type(reading) for reading in family.readings} == {kind}
        assert family.values[0].shape == (5, C * (C - 1))
    assert seen.depleted.readings == tuple(Depleted(c) for c in range(C))
    assert seen.against.readings == (Against(),)
    for family in (seen.mislabelled, seen.margins, seen.depleted):
        np.testing.assert_array_equal(family.gains, 1.0)


def test_less_of_a_class_moves_its_margins_and_depletion_and_no_mislabelled_pair() -> None:
    less = np.zeros((C, C))
    less[1, 1] = -1.0
    seen = read(look(opened(2, attack=less, strength=5.0), NO_GRAMS, SIZES))
    pair = label_pairs(C).index(Mislabelled(4, 1))
    assert shown(seen.margins)[0, pair] > 1.5
    assert shown(seen.depleted)[0, 1] > 1.5
    assert abs(shown(seen.mislabelled)[0, pair]) < 1.0


def test_depletion_is_read_plainly_and_pairs_in_the_dual_basis() -> None:
    """What is opened is Q′ = ΔW·Mᵀ: a lack of class 1 alone in it is the depletion of class 1,
    and a mislabelling in Q alone is the pair's."""
    rng = np.random.default_rng(7)
    means = np.abs(rng.normal(size=(C, 8)))
    gram = means @ means.T
    noise = [0.3 * rng.normal(size=(5, C, C)) for _ in range(12)]
    alone = np.zeros((C, C))
    alone[1, 1] = -40.0
    plainly = [(n @ (gram + 0.1 * np.trace(gram) / C * np.eye(C))) for n in noise]
    for value in plainly:
        value[0] += alone
    seen = read(look([value @ dual_of(gram) for value in plainly], [gram] * 12, SIZES))
    lone = shown(seen.depleted)[0]
    assert int(np.argmax(lone)) == 1
    assert np.abs(np.delete(lone, 1)).max() < 0.25 * lone[1]
    for value in noise:
        value[0, 4, 1] += 4.0
    in_dual = shown(read(look(noise, [gram] * 12, SIZES)).mislabelled)[0]
    pair = label_pairs(C).index(Mislabelled(4, 1))
    assert int(np.argmax(in_dual)) == pair
    assert np.abs(np.delete(in_dual, pair)).max() < 0.25 * in_dual[pair]


def test_stepping_against_the_cohort_is_read_while_it_learns() -> None:
    rng = np.random.default_rng(3)
    means = []
    for at in range(12):
        step = (4.0 * np.eye(C) - 0.5) * 0.7**at
        signs = np.array([-1.0, 1.0, 1.0, 1.0, 1.0])[:, None, None]
        means.append(signs * step + 0.2 * rng.normal(size=(5, C, C)))
    against = read(look(means, NO_GRAMS, SIZES)).against
    values = np.array([value[:, 0] for value in against.values])
    assert (values[:4, 0] > values[:4, 1:].max(axis=1) + 3.0).all()
    assert against.gains[0] > 3.0 * against.gains[-1]
    assert np.mean(against.gains**2) == pytest.approx(1.0)


def test_units_follow_the_statistics_as_they_shrink() -> None:
    means = opened(4)
    steady = read(look(means, NO_GRAMS, SIZES))
    shrunk = read(look([mean * 0.5**at for at, mean in enumerate(means)], NO_GRAMS, SIZES))
    for kind in ("mislabelled", "margins", "depleted", "against"):
        pairs = zip(getattr(steady, kind).values, getattr(shrunk, kind).values, strict=True)
        for one, other in pairs:
            np.testing.assert_allclose(one, other, rtol=1e-9)
    np.testing.assert_allclose(steady.against.gains, shrunk.against.gains, rtol=1e-9)
    assert steady.skew == pytest.approx(shrunk.skew)


def test_a_few_attacked_readings_hardly_move_the_unit() -> None:
    """A fifth of the groups multiplies four label pairs' deviations a hundredfold."""
    means = opened(5)
    loud = [mean.copy() for mean in means]
    for mean in loud:
        mean[0, 2, [0, 1, 3, 4]] += 100.0
    pair = label_pairs(C).index(Mislabelled(5, 4))
    for one, other in zip(
        read(look(means, NO_GRAMS, SIZES)).mislabelled.values,
        read(look(loud, NO_GRAMS, SIZES)).mislabelled.values,
        strict=True,
    ):
        ratio = other[:, pair] / one[:, pair]
        assert np.ptp(ratio) < 1e-6
        assert 0.5 < ratio[0] <= 1.0


def test_the_rounds_level_is_no_deviation_of_anybody() -> None:
    """Common steps of any size leave what groups show apart from one another."""
    means = opened(6)
    lifted = [mean + 30.0 * np.arange(C * C).reshape(C, C) for mean in means]
    one, other = (read(look(values, NO_GRAMS, SIZES)) for values in (means, lifted))
    for kind in ("mislabelled", "margins", "depleted"):
        pairs = zip(getattr(one, kind).values, getattr(other, kind).values, strict=True)
        for mine, theirs in pairs:
            np.testing.assert_allclose(mine, theirs, atol=1e-8)


def test_skew_is_the_diagonal_against_the_rest_and_an_attack_does_not_move_it() -> None:
    rng = np.random.default_rng(8)
    even = read(look(opened(9), NO_GRAMS, SIZES)).skew
    assert 0.5 < even < 2.0
    attacked = opened(9, attack=pattern(4, 1), strength=50.0)
    assert read(look(attacked, NO_GRAMS, SIZES)).skew < 2.0 * even
    uneven = opened(9)
    for mean in uneven:
        mean[:, range(C), range(C)] += 1.5 * rng.normal(size=(5, C))
    assert read(look(uneven, NO_GRAMS, SIZES)).skew > 12.0


def test_what_is_known_of_classes_comes_from_levels_and_gram_not_from_clients() -> None:
    means = opened(10)
    apart = [mean + np.array([5.0, -5.0, 0.0, 0.0, 0.0])[:, None, None] for mean in means]
    one, other = (read(look(values, NO_GRAMS, SIZES)).classes for values in (means, apart))
    assert one.shape == (C, 3)
    np.testing.assert_allclose(one, other, atol=1e-9)
    louder = [mean * np.where(np.arange(C) == 2, 5.0, 1.0)[:, None] for mean in means]
    moved = read(look(louder, NO_GRAMS, SIZES)).classes[:, 0]
    assert moved[2] - one[2, 0] == pytest.approx(np.log(5.0), abs=1e-6)
    long = np.diag([1.0, 1.0, 9.0, 1.0, 1.0, 1.0])
    features = read(look(means, [long] * 12, SIZES)).classes[:, 2]
    assert features[2] - features[0] == pytest.approx(np.log(9.0))


def test_still_statistics_read_as_nothing() -> None:
    seen = read(look([np.zeros((5, C, C))] * 12, NO_GRAMS, SIZES))
    families = (seen.mislabelled, seen.margins, seen.depleted, seen.against)
    assert all(np.isfinite(value).all() for family in families for value in family.values)
    assert np.isfinite(seen.against.gains).all()
    assert np.isfinite(seen.classes).all()
    assert max(np.abs(value).max() for family in families for value in family.values) < 1e-6


def test_readings_name_their_attack() -> None:
    assert str(Mislabelled(9, 4)) == str(Margin(9, 4)) == "4 labelled 9"
    assert Mislabelled(9, 4) != Margin(9, 4)
    assert str(Depleted(3)) == "3 labelled otherwise"
    assert "against" in str(Against())
    q = np.arange(C * C, dtype=float).reshape(C, C)
    assert Mislabelled(2, 1).mass(q) == q[2, 1]
    assert Margin(2, 1).mass(np.stack([q, 2 * q])).tolist() == [q[2, 1], 2 * q[2, 1]]
    assert Mislabelled(2, 1).whole(q) == q[1, 1]
    assert Mislabelled(2, 1).parts == (Mislabelled(2, 1),)
    assert Depleted(2).parts == Against().parts == ()


def test_the_readout_tells_which_class_was_labelled_what() -> None:
    """Every sample that looks like b and is labelled a adds M[b] to row a of the change: exactly
    so for classes that do not look alike, but for the ridge."""
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 20, (5, 5))
    apart = np.eye(5, 12)
    np.testing.assert_allclose(
        counts @ apart @ apart.T @ dual_readout(apart), counts / 1.1, atol=1e-9
    )
    alike = np.abs(rng.normal(size=(5, 12)))
    gram = alike @ alike.T
    read_back = counts @ gram @ dual_readout(alike)
    assert np.abs(read_back - counts).mean() < 0.5 * np.abs(counts @ gram - counts).mean()


def test_the_readout_is_the_ridge_dual_basis_and_its_ridge_follows_the_activations() -> None:
    means = np.random.default_rng(1).random((5, 12))
    moved = np.random.default_rng(2).normal(size=(5, 12))
    ridge = 0.1 * (means**2).sum() / 5
    dual_basis = np.linalg.inv(means @ means.T + ridge * np.eye(5)) @ means
    found = moved @ means.T @ dual_readout(means)
    np.testing.assert_allclose(found, moved @ dual_basis.T, rtol=1e-9)
    np.testing.assert_allclose(dual_readout(8 * means), dual_readout(means) / 64, rtol=1e-9)
    np.testing.assert_array_equal(dual_readout(means), dual_of(means @ means.T))


def test_the_plain_basis_is_what_was_opened() -> None:
    rng = np.random.default_rng(4)
    means = np.abs(rng.normal(size=(C, 9)))
    gram = means @ means.T
    sums = rng.normal(size=(5, C, C))
    np.testing.assert_allclose(plain(sums @ dual_of(gram), gram), sums, atol=1e-9)


def test_two_classes_give_finite_readings() -> None:
    rng = np.random.default_rng(3)
    seen = read(look([rng.normal(size=(5, 2, 2)) for _ in range(12)], NO_GRAMS, SIZES))
    assert seen.mislabelled.values[0].shape == (5, 2)
    for family in (seen.mislabelled, seen.margins, seen.depleted, seen.against):
        assert all(np.isfinite(part).all() for part in family.values)
