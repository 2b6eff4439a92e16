"""Servers and clients that lie, on real machines: the hooks that the tests of all phases share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from rounds_kit import (
    Deployment,
    Played,
    play,
    rounding,
    whole_list,
)

from auror.crypto.tags import Tag
from auror.errors import AbortReason, DropReason, Refusal
from auror.ids import ClientId
from auror.round.messages import (
    AdvertisedKeys,
    DealtShares,
    KeyList,
    ShareDelivery,
)
from auror.secagg.client.unmask import OpenedShares
from auror.secagg.quantise import Quantiser
from auror.secagg.sharing import Dealing, Share

VICTIM = ClientId(0)
LIAR = ClientId(3)


def provokes(*reasons: Refusal | DropReason | AbortReason) -> Callable[[Any], Any]:
    """Says which reasons a test provokes; ``test_reasons.py`` wants all of them."""
    assert reasons
    return lambda test: test


def expected_total(played: Played, deployment: Deployment) -> np.ndarray[Any, Any]:
    params = deployment.params
    quantiser = Quantiser(params.quantisation_bits, params.quantisation_range)
    updates = deployment.updates()
    return np.sum(
        [
            quantiser.quantise(updates[c], rounding(c)).astype(np.int64)
            for c in played.summary.accepted
        ],
        axis=0,
    )


def exact(played: Played, deployment: Deployment) -> None:
    assert played.aborted is None
    assert played.total is not None
    assert np.array_equal(played.total.total, expected_total(played, deployment))


def first_keys(mapping: Any, count: int) -> dict[Any, Any]:
    return {client: mapping[client] for client in sorted(mapping)[:count]}


def lie(kind: type, change: Callable[[Any], Any], victim: ClientId = VICTIM) -> Any:
    return lambda client, message: (
        change(message) if client == victim and isinstance(message, kind) else message
    )


def refuses(
    deployment: Deployment, refusal: Refusal, kind: type, change: Callable[[Any], Any], **rules: int
) -> Played:
    """The victim refuses and says nothing more; the others' total is exact."""
    machines = deployment.machines()
    machines[VICTIM] = deployment.machine(VICTIM, **rules)
    played = play(deployment, machines=machines, to_client=lie(kind, change))
    assert {c: g.refusal for c, g in played.gave_up.items()} == {VICTIM: refusal}
    assert played.dropped[VICTIM] is DropReason.REFUSED
    exact(played, deployment)
    return played


def substituted(listed: KeyList, client: ClientId, **changes: bytes) -> KeyList:
    return whole_list({**listed.keys, client: replace(listed.keys[client], **changes)})


def garbled(delivery: ShareDelivery, *dealers: ClientId) -> ShareDelivery:
    spoilt = {
        c: replace(e, ciphertext=bytes([e.ciphertext[0] ^ 1]) + e.ciphertext[1:])
        for c, e in delivery.envelopes.items()
        if c in dealers
    }
    return replace(delivery, envelopes={**delivery.envelopes, **spoilt})


def cheat(kind: type, change: Callable[[Any], Any], liar: ClientId = LIAR) -> Any:
    return lambda client, message: (
        change(message) if client == liar and isinstance(message, kind) else message
    )


def drops(
    deployment: Deployment, reason: DropReason, kind: type, change: Callable[[Any], Any]
) -> Played:
    """The liar is dropped with this reason, nobody else is, and the total is exact."""
    played = play(deployment, to_server=cheat(kind, change))
    assert played.dropped == {LIAR: reason}
    assert played.summary.dropped == {LIAR: reason}
    exact(played, deployment)
    return played


def resigned(deployment: Deployment, dealt: DealtShares, **changes: Any) -> DealtShares:
    changed = replace(dealt, **changes)
    parts = Dealing(
        changed.ciphertexts, changed.share_commitments, changed.secret_commitments
    ).signed_parts()
    transcript = deployment.start().description.transcript()
    return replace(changed, signature=deployment.keys[LIAR].sign(Tag.DEALING, transcript, *parts))


def readvertised(deployment: Deployment, keys: AdvertisedKeys, **changes: bytes) -> AdvertisedKeys:
    changed = replace(keys, **changes)
    transcript = deployment.start().description.transcript()
    signature = deployment.keys[LIAR].sign(Tag.ADVERTISE, transcript, *changed.signed_parts())
    return replace(changed, signature=signature)


def bad_share(shares: OpenedShares) -> OpenedShares:
    first = min(shares.self_seeds)
    value = bytes([shares.self_seeds[first].value[0] ^ 1]) + shares.self_seeds[first].value[1:]
    wrong = Share(value, shares.self_seeds[first].salt)
    return OpenedShares({**shares.self_seeds, first: wrong}, shares.mask_keys)
