"""Phase 0: fresh keys, signed over one T; the invitation itself is in test_invitation.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from lying import LIAR, VICTIM, exact, lie, readvertised
from rounds_kit import (
    Deployment,
    play,
    whole_list,
)

from auror.errors import AbortReason, DropReason, Refusal
from auror.ids import ClientId
from auror.round.description import model_digest
from auror.round.messages import (
    AdvertisedKeys,
    KeyList,
    MaskedStatistics,
    RoundStart,
)


def test_key_that_somebody_else_advertised(nine: Deployment) -> None:
    seen: dict[ClientId, AdvertisedKeys] = {}

    def copy(client: ClientId, message: Any) -> Any:
        if isinstance(message, AdvertisedKeys):
            seen[client] = message
            if client == LIAR:
                return readvertised(nine, message, update_mask=seen[VICTIM].update_mask)
        return message

    played = play(nine, to_server=copy)
    assert played.dropped == {LIAR: DropReason.MALFORMED}
    exact(played, nine)


def other_model(deployment: Deployment, start: RoundStart) -> RoundStart:
    model = start.model.copy()
    model.view(np.uint32)[0] ^= 1
    return replace(
        start, model=model, description=replace(start.description, model=model_digest(model))
    )


def test_one_bit_of_the_model_costs_the_client_its_place(nine: Deployment) -> None:
    start = nine.start(step=1)  # that of step 0 is in the policy
    played = play(nine, start=start, to_client=lie(RoundStart, lambda m: other_model(nine, m)))
    assert played.dropped == {VICTIM: DropReason.BAD_SIGNATURE}
    assert VICTIM not in played.summary.accepted
    exact(played, nine)


def test_one_bit_of_the_model_passed_on_ends_the_round(nine: Deployment) -> None:
    real = {}

    def note(client: ClientId, message: Any) -> Any:
        if client == VICTIM and isinstance(message, AdvertisedKeys):
            real[client] = message
        return message

    def server(client: ClientId, message: Any) -> Any:
        if client == VICTIM and isinstance(message, RoundStart):
            return other_model(nine, message)
        if isinstance(message, KeyList):
            return whole_list({**message.keys, **real})
        return message

    played = play(nine, start=nine.start(step=1), to_client=server, to_server=note)
    assert {g.refusal for g in played.gave_up.values()} == {Refusal.KEYS_SUBSTITUTED}
    assert len(played.gave_up) == 8
    assert played.aborted is AbortReason.TOO_FEW_DEALT
    assert played.total is None


def test_every_attempt_draws_new_keys_and_masks(nine: Deployment) -> None:
    machines = nine.machines()

    def closed(client: ClientId, message: Any) -> Any:
        return None if isinstance(message, MaskedStatistics) else message

    first = play(nine, machines=machines, to_server=closed)
    second = play(nine, start=nine.start(1), machines=machines)
    one, two = (
        {key for keys in known.values() for key in (*keys.public_keys(), keys.randomness)}
        for known in (first.state.wired.keys, second.state.wired.keys)
    )
    assert len(one) == len(two) == 36
    assert not one & two
    ours, theirs = first.state.uploads.digests, second.state.uploads.digests
    assert ours.keys() == theirs.keys()
    assert not set(ours.values()) & set(theirs.values())
