from __future__ import annotations

import numpy as np
import pytest

from auror.ids import ClientId
from auror.privacy.truth import SKETCH_ENTRIES, TruthRecorder, determined, sketch
from auror.round.label_rows import LabelRows
from auror.round.plan import CountSketch, OutputLayer, StatisticsPlan

DIM = 3_000


def updates(count: int, seed: int = 0) -> dict[ClientId, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {ClientId(i): (rng.normal(size=DIM) / 50).astype(np.float32) for i in range(count)}


def test_a_sketch_keeps_distances() -> None:
    first, second = updates(2).values()
    kept = np.sum((sketch(first) - sketch(second)) ** 2)
    assert len(sketch(first)) == SKETCH_ENTRIES
    assert kept == pytest.approx(np.sum((first - second) ** 2), rel=0.15)


def test_a_short_vector_is_kept_as_it_is() -> None:
    short = np.arange(5, dtype=np.float32)
    assert np.array_equal(sketch(short), short)


def test_output_layer_entries_are_determined_and_nothing_else() -> None:
    update = updates(1)[ClientId(0)]
    found = determined(StatisticsPlan(DIM, (OutputLayer(10, 20),)), update)
    assert np.array_equal(found[10:30], update[10:30])
    assert not found[:10].any()
    assert not found[30:].any()


def test_label_rows_determine_the_span_of_their_means() -> None:
    rng = np.random.default_rng(4)
    means = rng.integers(-50, 50, size=(3, 8))
    plan = StatisticsPlan(DIM, (LabelRows.from_matrix(100, means),))
    update = updates(1)[ClientId(0)]
    found = determined(plan, update)
    before, after = (v[100:124].reshape(3, 8) @ means.T for v in (update, found))
    assert after == pytest.approx(before, abs=1e-4)  # the statistics are the same
    assert np.linalg.norm(found) < np.linalg.norm(update[100:124])  # with less than the whole


def test_the_recorder_leaves_the_challenge_out_and_keeps_the_rest() -> None:
    parts = (OutputLayer(0, 4), CountSketch(bytes(32), 6, False), CountSketch(bytes(32), 5, True))
    recorder = TruthRecorder()
    sent = updates(2)
    recorder.observe(3, StatisticsPlan(DIM, parts), sent)
    kept = recorder.statistics[3, ClientId(1)]
    assert kept.shape == (10,)
    assert kept[:4] == pytest.approx(sent[ClientId(1)][:4], abs=1e-6)
    assert recorder.sketch_fraction == pytest.approx(11 / DIM)
    whole = recorder.inside[3, ClientId(0)] + recorder.outside[3, ClientId(0)]
    assert whole == pytest.approx(sketch(sent[ClientId(0)]), abs=1e-5)
