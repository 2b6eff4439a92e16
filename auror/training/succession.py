"""Which model: one after the other, named by era and step; what becomes of a spent step.

Clients help to open one total of a step and join a few attempts (rule 3), so every total that may
have been opened is followed by another model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auror.errors import ConfigError
from auror.ids import Digest
from auror.round.description import model_digest
from auror.round.policy import NO_DIGEST

_RETREAT = 0.9
"""What a first model is multiplied with when its step is spent."""


def stand_in(model: NDArray[np.float32]) -> NDArray[np.float32]:
    """For the model before ``model`` (d,), which is lost: half-way back is then as far as from a
    first model."""
    return (model * (2 * _RETREAT - 1)).astype(np.float32)


@dataclass
class ModelSuccession:
    """The models of a run; ``era`` and ``step`` name the present one."""

    model: NDArray[np.float32]
    previous: NDArray[np.float32] | None = None
    """The model before the last change, in this era."""
    parent: Digest = NO_DIGEST
    """Hash of the model of the step before, in this era."""
    era: int = 0
    """Of all trainings under the policy; a restart begins another one."""
    era_round: int = 0
    """Rounds of this era that ended with a total."""
    failed: int = 0
    """Rounds of this era that ended without one."""
    step: int = 0
    attempts: int = 0
    """At this step."""
    spent: bool = False
    """A total of this step may have been opened."""

    @property
    def trained(self) -> bool:
        """Whether any total has gone into the present model."""
        return self.previous is not None

    def book(self, *, attempted: bool, unmasking: bool) -> None:
        """Count what clients may have counted at this step: an attempt, a total."""
        self.attempts += attempted
        self.spent |= unmasking

    def add(self, mean: NDArray[np.float64]) -> None:
        """The step that a round's mean update (d,) makes."""
        self.era_round += 1
        self._step_to((self.model + mean).astype(np.float32))

    def leave_spent_step(self, max_attempts: int) -> None:
        """Go on to another model when clients would help with this one no more.

        The training takes a step half-way back to the model before: a new model, close to a good
        one (docs/adr/0005). The first of an era has none before it and moves a little towards zero.
        """
        if not self.spent and self.attempts < max_attempts:
            return
        self._retreat()

    def _retreat(self) -> None:
        back = self.previous
        half = self.model * _RETREAT if back is None else (self.model + back) / 2
        self._step_to(half.astype(np.float32))
        self.previous = back

    def reach(
        self, era: int, step: int, model: Digest, first: Callable[[int], NDArray[np.float32]]
    ) -> None:
        """Make the same way again to the model that a round was begun with, by the same moves.

        Args:
            era, step, model: its name and its hash.
            first: the model at step 0 of an era.

        Raises:
            ConfigError: these moves do not lead there.
        """
        while self.era < era:
            self.restart(first(self.era + 1))
        while self.step < step:
            self._retreat()
        if (self.era, self.step) != (era, step) or model_digest(self.model) != model:
            raise ConfigError(
                f"a round was begun with another model of era {era}, step {step} than the state"
                " that was kept leads to: choose another server.run_dir"
            )

    def lose(self, step: int, model: Digest) -> None:
        """Go on with the present model under the name after ``step``: that step's own ``model``
        (hash) is lost, and clients may know it."""
        self.step, self.parent = step + 1, model
        self.attempts, self.spent = 0, False

    def restart(self, model: NDArray[np.float32]) -> None:
        """Begin the next era with ``model`` (d,), which has no model before it."""
        self.era += 1
        self.era_round = self.failed = self.step = self.attempts = 0
        self.spent = False
        self.previous, self.parent = None, NO_DIGEST
        self.model = model

    def _step_to(self, model: NDArray[np.float32]) -> None:
        self.previous, self.parent = self.model, model_digest(self.model)
        self.model = model
        self.step += 1
        self.attempts, self.spent = 0, False

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """The models themselves, (d,) each, by name."""
        before = {} if self.previous is None else {"previous": self.previous}
        return {"model": self.model, **before}

    def to_dict(self) -> dict[str, Any]:
        """Everything but the models, JSON-able."""
        return {
            "parent": self.parent.hex(),
            "era": self.era,
            "era_round": self.era_round,
            "failed": self.failed,
            "step": self.step,
            "attempts": self.attempts,
            "spent": self.spent,
        }

    @classmethod
    def from_dict(
        cls, raw: Mapping[str, Any], tensors: Mapping[str, NDArray[np.float32]]
    ) -> ModelSuccession:
        """Raises KeyError, TypeError or ValueError when ``raw`` is not from :meth:`to_dict`."""
        return cls(
            model=np.asarray(tensors["model"], dtype=np.float32),
            previous=tensors.get("previous"),
            parent=Digest(bytes.fromhex(raw["parent"])),
            era=int(raw["era"]),
            era_round=int(raw["era_round"]),
            failed=int(raw["failed"]),
            step=int(raw["step"]),
            attempts=int(raw["attempts"]),
            spent=bool(raw["spent"]),
        )
