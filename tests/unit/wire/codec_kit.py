"""An invitation, and the limits that its round is read under."""

from __future__ import annotations

import dataclasses

import numpy as np

from auror.ids import ClientId, Digest, RoundId
from auror.round import messages as m
from auror.round.description import RoundDescription
from auror.round.label_rows import LabelRows, MeansSource
from auror.round.plan import CountSketch, OutputLayer, StatisticsPlan
from auror.wire.limits import Limits

LIMITS = Limits(clients=12, dim=50, statistics=80)


def start(**changes: object) -> m.RoundStart:
    plan = StatisticsPlan(
        40,
        (
            OutputLayer(30, 10),
            CountSketch(bytes(range(32)), 4, False),
            LabelRows.from_matrix(
                0,
                np.arange(6, dtype=np.int64).reshape(2, 3) - 3,
                -2,
                MeansSource.OUTPUT_WEIGHTS,
            ),
        ),
    )
    description = RoundDescription(
        deployment=bytes(range(16)),
        policy=Digest(bytes([5]) * 32),
        policy_version=3,
        round_id=RoundId(7, bytes(16)),
        attempt=2,
        era=1,
        step=4,
        disputed=True,
        parent=Digest(bytes([6]) * 32),
        model=Digest(bytes([7]) * 32),
        plan=Digest(bytes([8]) * 32),
        cohort=(ClientId(0), ClientId(3), ClientId(11)),
    )
    whole = m.RoundStart(description, plan, np.linspace(-1, 1, 40).astype(np.float32))
    return dataclasses.replace(whole, **changes)
