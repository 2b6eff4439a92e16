"""All that must be kept of a training, part by part; everything else is recomputed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auror.defence.features import FeatureBlock
from auror.defence.ledger import Ledger, RoundObservation
from auror.ids import ClientId
from auror.round.messages import Exclusion
from auror.training import exclusions
from auror.training.conduct import Conduct
from auror.training.confirmation import Confirmation
from auror.training.doubt import Doubt
from auror.training.succession import ModelSuccession
from auror.training.watching import Watching


@dataclass
class CampaignState:
    """The parts of a training. Each knows its own form on disk."""

    models: ModelSuccession
    ledger: Ledger
    confirmation: Confirmation = field(default_factory=Confirmation)
    conduct: Conduct = field(default_factory=Conduct)
    exclusions: dict[ClientId, Exclusion] = field(default_factory=dict)
    """Who is excluded for good, and what it is told."""
    watching: Watching = field(default_factory=Watching)
    doubt: Doubt = field(default_factory=Doubt)
    version: int = 0
    """Of the policy that all of this goes by; 0: of none yet."""
    index: int = 0
    """Rounds of the run that are over, in all its eras."""
    counter: int = 0
    """Of the next round's id."""
    first_era: int = 0
    """Of this run: eras before it were earlier runs'."""
    rounds: int = 0
    """Of one training, as they were asked for."""
    extended: int = 0
    """Those of ``rounds`` that were there before the run was last extended."""
    over: bool = False
    """As many were trained."""
    attempts: int = 0
    """Rounds of the run that clients may have counted as attempts."""
    totals: int = 0
    """… as totals."""

    @property
    def paused(self) -> tuple[ClientId, ...]:
        """Whom the next round leaves out for its silence if it can, sorted."""
        return tuple(sorted(self.conduct.attendance.paused(self.index)))

    def extend(self, rounds: int) -> None:
        """``rounds`` of one training are wanted; of a run that is over, more than it has."""
        if self.over:
            self.extended, self.over = self.rounds, False
        self.rounds = rounds

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """What is too large for JSON, by name."""
        return self.models.tensors()

    def to_dict(self) -> dict[str, Any]:
        """Everything but the tensors and the rounds of the ledger, JSON-able, a key per part."""
        return {
            "models": self.models.to_dict(),
            "evidence": [block.to_dict() for block in self.ledger.blocks],
            "confirmation": self.confirmation.to_dict(),
            "conduct": self.conduct.to_dict(),
            "exclusions": exclusions.to_dict(self.exclusions),
            "watching": self.watching.to_dict(),
            "doubt": self.doubt.to_dict(),
            "version": self.version,
            "index": self.index,
            "counter": self.counter,
            "first_era": self.first_era,
            "rounds": self.rounds,
            "extended": self.extended,
            "over": self.over,
            "attempts": self.attempts,
            "totals": self.totals,
        }

    @classmethod
    def from_dict(
        cls,
        raw: Mapping[str, Any],
        tensors: Mapping[str, NDArray[np.float32]],
        rounds: Iterable[RoundObservation],
    ) -> CampaignState:
        """``rounds``: of the ledger.

        Raises KeyError, TypeError or ValueError when ``raw`` is not from :meth:`to_dict`.
        """
        ledger = Ledger([FeatureBlock.from_dict(block) for block in raw["evidence"]])
        for entry in rounds:
            ledger.append(entry)
        return cls(
            models=ModelSuccession.from_dict(raw["models"], tensors),
            ledger=ledger,
            confirmation=Confirmation.from_dict(raw["confirmation"]),
            conduct=Conduct.from_dict(raw["conduct"]),
            exclusions=exclusions.from_dict(raw["exclusions"]),
            watching=Watching.from_dict(raw["watching"]),
            doubt=Doubt.from_dict(raw["doubt"]),
            version=int(raw["version"]),
            index=int(raw["index"]),
            counter=int(raw["counter"]),
            first_era=int(raw["first_era"]),
            rounds=int(raw["rounds"]),
            extended=int(raw["extended"]),
            over=bool(raw["over"]),
            attempts=int(raw["attempts"]),
            totals=int(raw["totals"]),
        )
