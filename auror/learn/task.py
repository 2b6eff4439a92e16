"""What the server tells its clients to train: canonical JSON, part of the configuration hash."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from auror.errors import ConfigError
from auror.learn.models import ModelSpec
from auror.learn.training import TrainingParams


@dataclass(frozen=True, slots=True)
class Task:
    """The model's shape and how to train it locally."""

    model: ModelSpec
    training: TrainingParams

    def to_bytes(self) -> bytes:
        """Canonical: sorted keys, no blanks, so equal tasks have equal hashes."""
        fields = {"model": asdict(self.model), "training": asdict(self.training)}
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Task:
        """Raises ConfigError when ``raw`` is not a task that this version understands."""
        try:
            fields = json.loads(raw)
            model = dict(fields["model"])
            model["input_shape"] = tuple(int(side) for side in model["input_shape"])
            return cls(ModelSpec(**model), TrainingParams(**fields["training"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"the server's training task cannot be read ({error}): server and client must"
                " run the same version of auror"
            ) from error
