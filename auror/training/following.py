"""A run that follows others of the same clients (docs/adr/0026)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from auror.round.past import Past
from auror.round.policy import Policy
from auror.training import exclusions
from auror.training.config import CampaignConfig, check_eras
from auror.training.confirmation import BEFORE
from auror.training.state import CampaignState


def begin_after(
    past: Past,
    state: CampaignState,
    config: CampaignConfig,
    policy: Policy,
    first: Callable[[int], NDArray[np.float32]],
) -> bool:
    """Where no round has begun: with an era that is new to clients, without whom they know as
    flagged.

    ``first``: the model at step 0 of an era. Returns whether that changes ``state``.

    Raises:
        ConfigError: ``policy`` signs no training that is new to them.
    """
    models, known = state.models, state.confirmation.flagged
    if state.index or (past.era <= models.era and known.keys() >= set(past.flagged)):
        return False
    check_eras(config, policy, past.era)
    while models.era < past.era:
        models.restart(first(models.era + 1))
    state.first_era = models.era
    for client in past.flagged:
        known.setdefault(client, BEFORE)
        state.exclusions.setdefault(client, exclusions.EARLIER)
    return True
