"""What clients train: canonical JSON, which the operator signs as part of the policy.

The text states everything that decides an update but the samples and a client's own randomness.
What follows from the model's shape stands in it too, so that another implementation, or a version
that lays parameters out in another order, sees that it would compute something else.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from auror.errors import ConfigError
from auror.learn.datasets import Standardisation
from auror.learn.models import ModelSpec, layout
from auror.learn.training import TrainingParams

_FIXED = {
    "batches": "per epoch one permutation, cut into ceil(samples / batch_size) nearly equal parts",
    "loss": "mean cross-entropy over a batch",
    "optimiser": "sgd as in torch.optim.SGD, without dampening",
    "seed": "64 random bits of the client's own in every attempt",
}


@dataclass(frozen=True, slots=True)
class Task:
    """The model's shape, its inputs, and how to train it locally."""

    model: ModelSpec
    training: TrainingParams
    standardisation: Standardisation = field(default_factory=Standardisation)

    def to_bytes(self) -> bytes:
        """Canonical: sorted keys, no blanks, so equal tasks have equal hashes."""
        found = layout(self.model)
        stated: dict[str, Any] = {
            **_FIXED,
            "model": asdict(self.model),
            "output": {
                "offset": found.output_offset,
                "classes": found.output_classes,
                "hidden": found.output_hidden,
            },
            "parameters": [
                {"name": part.name, "shape": part.shape, "dtype": "float32"}
                for part in found.slices
            ],
            "standardisation": asdict(self.standardisation),
            "training": asdict(self.training),
        }
        return json.dumps(stated, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Task:
        """Raises ConfigError when ``raw`` is not a task that this version computes."""
        try:
            stated = json.loads(raw)
            model = dict(stated["model"])
            model["input_shape"] = tuple(int(side) for side in model["input_shape"])
            found = cls(
                ModelSpec(**model),
                TrainingParams(**stated["training"]),
                Standardisation(**stated["standardisation"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{_OTHER} ({error}): {_SAME}") from error
        if found.to_bytes() != raw:
            mine = json.loads(found.to_bytes())
            differs = [name for name in sorted(mine) if stated.get(name) != mine[name]]
            raise ConfigError(f"{_OTHER} ({', '.join(differs) or 'its form'}): {_SAME}")
        return found


_OTHER = "the policy's training task is not one that this version computes"
_SAME = "operator, server and clients must run the same version of auror"
