"""What forgers send, against the formulas of the papers computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from auror.ids import ClientId
from auror.learn.attack import Knowledge
from auror.learn.forgery import Alie, Few, Gap, Ipm, Null, Scale, Sign, Sleep
from auror.round.output import OutputShape

CLASSES, HIDDEN, OFFSET = 3, 6, 4
DIM = OFFSET + CLASSES * HIDDEN + CLASSES
FORGERS = (ClientId(2), ClientId(5))


def knowledge(counter: int = 0, *, basis: bool = True, seed: int = 1) -> Knowledge:
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    return Knowledge(
        attacking={client: draw(DIM) for client in FORGERS},
        own={client: draw(DIM) for client in FORGERS},
        honest=draw(7, DIM),
        counter=counter,
        output=OutputShape(OFFSET, CLASSES, HIDDEN),
        basis=rng.normal(size=(CLASSES, HIDDEN)) if basis else None,
    )


def test_a_sleeper_is_honest_until_its_time() -> None:
    early, late = knowledge(9), knowledge(10)
    assert Sleep(10).forge(early) is early.own
    assert Sleep(10).forge(late) is late.attacking


def test_inflation_multiplies() -> None:
    known = knowledge()
    for client, sent in Scale(10.0).forge(known).items():
        np.testing.assert_allclose(sent, 10 * known.attacking[client], rtol=1e-6)


def test_the_centre_gap_is_what_was_asked_and_no_more_is_given_up() -> None:
    known = knowledge()
    sent = Gap(0.05).forge(known)
    gap = np.mean([sent[c] - known.own[c] for c in FORGERS], axis=0)
    assert np.abs(gap).max() == pytest.approx(0.05, rel=1e-4)
    wide = Gap(100.0).forge(known)
    for client in FORGERS:
        np.testing.assert_allclose(wide[client], known.attacking[client], atol=1e-6)


def test_few_features_deviate_and_they_are_the_strongest() -> None:
    known = knowledge()
    sent = Few(4).forge(known)
    mean = np.mean([known.attacking[c] - known.own[c] for c in FORGERS], axis=0)
    strongest = set(np.argsort(-np.abs(mean))[:4].tolist())
    for client in FORGERS:
        assert set(np.flatnonzero(sent[client] != known.own[client]).tolist()) == strongest


def test_what_the_statistics_read_is_honest_and_the_rest_is_not() -> None:
    known = knowledge()
    assert known.basis is not None
    stop = OFFSET + CLASSES * HIDDEN
    for client, sent in Null().forge(known).items():
        read = [
            v[OFFSET:stop].reshape(CLASSES, HIDDEN) @ known.basis.T
            for v in (sent, known.own[client], known.attacking[client])
        ]
        np.testing.assert_allclose(read[0], read[1], atol=1e-5)
        assert np.abs(read[2] - read[1]).max() > 0.1
        np.testing.assert_allclose(sent[:OFFSET], known.attacking[client][:OFFSET], atol=1e-6)
        assert np.abs(sent[OFFSET:stop] - known.own[client][OFFSET:stop]).max() > 0.1


def test_where_the_whole_output_layer_is_read_all_of_it_is_honest() -> None:
    known = knowledge(basis=False)
    for client, sent in Null().forge(known).items():
        np.testing.assert_array_equal(sent[OFFSET:], known.own[client][OFFSET:])
        np.testing.assert_allclose(sent[:OFFSET], known.attacking[client][:OFFSET], atol=1e-6)


def test_sign_flip_negates_the_own_update() -> None:
    known = knowledge()
    for client, sent in Sign().forge(known).items():
        np.testing.assert_array_equal(sent, -known.own[client])


def test_a_little_is_enough_by_hand() -> None:
    # n = 9, m = 2: s = 5 - 2 = 3, share (7 - 3) / 7 = 0.5714, z = 0.1800
    known = knowledge()
    expected = known.honest.mean(axis=0) + 0.18001 * known.honest.std(axis=0)
    for sent in Alie().forge(known).values():
        np.testing.assert_allclose(sent, expected, atol=1e-4)


def test_inner_product_manipulation_negates_the_honest_mean() -> None:
    known = knowledge()
    for sent in Ipm(0.5).forge(known).values():
        np.testing.assert_allclose(sent, -0.5 * known.honest.mean(axis=0), atol=1e-6)
