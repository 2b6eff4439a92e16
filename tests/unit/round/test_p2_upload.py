"""Phase 2: what leaves a client as its masked update."""

from __future__ import annotations

from collections import Counter
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
from auror.ids import ClientId, Digest
from auror.round.client.machine import ClientMachine
from auror.round.messages import ClientMessage, Upload
from auror.round.server import p2_upload
from auror.round.server.context import ServerEffect
from auror.round.server.machine import RoundServer


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


def test_an_upload_hashed_ahead_is_taken_by_its_own_digest_only(
    nine: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_message, hashed = RoundServer.on_message, Counter[ClientId]()
    upload_digest = p2_upload.upload_digest

    def counted(transcript: Digest, client: ClientId, payload: bytes) -> Digest:
        hashed[client] += 1
        return upload_digest(transcript, client, payload)

    def told_before(
        server: RoundServer, sender: ClientId, message: ClientMessage
    ) -> list[ServerEffect]:
        server.prepare(sender, message)
        if isinstance(message, Upload) and sender == VICTIM:
            other = bytes([message.payload[0] ^ 1]) + message.payload[1:]
            message = replace(message, payload=other)
        return on_message(server, sender, message)

    monkeypatch.setattr(p2_upload, "upload_digest", counted)
    monkeypatch.setattr(RoundServer, "on_message", told_before)
    played = play(nine)
    assert played.dropped == {VICTIM: DropReason.BAD_DIGEST}
    assert hashed == {client: 1 + (client == VICTIM) for client in nine.keys}
    exact(played, nine)
