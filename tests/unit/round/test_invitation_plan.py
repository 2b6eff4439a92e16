"""Phase 0, the invitation: the statistics plan under the policy's caps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from inviting import label_row, says, with_plan
from rounds_kit import CAPS, DIM, NO_ANCHOR, PARAMS, Deployment, invite

from auror.errors import Refusal
from auror.params import PlanCaps
from auror.round.label_rows import LabelRows, MeansSource
from auror.round.plan import CountSketch, OutputLayer, StatisticsPlan, session_seed


def test_too_many_statistics_counting_the_challenge(seven: Deployment) -> None:
    rows = seven.plan.rows + PARAMS.challenge_rows
    tight = Deployment(7, caps=replace(CAPS, max_statistics=rows - 1))
    says(
        invite(tight, tight.start()),
        Refusal.STATISTICS_TOO_LARGE,
        f"{rows} statistics, at most {rows - 1}",
    )
    fits = Deployment(7, caps=replace(CAPS, max_statistics=rows))
    assert invite(fits, fits.start()) is None
    assert invite(seven, seven.start(), max_statistics=rows) is None
    says(
        invite(seven, seven.start(), max_statistics=rows - 1),
        Refusal.STATISTICS_TOO_LARGE,
        f"{rows} statistics, at most {rows - 1}",
    )


def test_a_part_that_the_policy_does_not_name(seven: Deployment) -> None:
    kit = Deployment(7, caps=PlanCaps(parts=("count-sketch", "label-rows")))
    says(
        invite(kit, kit.start()),
        Refusal.STATISTICS_TOO_LARGE,
        "output-layer",
        "allowed: count-sketch, label-rows",
    )


@pytest.mark.parametrize(
    "parts",
    [
        (label_row(16),),
        (label_row(-16),),
        (label_row(-(2**31)),),
        (label_row(-(2**31), -(2**31)),),
        (OutputLayer(DIM - 1, 2),),
        (OutputLayer(0, 0),),
        (CountSketch(bytes(32), 0, False),),
        (CountSketch(bytes(32), DIM + 1, False),),
        (CountSketch(bytes(31), 2, False),),
        (CountSketch(bytes(32), 2, True),),
        (LabelRows(0, bytes(4 * DIM - 4), 1, DIM, 0, MeansSource.CLEAN_SAMPLES),),
        (LabelRows(1, bytes(4 * DIM), 1, DIM, 0, MeansSource.CLEAN_SAMPLES),),
        (OutputLayer(0, 2), OutputLayer(2, 2)),
        (label_row(1), label_row(2)),
    ],
)
def test_plan_parts_over_the_caps_or_outside_the_model(seven: Deployment, parts: Any) -> None:
    says(invite(seven, with_plan(seven, *parts)), Refusal.STATISTICS_TOO_LARGE)


def test_a_sketch_under_a_seed_that_the_server_chose(seven: Deployment) -> None:
    seed = session_seed(seven.policy.digest())
    assert invite(seven, with_plan(seven, CountSketch(seed, 2, False))) is None
    announced = with_plan(seven, CountSketch(seed, 2, True))
    says(invite(seven, announced), Refusal.STATISTICS_TOO_LARGE, "challenge rows")
    for chosen in (bytes(32), session_seed(NO_ANCHOR), seven.policy.digest()):
        asked = with_plan(seven, CountSketch(chosen, 2, False))
        says(invite(seven, asked), Refusal.STATISTICS_TOO_LARGE, "chosen seed")


def test_coefficient_and_row_norm_at_the_cap(seven: Deployment) -> None:
    assert invite(seven, with_plan(seven, label_row(15))) is None
    three = label_row(7, -7, 7)
    five = Deployment(7, caps=replace(CAPS, max_row_norm_bits=5))
    assert invite(five, with_plan(five, three)) is None
    four = Deployment(7, caps=replace(CAPS, max_row_norm_bits=4))
    says(
        invite(four, with_plan(four, three)),
        Refusal.STATISTICS_TOO_LARGE,
        "a row norm of 5 bits, at most 4",
    )


def test_statistics_that_could_wrap() -> None:
    matrix = np.full((1, 4096), 2**24 - 1, dtype=np.int64)
    plan = StatisticsPlan(4096, (LabelRows.from_matrix(0, matrix),))
    caps = replace(CAPS, max_coefficient_bits=24)
    kit = Deployment(10, 0, replace(PARAMS, quantisation_bits=24), plan=plan, caps=caps)
    says(invite(kit, kit.start()), Refusal.RING_OVERFLOW, "2^63")
