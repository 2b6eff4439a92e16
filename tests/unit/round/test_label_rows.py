"""Label rows: what a plan may read, what one row can carry."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_rows_kit import CAPS, DIM, OUTPUT, activations, model, plan_of, refusal
from rounds_kit import NO_ANCHOR, PARAMS

from auror.defence.confusion import dual_readout
from auror.errors import DataError, Refusal, Refused
from auror.params import LABEL_ROW_BITS, RoundParams
from auror.round.label_rows import (
    ClassMeans,
    LabelRows,
    MeansSource,
    rows_of_means,
    rows_of_weights,
)
from auror.round.plan import OutputLayer, StatisticsPlan, session_sketch
from auror.training.observations import PlanChoice, build_plan

# Quantised means --------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 4, 16])
@pytest.mark.parametrize("scale", [1e-30, 0.37, 1.0, 2.0**20, 1e30])
def test_means_use_all_their_bits_and_are_no_further_than_half_a_step(
    bits: int, scale: float
) -> None:
    means = (activations() * scale).astype(np.float32)
    rows = rows_of_means(OUTPUT, means, bits)
    assert 2 ** (bits - 1) <= rows.largest_coefficient <= 2**bits - 1 or bits == 1
    step = 2.0**-rows.exponent
    assert np.abs(rows.matrix * step - means.astype(np.float64)).max() <= step / 2
    assert rows.source is MeansSource.CLEAN_SAMPLES


@pytest.mark.parametrize(
    "means", [np.zeros((4, 6)), np.full((4, 6), np.nan), np.full((4, 6), np.inf)]
)
def test_means_of_a_model_that_collapsed_are_refused(means: np.ndarray) -> None:
    with pytest.raises(DataError, match="collapsed"):
        rows_of_means(OUTPUT, means.astype(np.float32), 4)


@pytest.mark.parametrize("scale", [1e-38, 1.0, 1e35])
def test_output_weights_stand_in_centred_in_whatever_order_they_are_added(scale: float) -> None:
    flat = (model() * scale).astype(np.float32)
    rows = rows_of_weights(OUTPUT, flat, 16)
    weights = OUTPUT.weights(flat).astype(np.float64)
    centred = 4 * (weights - weights.mean(axis=0))
    step = 2.0**-rows.exponent
    assert np.abs(rows.matrix * step - centred).max() <= step * 0.51
    shuffled = flat.copy()
    OUTPUT.weights(shuffled)[:] = OUTPUT.weights(flat)[[2, 0, 3, 1]]
    again = rows_of_weights(OUTPUT, shuffled, 16)
    assert np.array_equal(again.matrix, rows.matrix[[2, 0, 3, 1]])


@pytest.mark.parametrize("value", [0.0, 1.0, np.inf, np.nan])
def test_output_weights_that_are_all_alike_or_not_finite(value: float) -> None:
    with pytest.raises(DataError):
        rows_of_weights(OUTPUT, np.full(DIM, value, dtype=np.float32), 4)


# Caps -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("g", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("b", [2, 3, 8, 16, 24])
def test_honest_means_fit_the_cap_for_every_group_and_quantisation(g: int, b: int) -> None:
    params = RoundParams(group_size=g, quantisation_bits=b)
    bits = params.label_row_bits()
    assert 1 <= bits <= LABEL_ROW_BITS
    assert 2**bits - 1 < params.coefficient_cap()
    assert bits == LABEL_ROW_BITS or 2 ** (bits + 1) - 1 >= params.coefficient_cap()
    plan = plan_of(rows_of_means(OUTPUT, activations(), bits))
    plan.check(CAPS, params, NO_ANCHOR, model())


def test_coefficients_stay_below_the_largest_group_sum_of_an_entry() -> None:
    params = RoundParams(group_size=2, quantisation_bits=2, challenge_rows=0)
    matrix = np.zeros((4, 6), dtype=np.int64)
    matrix[0, 0] = params.coefficient_cap() - 1
    assert matrix[0, 0] == 5
    for sign in (1, -1):
        at = plan_of(LabelRows.from_matrix(5, sign * matrix))
        at.check(CAPS, params, NO_ANCHOR, model())
        over = LabelRows.from_matrix(5, sign * np.where(matrix, 6, 0))
        with pytest.raises(Refused, match="carry two entries"):
            plan_of(over).check(CAPS, params, NO_ANCHOR, model())


@given(g=st.integers(1, 4), b=st.integers(2, 4), data=st.data())
@settings(max_examples=60)
def test_no_row_below_the_cap_tells_every_two_entries_apart(
    g: int, b: int, data: st.DataObject
) -> None:
    """Two pairs of group sums give one row value; one above the cap and they need not."""
    cap = RoundParams(group_size=g, quantisation_bits=b).coefficient_cap()
    first, second = (data.draw(st.integers(1 - cap, cap - 1)) for _ in range(2))
    sums = range(cap + 1)
    values = [first * x + second * y for x, y in itertools.product(sums, sums)]
    assert len(set(values)) < len(values)
    separable = {x + (cap + 1) * y for x, y in itertools.product(sums, sums)}
    assert len(separable) == (cap + 1) ** 2


@given(
    st.integers(-15, 15).filter(bool),
    st.integers(-15, 15).filter(bool),
    st.integers(60, 120),
)
@settings(max_examples=60)
def test_with_few_bits_many_pairs_fit_a_row_even_when_sums_are_known_within_a_window(
    first: int, second: int, window: int
) -> None:
    """What protects where honest sums cover a small part of what is possible."""
    at = np.arange(window)
    value = first * at[:, None] + second * at[None, :]
    middle = value[window // 2, window // 2]
    assert (value == middle).sum() >= window // 15 - 1 >= 3


def test_a_plan_has_one_part_of_a_kind() -> None:
    rows = rows_of_means(OUTPUT, activations(), 4)
    for twice in (
        (rows, rows_of_means(OUTPUT, activations(1), 4)),
        (OutputLayer(5, 28), OutputLayer(0, 5)),
        (session_sketch(NO_ANCHOR, 2), session_sketch(NO_ANCHOR, 3)),
    ):
        with pytest.raises(Refused, match="two parts"):
            StatisticsPlan(DIM, twice).check(CAPS, PARAMS, NO_ANCHOR, model())


def test_output_weights_are_recomputed_from_the_model_bit_for_bit() -> None:
    rows = rows_of_weights(OUTPUT, model(), PARAMS.label_row_bits())
    plan_of(rows).check(CAPS, PARAMS, NO_ANCHOR, model())
    matrix = rows.matrix
    matrix[2, 3] += 1
    for forged in (
        LabelRows.from_matrix(5, matrix, rows.exponent, MeansSource.OUTPUT_WEIGHTS),
        replace(rows, exponent=rows.exponent + 1),
        replace(rows, offset=6),
        rows_of_weights(OUTPUT, model(), 3),
    ):
        with pytest.raises(Refused) as caught:
            plan_of(forged).check(CAPS, PARAMS, NO_ANCHOR, model())
        assert caught.value.reason is Refusal.FORGED_MEANS
    for bad in (np.full(DIM, np.nan, np.float32), np.zeros(DIM, np.float32)):
        with pytest.raises(Refused) as caught:
            plan_of(rows).check(CAPS, PARAMS, NO_ANCHOR, bad)
        assert caught.value.reason is Refusal.FORGED_MEANS


# What the server reads of it ----------------------------------------------------------------------


class Host:
    """An output layer, and class means or none."""

    dim, task, output = DIM, b"{}", OUTPUT

    def __init__(self, means: np.ndarray | None) -> None:
        self._means = means

    def initial(self, index: int) -> np.ndarray:
        return model(index)

    def class_means(self, flat: np.ndarray) -> np.ndarray | None:
        return self._means

    def evaluate(self, flat: np.ndarray) -> dict[str, float | None]:
        return {}


@pytest.mark.parametrize("clean", [True, False])
def test_the_columns_are_what_the_dual_basis_would_have_opened(clean: bool) -> None:
    host = Host(activations() if clean else None)
    choice = PlanChoice(output_layer=True, sketch_rows=3)
    made = build_plan(choice, host, model(), RoundParams(), NO_ANCHOR)
    made.plan.check(CAPS, RoundParams(), NO_ANCHOR, model())
    assert refusal(made.plan, ClassMeans(OUTPUT, activations() if clean else None)) is None
    change = np.random.default_rng(3).integers(-500, 500, DIM)
    opened = made.plan.apply(change).astype(np.int64).astype(np.float64)
    columns = made.read(opened)
    rows = made.plan.parts[0]
    assert isinstance(rows, LabelRows)
    means = rows.matrix * 2.0**-rows.exponent
    assert made.gram is not None
    np.testing.assert_allclose(made.gram, means @ means.T, rtol=1e-12)
    dual_basis = dual_readout(means) @ means
    expected = OUTPUT.weights(change) @ dual_basis.T
    np.testing.assert_allclose(columns[:16].reshape(4, 4), expected, rtol=1e-9)
    assert np.array_equal(columns[16:], opened[16:])


def test_without_label_rows_the_columns_are_the_sums() -> None:
    made = build_plan(
        PlanChoice(confusion=False, sketch_rows=3), Host(None), model(), RoundParams(), NO_ANCHOR
    )
    assert made.gram is None
    assert np.array_equal(made.read(np.arange(3.0)), np.arange(3.0))
