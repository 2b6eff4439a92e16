"""All that a checkpoint of a training must hold, part by part; everything else is recomputed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auror.defence.ledger import Ledger
from auror.training.conduct import Conduct
from auror.training.confirmation import Confirmation
from auror.training.succession import ModelSuccession


@dataclass
class CampaignState:
    """The parts of a training. Each knows its own form on disk."""

    models: ModelSuccession
    ledger: Ledger
    confirmation: Confirmation = field(default_factory=Confirmation)
    conduct: Conduct = field(default_factory=Conduct)
    index: int = 0
    """Rounds that are over, in all eras."""
    counter: int = 0
    """Of the next round's id: invitations so far."""

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """What is too large for JSON, by name."""
        return self.models.tensors()

    def to_dict(self) -> dict[str, Any]:
        """Everything but the tensors, JSON-able, a key per part."""
        return {
            "models": self.models.to_dict(),
            "ledger": self.ledger.to_dict(),
            "confirmation": self.confirmation.to_dict(),
            "conduct": self.conduct.to_dict(),
            "index": self.index,
            "counter": self.counter,
        }

    @classmethod
    def from_dict(
        cls, raw: Mapping[str, Any], tensors: Mapping[str, NDArray[np.float32]]
    ) -> CampaignState:
        """Raises KeyError, TypeError or ValueError when ``raw`` is not from :meth:`to_dict`."""
        return cls(
            models=ModelSuccession.from_dict(raw["models"], tensors),
            ledger=Ledger.from_dict(raw["ledger"]),
            confirmation=Confirmation.from_dict(raw["confirmation"]),
            conduct=Conduct.from_dict(raw["conduct"]),
            index=int(raw["index"]),
            counter=int(raw["counter"]),
        )
