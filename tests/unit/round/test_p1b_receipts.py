"""Phase 1b: envelopes that cannot be read, and receipts that lie."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from lying import LIAR, VICTIM, cheat, drops, exact, garbled, lie, provokes, resigned
from rounds_kit import (
    PARAMS,
    Deployment,
    play,
)

from auror.crypto.tags import Tag
from auror.errors import DropReason
from auror.ids import ClientId
from auror.round.messages import (
    DealtShares,
    RandomnessShares,
    Receipt,
    ShareDelivery,
    UpdateShares,
)
from auror.round.public import receipt_parts
from auror.secagg.client.unmask import OpenedShares


def test_unreadable_envelopes_are_receipted_and_nobody_withdraws(nine: Deployment) -> None:
    """A pair of which one end lies; the round goes on with both."""
    played = play(nine, to_client=lie(ShareDelivery, lambda m: garbled(m, LIAR)))
    assert not played.gave_up
    assert not played.dropped
    assert played.said(Receipt)[VICTIM][0].unreadable == (LIAR,)  # type: ignore[union-attr]
    assert [mark.clients for mark in played.summary.marks] == [(VICTIM, LIAR)]
    exact(played, nine)


def test_an_envelope_that_never_came_is_unreadable(nine: Deployment) -> None:
    def withhold(delivery: ShareDelivery) -> ShareDelivery:
        return replace(delivery, envelopes={c: e for c, e in delivery.envelopes.items() if c != 5})

    played = play(nine, to_client=lie(ShareDelivery, withhold))
    assert played.said(Receipt)[VICTIM][0].unreadable == (ClientId(5),)  # type: ignore[union-attr]
    exact(played, nine)


@provokes(DropReason.BAD_DEALING)
def test_a_dealer_whom_more_than_c_cannot_read_is_proven_and_costs_no_round(
    nine: Deployment,
) -> None:
    def unreadable(message: DealtShares) -> DealtShares:
        return resigned(nine, message, ciphertexts={h: bytes(163) for h in message.ciphertexts})

    played = play(nine, to_server=cheat(DealtShares, unreadable))
    assert played.dropped == {LIAR: DropReason.BAD_DEALING}
    assert [mark.clients for mark in played.summary.marks] == [(LIAR,)]
    assert LIAR not in played.summary.dealt
    exact(played, nine)


@provokes(DropReason.UNREADABLE)
def test_a_dealer_whom_too_few_can_read_is_left_out_but_proven_nothing() -> None:
    """c = 2 of nine, t = Q = 6: two name the dealer, two others are gone."""
    nine = Deployment(9, 0, replace(PARAMS, colluders=2))
    gone = {ClientId(7), ClientId(8)}

    def server(client: ClientId, message: Any) -> Any:
        if isinstance(message, ShareDelivery) and client in {0, 1}:
            return garbled(message, LIAR)
        return message

    def lost(client: ClientId, message: Any) -> Any:
        return None if client in gone and isinstance(message, Receipt) else message

    played = play(nine, to_client=server, to_server=lost)
    assert played.dropped == {
        LIAR: DropReason.UNREADABLE,
        **dict.fromkeys(gone, DropReason.SILENT),
    }
    assert {mark.clients for mark in played.summary.marks} == {(0, LIAR), (1, LIAR)}
    exact(played, nine)


@provokes(DropReason.FALSE_RECEIPT)
def test_a_receipt_that_names_more_than_c_is_a_lie(nine: Deployment) -> None:
    def accuse(message: Receipt) -> Receipt:
        names = (ClientId(0), ClientId(1))
        transcript = nine.start().description.transcript()
        parts = receipt_parts(transcript, nine.everybody, names)
        return Receipt(names, nine.keys[LIAR].sign(Tag.RECEIPT, *parts))

    played = drops(nine, DropReason.FALSE_RECEIPT, Receipt, accuse)
    assert [mark.clients for mark in played.summary.marks] == [(LIAR,)]


@pytest.mark.parametrize("kind", [RandomnessShares, UpdateShares])
def test_withholding_a_share_that_was_receipted(nine: Deployment, kind: type) -> None:
    def withhold(message: Any) -> Any:
        if isinstance(message, RandomnessShares):
            return RandomnessShares({c: s for c, s in message.shares.items() if c != VICTIM})
        seeds = {c: s for c, s in message.shares.self_seeds.items() if c != VICTIM}
        return UpdateShares(OpenedShares(seeds, message.shares.mask_keys))

    played = drops(nine, DropReason.FALSE_RECEIPT, kind, withhold)
    assert [mark.clients for mark in played.summary.marks] == [(LIAR,)]
