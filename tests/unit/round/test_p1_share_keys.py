"""Phase 1: keys that a client is shown, and what it deals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from lying import LIAR, VICTIM, provokes, readvertised, refuses, substituted
from rounds_kit import (
    Deployment,
    play,
    whole_list,
)

from auror.crypto.kex import KeyPair
from auror.crypto.tags import Tag
from auror.errors import AbortReason, DropReason, Refusal
from auror.ids import ClientId
from auror.round.messages import (
    AdvertisedKeys,
    KeyList,
    Upload,
)


@provokes(Refusal.KEYS_SUBSTITUTED, DropReason.REFUSED)
@pytest.mark.parametrize("name", ["encryption", "update_mask", "statistics_mask", "randomness"])
def test_key_list_with_a_key_its_owner_did_not_sign(nine: Deployment, name: str) -> None:
    other = KeyPair.draw(nine.entropy("server")).public
    refuses(
        nine,
        Refusal.KEYS_SUBSTITUTED,
        KeyList,
        lambda listed: substituted(listed, LIAR, **{name: other}),
    )


@pytest.mark.parametrize("name", ["encryption", "update_mask", "statistics_mask"])
def test_degenerate_key_signed_by_a_colluder(nine: Deployment, name: str) -> None:
    def change(listed: KeyList) -> KeyList:
        keys = replace(listed.keys[LIAR], **{name: bytes(32)})
        transcript = nine.start().description.transcript()
        signature = nine.keys[LIAR].sign(Tag.ADVERTISE, transcript, *keys.signed_parts())
        return substituted(listed, LIAR, **{name: bytes(32), "signature": signature})

    refuses(nine, Refusal.KEYS_SUBSTITUTED, KeyList, change)


@provokes(Refusal.KEY_REUSED)
def test_one_key_in_two_roles_or_of_two_peers(nine: Deployment) -> None:
    refuses(
        nine,
        Refusal.KEY_REUSED,
        KeyList,
        lambda m: substituted(m, LIAR, statistics_mask=m.keys[LIAR].update_mask),
    )
    refuses(
        nine,
        Refusal.KEY_REUSED,
        KeyList,
        lambda m: substituted(m, LIAR, update_mask=m.keys[ClientId(4)].update_mask),
    )


@provokes(Refusal.OWN_KEYS_MISSING)
def test_own_keys_missing_or_changed(nine: Deployment) -> None:
    for change in (
        lambda m: whole_list({c: k for c, k in m.keys.items() if c != VICTIM}),
        lambda m: substituted(m, VICTIM, encryption=m.keys[LIAR].encryption),
    ):
        refuses(nine, Refusal.OWN_KEYS_MISSING, KeyList, change)


def test_dealt_mask_key_that_is_not_the_advertised_one(nine: Deployment) -> None:
    other = KeyPair.draw(nine.entropy("other")).public

    def hook(client: ClientId, message: Any) -> Any:
        if client == LIAR and isinstance(message, AdvertisedKeys):
            return readvertised(nine, message, update_mask=other)
        if client == LIAR and isinstance(message, Upload):
            return None  # left out of the sum, so its key must be restored
        return message

    keep_own = {}

    def to_client(client: ClientId, message: Any) -> Any:
        if client == LIAR and isinstance(message, KeyList):  # the liar knows its own lie
            return whole_list({**message.keys, LIAR: keep_own[LIAR]})
        return message

    def remember(client: ClientId, message: Any) -> Any:
        if isinstance(message, AdvertisedKeys):
            keep_own[client] = message
        return hook(client, message)

    played = play(nine, to_server=remember, to_client=to_client)
    assert played.aborted is AbortReason.BAD_RECONSTRUCTION
