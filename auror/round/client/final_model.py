"""After the last round, the client: is this the model that the training ended with?

docs/protocol.md section 4. Nobody but the server knows the last total, so a client checks the place
of the model in the training, and how far a total could have moved it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auror.errors import Refusal, Refused
from auror.round.client.memory import ClientMemory
from auror.round.description import model_digest
from auror.round.messages import FinalModel, RoundEnd, RoundStart
from auror.round.policy import Policy


@dataclass(frozen=True)
class LastRound:
    """What a client still knows of the round that it joined last."""

    start: RoundStart
    end: RoundEnd | None = None
    """None: it was not told."""


def check_final_model(
    policy: Policy, memory: ClientMemory, last: LastRound | None, dim: int, final: FinalModel
) -> None:
    """``dim``: entries of the model that the policy's task trains.

    Raises:
        Refused: it cannot be the model that the training ended with, or the policy keeps it back.
    """
    if not policy.release_model:
        raise Refused(Refusal.WRONG_POLICY, "release_model = false, and a model was sent")
    if final.policy != policy.digest():
        raise Refused(
            Refusal.WRONG_POLICY,
            f"digest {final.policy.hex()[:16]}…, here {policy.digest().hex()[:16]}…",
        )
    if final.model.shape != (dim,):
        raise Refused(Refusal.WRONG_MODEL, f"{final.model.size} entries, the task has {dim}")
    if not np.isfinite(final.model).all():
        raise Refused(Refusal.WRONG_MODEL, "values that are not finite")
    if model_digest(final.model) != final.digest:
        raise Refused(Refusal.WRONG_MODEL, "not the model that its digest names")
    if final.era >= policy.eras or not 1 <= final.step <= policy.budget.max_steps:
        raise Refused(
            Refusal.WRONG_STEP, f"era {final.era}, step {final.step}: the policy has no such model"
        )
    memory.check_place(final.era, final.step, final.digest, final.parent)
    if last is not None:
        _check_last_round(policy, last, final)


def _check_last_round(policy: Policy, last: LastRound, final: FinalModel) -> None:
    """What this client was told of its last round holds; one total moves no entry further than
    updates are clipped to."""
    description, end = last.start.description, last.end
    place = (final.era, final.step)
    if end is not None:
        after = (description.era, description.step + (end.aborted is None))
        if place == after and final.digest != end.model:
            raise Refused(
                Refusal.WRONG_MODEL,
                f"step {final.step}: {final.digest.hex()[:16]}…, told at the end of the round"
                f" {end.model.hex()[:16]}…",
            )
    if place == (description.era, description.step + 1):
        if final.parent != description.model:
            raise Refused(Refusal.WRONG_MODEL, f"parent of step {final.step}: not the last model")
        moved = np.abs(final.model.astype(np.float64) - last.start.model)
        most = policy.params.quantisation_range
        if (moved > most + np.spacing(np.abs(final.model)).astype(np.float64)).any():
            raise Refused(
                Refusal.WRONG_MODEL,
                f"moved by {moved.max():.3g} from the last model, one total moves at most {most:g}",
            )
