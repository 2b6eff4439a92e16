"""What an experiment found, in memory; ``runfolder`` writes and reads it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auror.deployment.model_file import model_sha256
from auror.experiments.config import ExperimentConfig, Medium, RunName
from auror.ids import ClientId
from auror.learn.datasets import Dataset
from auror.round.record import RoundRecord
from auror.rules.choice import AUROR
from auror.secagg.quantise import CLIPPED_WARNING

Json = dict[str, Any]
FRACTIONS = ("accuracy", "source_recall", "attack_success")
"""Metrics that every run is measured by, where there is something to measure."""
REALLY_POISONED = 3
"""A malicious client counts as one for the true-positive rate from this many changed labels:
with fewer there is next to nothing to find, nor to fear."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Fractions of test samples in [0, 1]; None without labels or an attack to measure.

    ``more``: what else the task measures, by name, in units of its own.
    """

    accuracy: float | None
    source_recall: float | None
    attack_success: float | None
    more: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, named: Mapping[str, float | None]) -> Metrics:
        """The inverse of ``to_dict``; raises KeyError when one of the three is missing."""
        first = {name: named[name] for name in FRACTIONS}
        more = {name: v for name, v in named.items() if name not in FRACTIONS and v is not None}
        return cls(**first, more=more)

    def to_dict(self) -> dict[str, float | None]:
        """Everything by name."""
        return {**{name: getattr(self, name) for name in FRACTIONS}, **self.more}


@dataclass(frozen=True, slots=True)
class HistoryPoint:
    """One round of one run."""

    round: int
    """0, 1, … over the whole run, restarts included."""
    era: int
    metrics: Metrics


@dataclass(frozen=True)
class RunOutcome:
    """One of the four runs."""

    history: tuple[HistoryPoint, ...]
    seconds: float
    model: NDArray[np.float32]

    @property
    def final(self) -> Metrics:
        return self.history[-1].metrics


@dataclass(frozen=True)
class Suspicion:
    """The verdict as it stood after one round of the defended run."""

    round: int
    strength: float | None
    """Log-evidence of the best candidate set; None before there is one, and as published."""
    required: float | None
    """What it needs to be flagged."""
    scores: dict[ClientId, float]
    flagged: tuple[ClientId, ...]


@dataclass(frozen=True)
class DecodedEstimates:
    """Decoded label-confusion estimates, for the heat map."""

    clients: tuple[ClientId, ...]
    pairs: tuple[tuple[int, int], ...]
    """(source, target) per column."""
    effects: NDArray[np.float64]
    """(clients, pairs), in honest spreads."""


@dataclass(frozen=True)
class Defended:
    """What only the defended run has."""

    records: tuple[RoundRecord, ...]
    flagged: tuple[ClientId, ...]
    verdict: Json | None
    """``Verdict.to_dict()`` of the last verdict."""
    suspicion: tuple[Suspicion, ...]
    evidence: DecodedEstimates | None
    privacy: Json
    """``PrivacyAccount.to_dict()``."""
    clipped: float | None = None
    """Largest share of one update's entries beyond ± the quantisation range; None where nobody
    could see it: clients that are programs say it in their own logs."""

    @property
    def suspected(self) -> tuple[ClientId, ...]:
        """Whom the last verdict accuses without enough rounds that confirm it."""
        accused = {ClientId(int(client)) for client in (self.verdict or {}).get("flagged", ())}
        return tuple(sorted(accused - set(self.flagged)))


@dataclass(frozen=True)
class UnderRule:
    """What only a defended run under a plaintext rule has."""

    left_out: dict[ClientId, float] | None
    """Part of the rounds in which the rule left each client out; None for rules that choose
    coordinate by coordinate."""
    privacy: Json
    """``PrivacyAccount.to_dict()``: everything was seen."""


def rates(
    left_out: Mapping[ClientId, float],
    malicious: Collection[ClientId],
    poisoned: Mapping[ClientId, int],
) -> tuple[float | None, float | None]:
    """True-positive rate over the clients that really poisoned, false-positive rate over the
    honest, in [0, 1]; None where there is nobody to count.

    Args:
        left_out: every client -> part of the rounds without it, or 1 for flagged and 0.
        malicious: who is not honest.
        poisoned: malicious client -> labels that it really changed.
    """
    guilty = [part for c, part in left_out.items() if poisoned.get(c, 0) >= REALLY_POISONED]
    honest = [part for client, part in left_out.items() if client not in malicious]
    return _mean(guilty), _mean(honest)


def _mean(parts: list[float]) -> float | None:
    return float(np.mean(parts)) if parts else None


@dataclass(frozen=True)
class ExperimentResult:
    """Everything a run folder holds."""

    config: ExperimentConfig
    malicious: tuple[ClientId, ...]
    poisoned: dict[ClientId, int]
    """Malicious client → labels it really changed."""
    outcomes: dict[RunName, RunOutcome]
    defended: Defended | None
    seconds: float
    transport: Medium = Medium.MEMORY
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds by stage, for those who want to make it faster."""
    under_rule: UnderRule | None = None
    """In place of ``defended`` where a plaintext rule defends."""
    task: bytes = b""
    """What was trained, as an operator would sign it."""
    data: Dataset | None = field(default=None, repr=False, compare=False)
    """What it was trained and measured on; None when read from a run folder."""

    @property
    def flagged(self) -> tuple[ClientId, ...]:
        return () if self.defended is None else self.defended.flagged

    @property
    def model(self) -> NDArray[np.float32]:
        """The model that the experiment recommends: the defended one, or the last one trained."""
        return list(self.outcomes.values())[-1].model

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the settings do not claim, what is odd about the samples, and what the defended run
        found out, a line each."""
        known = (*self.config.warnings, *(() if self.data is None else self.data.notes))
        clipped = None if self.defended is None else self.defended.clipped
        if clipped is None or clipped <= CLIPPED_WARNING:
            return known
        much = f"clipped: up to {clipped:.1%} of an update's entries, which biases the model"
        fix = "raise quantisation_range, lower learning_rate or bring the samples to the task's"
        return (*known, f"{much}: {fix} scale")

    @property
    def own_metrics(self) -> tuple[str, ...]:
        """Names of what the task measures beside ``FRACTIONS``, sorted."""
        found = {name for run in self.outcomes.values() for name in run.final.more}
        return tuple(sorted(found))

    def rates(self) -> tuple[float | None, float | None]:
        """True-positive rate over the clients that really poisoned, false-positive rate over
        the honest; None where there is nobody to count or no defended run. Under a rule that
        leaves out clients anew in every round, the mean parts of the rounds."""
        left_out: Mapping[ClientId, float] | None = None
        if self.under_rule is not None:
            left_out = self.under_rule.left_out
        elif self.defended is not None:
            flagged = set(self.defended.flagged)
            everybody = map(ClientId, range(self.config.clients))
            left_out = {client: float(client in flagged) for client in everybody}
        return (None, None) if left_out is None else rates(left_out, self.malicious, self.poisoned)

    def summary(self) -> Json:
        """The published JSON object: one flat answer to "what came out"."""
        found, ruled = self.defended, self.under_rule
        privacy = found.privacy if found else ruled.privacy if ruled else None
        tpr, fpr = self.rates()
        era_rounds = self.config.rounds
        runs: Json = {
            run.value: self.outcomes[run].final.to_dict() if run in self.outcomes else None
            for run in RunName
        }
        scores = (found.suspicion[-1].scores if found and found.suspicion else {}) if found else {}
        return {
            "clients": self.config.clients,
            "rule": None if found is None and ruled is None else str(self.config.rule or AUROR),
            "plaintext_updates": ruled is not None,
            "left_out": None
            if ruled is None or ruled.left_out is None
            else {str(client): round(part, 4) for client, part in ruled.left_out.items()},
            "malicious": [int(client) for client in self.malicious],
            "flagged": [int(client) for client in self.flagged] if found else None,
            "suspected": [int(client) for client in found.suspected] if found else None,
            "poisoned_samples": {str(c): count for c, count in sorted(self.poisoned.items())},
            "tpr": tpr,
            "fpr": fpr,
            "rounds": era_rounds,
            "rounds_total": len(found.records) if found else era_rounds,
            "seconds": round(self.seconds, 2),
            **runs,
            "privacy": privacy,
            "clipped_share": found.clipped if found else None,
            "scores": {str(c): round(score, 4) for c, score in sorted(scores.items())}
            if found
            else None,
            "model_sha256": model_sha256(self.model),
            "warnings": list(self.warnings),
            "stages": {name: round(spent, 2) for name, spent in self.stages.items()},
        }
