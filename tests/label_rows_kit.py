"""A small output layer, its label rows, and what a client says of them."""

from __future__ import annotations

import numpy as np

from auror.errors import Refusal, Refused
from auror.params import PLAN_PARTS, PlanCaps, RoundParams
from auror.round.client.label_rows import check_output_rows
from auror.round.label_rows import ClassMeans, LabelRows
from auror.round.output import OutputShape
from auror.round.plan import OutputLayer, StatisticsPlan

OUTPUT = OutputShape(5, 4, 6)
DIM = 40
CAPS = PlanCaps(parts=PLAN_PARTS)
BITS = RoundParams().label_row_bits()


def activations(seed: int = 0) -> np.ndarray:
    return np.abs(np.random.default_rng(seed).normal(size=(4, 6))).astype(np.float32)


def model(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=DIM).astype(np.float32)


def own(means: np.ndarray) -> ClassMeans:
    return ClassMeans(OUTPUT, means)


def refusal(plan: StatisticsPlan, mine: ClassMeans | None) -> Refusal | None:
    try:
        check_output_rows(plan, mine, BITS)
    except Refused as refused:
        return refused.reason
    return None


def plan_of(*parts: LabelRows | OutputLayer) -> StatisticsPlan:
    return StatisticsPlan(DIM, parts)
