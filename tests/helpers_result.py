"""A small experiment made by hand, with every part a run folder can hold."""

from __future__ import annotations

import numpy as np

from auror.errors import AbortReason, DropReason
from auror.experiments.config import ExperimentConfig, RunName
from auror.experiments.result import (
    DecodedEstimates,
    Defended,
    ExperimentResult,
    HistoryPoint,
    Metrics,
    RunOutcome,
    Suspicion,
)
from auror.ids import ClientId, Digest, GroupIndex, RoundId
from auror.learn.architectures import Mlp
from auror.learn.pinned import PinnedTask
from auror.learn.training import TrainingParams
from auror.params import RoundParams
from auror.round.record import OpenedGroup, RoundRecord
from auror.round.watch import Watch

SPEC = Mlp((1, 8, 8), 10, hidden=64)
TASK = PinnedTask(SPEC, TrainingParams()).to_bytes()
DATA = {"name": "digits", "splits": {"test": {"samples": 360, "sha256": "ab" * 32}}}


def config(**changes: object) -> ExperimentConfig:
    plain = {
        "dataset": "digits",
        "clients": 6,
        "malicious": 2,
        "rounds": 2,
        "round_params": RoundParams(group_size=2, colluders=1),
    }
    return ExperimentConfig(**{**plain, **changes})  # type: ignore[arg-type]


def record(index: int, era: int, aborted: AbortReason | None = None) -> RoundRecord:
    everybody = tuple(ClientId(i) for i in range(6))
    members = (ClientId(0), ClientId(3))
    return RoundRecord(
        index=index,
        era=era,
        round_id=RoundId(index, bytes(range(16))),
        attempt=0,
        cohort=everybody,
        dealt=everybody,
        uploaded=everybody[:5],
        sent=everybody[:4],
        groups=(members,),
        opened=(OpenedGroup(GroupIndex(0), members, np.array([1, 2**64 - 1], dtype=np.uint64)),),
        accepted_groups=(GroupIndex(0),),
        accepted=members,
        left_out={GroupIndex(1): "flagged: 5"},
        flagged=(ClientId(5),),
        dropped={ClientId(4): DropReason.SILENT},
        aborted=aborted,
        total_opened=aborted is None,
        model=Digest(bytes([index]) * 32),
        public_seed=bytes(32),
        watch=Watch.ALWAYS,
        watched=True,
    )


def result(**changes: object) -> ExperimentResult:
    dim = SPEC.layout.dim
    model = np.random.default_rng(3).normal(size=dim).astype(np.float32)
    points = tuple(
        HistoryPoint(i, i // 2, Metrics(0.5 + i / 10, 0.9, 0.1 / (i + 1))) for i in range(4)
    )
    runs = {run: RunOutcome(points[:2], 1.0, model) for run in RunName}
    runs[RunName.DEFENDED] = RunOutcome(points, 2.0, model)
    scores = {ClientId(i): float(i) - 2.5 for i in range(6)}
    suspicion = tuple(
        Suspicion(i, None if i == 0 else 12.5, 10.0, scores, (ClientId(5),) if i > 1 else ())
        for i in range(4)
    )
    verdict = {
        "source": 4,
        "target": 9,
        "groups": 12,
        "rounds": [0, 1],
        "strength": 12.5,
        "required": 10.0,
        "clients": [
            {"client": i, "confidence": i / 6, "groups": 4, "reason": f"<reason {i}>"}
            for i in range(6)
        ],
    }
    privacy = {
        "group_size": 2,
        "smallest_group": 2,
        "rounds_opened": 4,
        "rounds_watched": 3,
        "groups_opened": 12,
        "statistics_opened": 1296,
        "leverage_per_round": 0.5,
        "bits_opened_per_group": 128,
        "bits_of_range_per_group": 61.5,
        "totals_per_model": 1,
        "collusion": {
            "colluders": 1,
            "likely_fewest_honest": 1,
            "single_honest_openings": 2.5,
        },
        "statistic_recovery": 0.75,
        "update_recovery": 0.125,
        "statistic_recovery_of": {str(i): 0.5 for i in range(6)},
    }
    made: dict[str, object] = {
        "config": config(),
        "malicious": (ClientId(1), ClientId(5)),
        "poisoned": {ClientId(1): 2, ClientId(5): 14},
        "outcomes": runs,
        "defended": Defended(
            records=(
                record(0, 0),
                record(1, 0, AbortReason.TOO_FEW_AGREED),
                record(2, 1),
                record(3, 1),
            ),
            flagged=(ClientId(5),),
            verdict=verdict,
            suspicion=suspicion,
            evidence=DecodedEstimates(
                tuple(scores), ((4, 9), (9, 4), (0, 6)), np.arange(18).reshape(6, 3) / 4.0
            ),
            privacy=privacy,
        ),
        "seconds": 4.25,
        "stages": {"defended": 2.0},
    }
    return ExperimentResult(**{**made, **changes})  # type: ignore[arg-type]
