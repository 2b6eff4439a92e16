"""Auror: federated training that is private and robust at the same time.

docs/library.md shows all of it at work. Nothing is loaded before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from auror.version import __version__

if TYPE_CHECKING:
    from auror.defence.features import FeatureBlock, FeatureKind
    from auror.defence.ledger import GroupObservation, Ledger, RoundObservation
    from auror.errors import UserError
    from auror.learn.attack import Aim, Attack, Knowledge
    from auror.learn.standardisation import Standardisation
    from auror.learn.task import ServerData, Task
    from auror.learn.training import TrainingParams
    from auror.library.experiment import Experiment, simulate
    from auror.library.judging import judge
    from auror.library.rounds import RoundResult, run_round
    from auror.library.sums import masked_sum
    from auror.rules.robust import Aggregate, AggregationRule
    from auror.training.detectors import DetectorDials, DetectorKind, PlainVerdict
    from auror.training.observations import PlanChoice
    from auror.training.verdict import Detector, Verdict

__all__ = [
    "Aggregate", "AggregationRule", "Aim", "Attack", "Detector", "DetectorDials", "DetectorKind",
    "Experiment", "FeatureBlock", "FeatureKind", "GroupObservation", "Knowledge", "Ledger",
    "PlainVerdict", "PlanChoice", "RoundObservation", "RoundResult", "ServerData",
    "Standardisation", "Task", "TrainingParams", "UserError", "Verdict", "__version__", "judge",
    "masked_sum", "run_round", "simulate",
]  # fmt: skip

_HOMES = {
    "auror.defence.features": ("FeatureBlock", "FeatureKind"),
    "auror.defence.ledger": ("GroupObservation", "Ledger", "RoundObservation"),
    "auror.errors": ("UserError",),
    "auror.learn.attack": ("Aim", "Attack", "Knowledge"),
    "auror.learn.standardisation": ("Standardisation",),
    "auror.learn.task": ("ServerData", "Task"),
    "auror.learn.training": ("TrainingParams",),
    "auror.library.experiment": ("Experiment", "simulate"),
    "auror.library.judging": ("judge",),
    "auror.library.rounds": ("RoundResult", "run_round"),
    "auror.library.sums": ("masked_sum",),
    "auror.rules.robust": ("Aggregate", "AggregationRule"),
    "auror.training.detectors": ("DetectorDials", "DetectorKind", "PlainVerdict"),
    "auror.training.observations": ("PlanChoice",),
    "auror.training.verdict": ("Detector", "Verdict"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'auror' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
