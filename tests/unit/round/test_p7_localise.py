"""Phase 7: a failed binding check is localised, and nobody honest is ever marked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from rounds_kit import PARAMS, Deployment, Played, play

from auror.errors import AbortReason, DropReason, Refusal
from auror.ids import ClientId
from auror.round.client.state import Reply
from auror.round.messages import (
    AgreementList,
    BindingFailed,
    ClientMessage,
    CrossMasks,
    MaskedStatistics,
    UpdateShares,
)
from auror.round.record import Mark, MarkKind

Lie = Callable[[ClientId, ClientMessage], ClientMessage]


@pytest.fixture
def nine() -> Deployment:
    return Deployment(9, 3, replace(PARAMS, group_size=3, colluders=2))


def lying_statistics(liars: set[int], by: int = 1) -> Lie:
    """``liars`` add ``by`` to their first statistic."""

    def rewrite(client: ClientId, message: ClientMessage) -> ClientMessage:
        if client not in liars or not isinstance(message, MaskedStatistics):
            return message
        values = np.frombuffer(message.payload, dtype="<u8").copy()
        values[:1] += np.uint64(by % 2**64)
        return replace(message, payload=values.tobytes())

    return rewrite


def group_of(played: Played, client: int) -> tuple[ClientId, ...]:
    return next(group for group in played.summary.groups if client in group)


@pytest.mark.parametrize("by", [1, -1, 977, 2**63 + 5])
def test_a_lie_about_statistics_marks_exactly_the_liars_group(nine: Deployment, by: int) -> None:
    played = play(nine, to_server=lying_statistics({4}, by))
    assert played.aborted is AbortReason.BINDING_FAILED
    assert played.total is None
    assert played.summary.marks == (Mark(MarkKind.GROUP, group_of(played, 4)),)
    assert played.dropped == {}


def test_a_lie_by_a_multiple_of_the_ring_is_noticed_but_not_localised(nine: Deployment) -> None:
    played = play(nine, to_server=lying_statistics({4}, 2**40))
    assert played.aborted is AbortReason.BINDING_FAILED
    assert played.summary.marks == ()


def test_a_disputed_mask_marks_the_pair_and_merges_its_groups(nine: Deployment) -> None:
    tell = lying_statistics({4})
    victim: list[ClientId] = []

    def rewrite(client: ClientId, message: ClientMessage) -> ClientMessage:
        message = tell(client, message)
        if client == 4 and isinstance(message, CrossMasks):
            victim.append(min(message.images))
            image = message.images[victim[0]]
            return CrossMasks({**message.images, victim[0]: bytes([image[0] ^ 1]) + image[1:]})
        return message

    played = play(nine, to_server=rewrite)
    pair = tuple(sorted((ClientId(4), victim[0])))
    merged = tuple(sorted({*group_of(played, 4), *group_of(played, victim[0])}))
    assert played.summary.marks == (
        Mark(MarkKind.PAIR, pair),
        Mark(MarkKind.GROUP, merged),
    )


def test_a_silent_end_of_a_mask_shields_nobody_and_blames_nobody_else(nine: Deployment) -> None:
    tell = lying_statistics({4})
    guilty = group_of(play(nine, to_server=tell), 4)
    silent = min(nine.keys.keys() - set(guilty))

    def rewrite(client: ClientId, message: ClientMessage) -> ClientMessage | None:
        if client == silent and isinstance(message, CrossMasks):
            return None
        return tell(client, message)

    played = play(nine, to_server=rewrite)
    assert played.dropped == {silent: DropReason.SILENT}
    # every other group is judged by what its own members opened
    assert played.summary.marks == (Mark(MarkKind.GROUP, guilty),)
    assert played.summary.withheld == {silent}  # nothing shows whether its group lied


def test_silence_in_a_group_that_a_mark_touches_is_not_noted(nine: Deployment) -> None:
    """There the mark shows what the silence could hide."""
    tell = lying_statistics({4})
    mates = [c for c in group_of(play(nine, to_server=tell), 4) if c != 4]

    def rewrite(client: ClientId, message: ClientMessage) -> ClientMessage | None:
        message = tell(client, message)
        if isinstance(message, CrossMasks):
            if client == mates[0]:
                return None
            if client == 4:
                other, image = next(iter(message.images.items()))
                return CrossMasks({**message.images, other: bytes([image[0] ^ 1]) + image[1:]})
        return message

    played = play(nine, to_server=rewrite)
    assert [mark.kind for mark in played.summary.marks] == [MarkKind.PAIR]
    assert not played.summary.withheld


def test_the_group_of_the_silent_is_not_judged_and_its_silence_is_noted(nine: Deployment) -> None:
    """Silence proves nothing, so nobody is marked; the campaign counts it."""
    tell = lying_statistics({4})

    def rewrite(client: ClientId, message: ClientMessage) -> ClientMessage | None:
        if client == 4 and isinstance(message, CrossMasks):
            return None
        return tell(client, message)

    played = play(nine, to_server=rewrite)
    assert played.aborted is AbortReason.BINDING_FAILED
    assert not played.summary.marks
    assert played.summary.withheld == {ClientId(4)}


def test_images_of_other_masks_drop_their_sender(nine: Deployment) -> None:
    tell = lying_statistics({4})

    def rewrite(client: ClientId, message: ClientMessage) -> ClientMessage:
        if client == 4 and isinstance(message, CrossMasks):
            return CrossMasks(dict(list(message.images.items())[1:]))
        return tell(client, message)

    played = play(nine, to_server=rewrite)
    assert played.dropped == {ClientId(4): DropReason.MALFORMED}


def test_a_client_opens_its_masks_once_and_only_after_it_helped_to_unmask(
    nine: Deployment,
) -> None:
    machines = nine.machines()
    early = machines[ClientId(0)].on_message(BindingFailed())
    assert [e.message.reason for e in early if isinstance(e, Reply)] == [Refusal.OUT_OF_TURN]

    told: list[ClientId] = []

    def early_bird(client: ClientId, message: object) -> object:
        if isinstance(message, AgreementList) and not told:
            told.append(client)
            return [BindingFailed()]
        return message

    played = play(nine, to_client=early_bird)  # type: ignore[arg-type]
    assert played.gave_up[told[0]].refusal is Refusal.OUT_OF_TURN
    assert not played.said(CrossMasks)


def test_the_images_show_nothing_but_group_sums(nine: Deployment) -> None:
    """Two groups of inputs with equal sums per group give the server the same group equations,
    and one client's uploads stay masked by its companions'."""
    played = play(nine, to_server=lying_statistics({4}))
    for client, messages in played.said(CrossMasks).items():
        (message,) = messages
        inside = set(group_of(played, client))
        assert not inside & message.images.keys()
        assert message.images.keys() == set(nine.everybody) - inside


def test_a_bad_dealer_is_named_by_its_own_commitments(nine: Deployment) -> None:
    """It shares another seed than it commits to; whoever opens its shares proves it."""
    from auror.crypto.tags import Tag
    from auror.round.messages import DealtShares
    from auror.secagg.sharing import Dealing

    transcript = nine.start().description.transcript()

    def rewrite(client: ClientId, message: ClientMessage) -> ClientMessage:
        if client == 5 and isinstance(message, DealtShares):
            wrong = (bytes(32), *message.secret_commitments[1:])
            dealing = Dealing(message.ciphertexts, message.share_commitments, wrong)  # type: ignore[arg-type]
            signed = nine.keys[client].sign(Tag.DEALING, transcript, *dealing.signed_parts())
            return replace(message, secret_commitments=wrong, signature=signed)
        return message

    played = play(nine, to_server=rewrite)
    assert played.aborted is AbortReason.BAD_RECONSTRUCTION
    assert played.summary.marks == (Mark(MarkKind.COMMITMENT, (ClientId(5),)),)


def test_a_lying_holder_is_named_and_the_round_goes_on(nine: Deployment) -> None:
    from auror.secagg.client.unmask import OpenedShares
    from auror.secagg.sharing import Share

    def rewrite(client: ClientId, message: ClientMessage) -> ClientMessage:
        if client == 7 and isinstance(message, UpdateShares):
            seeds = {c: Share(bytes(33), s.salt) for c, s in message.shares.self_seeds.items()}
            return UpdateShares(OpenedShares(seeds, message.shares.mask_keys))
        return message

    played = play(nine, to_server=rewrite)
    assert played.total is not None
    assert played.summary.marks == (Mark(MarkKind.COMMITMENT, (ClientId(7),)),)
