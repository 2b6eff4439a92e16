"""Which statistics are left to open where a model has no labels or no linear output layer."""

from __future__ import annotations

import pytest

from auror.params import PlanCaps
from auror.round.output import OutputShape
from auror.training.observations import WITHOUT_LABELS, PlanChoice, how_found, usable

SKETCH = PlanCaps(parts=("count-sketch",))
LABELS = PlanCaps()
OUTPUT = OutputShape(0, 4, 6)


@pytest.mark.parametrize("choice", [PlanChoice(), PlanChoice(confusion=False, sketch_rows=9)])
def test_an_output_layer_leaves_the_choice_as_it_is(choice: PlanChoice) -> None:
    assert usable(choice, 100, OUTPUT, LABELS) is choice


def test_a_sketch_stands_in_for_labels_where_the_policy_allows_it() -> None:
    large, small = (usable(PlanChoice(), dim, None, SKETCH) for dim in (50_000, 80))
    assert large == PlanChoice(confusion=False, sketch_rows=WITHOUT_LABELS)
    assert small == PlanChoice(confusion=False, sketch_rows=10)
    assert "10 entries of a sketch" in (how_found(small) or "")


@pytest.mark.parametrize(
    ("choice", "caps", "dim"),
    [
        (PlanChoice(), LABELS, 80),
        (PlanChoice(), SKETCH, 7),
        (PlanChoice(confusion=False), SKETCH, 80),
        (PlanChoice(confusion=False, output_layer=True), SKETCH, 80),
    ],
)
def test_nothing_is_opened_that_nobody_asked_for_or_allowed(
    choice: PlanChoice, caps: PlanCaps, dim: int
) -> None:
    left = usable(choice, dim, None, caps)
    assert left == PlanChoice(confusion=False)
    assert "nobody can be flagged" in (how_found(left) or "")


def test_a_sketch_that_was_chosen_is_kept() -> None:
    chosen = PlanChoice(output_layer=True, sketch_rows=5)
    assert usable(chosen, 80, None, SKETCH) == PlanChoice(confusion=False, sketch_rows=5)
