"""Phase 2: what leaves a client as its masked update."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lying import VICTIM, drops, exact, provokes
from rounds_kit import (
    DIM,
    Deployment,
    play,
    rounding,
)

from auror.errors import DropReason, Refusal
from auror.ids import Digest
from auror.round.client.machine import ClientMachine
from auror.round.messages import (
    Upload,
)


@provokes(Refusal.BAD_UPDATE)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_never_leave(nine: Deployment, bad: float) -> None:
    updates = nine.updates()
    updates[VICTIM][3] = bad
    played = play(nine, updates=updates)
    assert played.gave_up[VICTIM].refusal is Refusal.BAD_UPDATE
    assert VICTIM not in played.said(Upload)
    exact(played, nine)


def test_update_of_another_shape_never_leaves(nine: Deployment) -> None:
    updates = {**nine.updates(), VICTIM: np.zeros(DIM + 1, dtype=np.float32)}
    played = play(nine, updates=updates)
    assert played.gave_up[VICTIM].refusal is Refusal.BAD_UPDATE


def test_late_update_is_not_kept(nine: Deployment) -> None:
    machine: ClientMachine = nine.machine(VICTIM)
    assert machine.on_update(np.zeros(DIM, dtype=np.float32), rounding(VICTIM)) == []
    played = play(nine, machines={**nine.machines(), VICTIM: machine})
    assert machine.on_update(np.zeros(DIM, dtype=np.float32), rounding(VICTIM)) == []
    assert machine._update is None
    exact(played, nine)


@provokes(DropReason.BAD_DIGEST)
def test_upload_that_does_not_match_its_digest(nine: Deployment) -> None:
    drops(nine, DropReason.BAD_DIGEST, Upload, lambda m: replace(m, digest=Digest(bytes(32))))
