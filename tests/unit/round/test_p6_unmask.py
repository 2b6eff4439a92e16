"""Phase 6: a quorum opens one total, which is bound to what was tested."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from lying import (
    LIAR,
    VICTIM,
    bad_share,
    cheat,
    drops,
    exact,
    first_keys,
    lie,
    provokes,
    refuses,
    resigned,
)
from rounds_kit import (
    Deployment,
    Played,
    play,
)

from auror.crypto.tags import Tag
from auror.errors import AbortReason, DropReason, Refusal
from auror.ids import ClientId, Digest
from auror.round.messages import (
    AcceptedSet,
    AgreementList,
    DealtShares,
    MaskedStatistics,
    RandomnessShares,
    UpdateShares,
)
from auror.round.public import agreement_parts
from auror.secagg.instance import SecretKind


@provokes(Refusal.QUORUM_MISSING)
def test_fewer_than_a_quorum_of_valid_signatures(nine: Deployment) -> None:
    refuses(
        nine,
        Refusal.QUORUM_MISSING,
        AgreementList,
        lambda m: AgreementList(first_keys(m.signatures, 5)),
    )


def test_signatures_under_other_sets_or_of_strangers_do_not_count(nine: Deployment) -> None:
    state = play(nine).state
    transcript = nine.start().description.transcript()
    everybody = frozenset(nine.everybody)
    others = (
        agreement_parts(transcript, state.draw.view, frozenset(state.draw.groups[0])),
        agreement_parts(transcript, Digest(bytes(32)), everybody),
        agreement_parts(Digest(bytes(32)), state.draw.view, everybody),
    )
    for parts in others:
        forged = {c: nine.keys[c].sign(Tag.AGREEMENT, *parts) for c in nine.everybody}
        refuses(
            nine,
            Refusal.QUORUM_MISSING,
            AgreementList,
            lambda m, forged=forged: AgreementList({**forged, **first_keys(m.signatures, 5)}),
        )
    larger = Deployment(10)
    cohort = larger.everybody[:9]

    def pad(listed: AgreementList) -> AgreementList:
        return AgreementList({**first_keys(listed.signatures, 5), ClientId(9): bytes(64)})

    played = play(larger, start=larger.start(cohort=cohort), to_client=lie(AgreementList, pad))
    assert played.gave_up[VICTIM].refusal is Refusal.QUORUM_MISSING


@provokes(AbortReason.BINDING_FAILED)
@pytest.mark.parametrize("bit", [0, 15, 40, 63])
def test_statistics_that_are_not_those_of_the_update(nine: Deployment, bit: int) -> None:
    def shift(message: MaskedStatistics) -> MaskedStatistics:
        words = np.frombuffer(message.payload, dtype="<u8").copy()
        words[0] += np.uint64(1 << bit)  # bits 15, 40 and 63 lie above the update's ring
        return replace(message, payload=words.tobytes())

    played = play(nine, to_server=cheat(MaskedStatistics, shift))
    assert played.aborted is AbortReason.BINDING_FAILED
    assert played.total is None
    assert played.summary.total_opened


@provokes(AbortReason.BAD_RECONSTRUCTION)
@pytest.mark.parametrize("kind", [SecretKind.SELF_SEED])
def test_dealer_whose_shares_restore_another_secret(nine: Deployment, kind: SecretKind) -> None:
    def lie_about(message: DealtShares) -> DealtShares:
        commitments = list(message.secret_commitments)
        commitments[kind.value] = Digest(bytes(32))
        return resigned(nine, message, secret_commitments=tuple(commitments))

    played = play(nine, to_server=cheat(DealtShares, lie_about))
    assert played.aborted is AbortReason.BAD_RECONSTRUCTION
    assert played.total is None


@provokes(DropReason.BAD_COMMITMENT)
@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (
            RandomnessShares,
            lambda d, m: RandomnessShares({**m.shares, VICTIM: m.shares[LIAR]}),
        ),
        (
            DealtShares,
            lambda d, m: resigned(
                d, m, secret_commitments=(*m.secret_commitments[:2], Digest(bytes(32)))
            ),
        ),
        (UpdateShares, lambda d, m: UpdateShares(bad_share(m.shares))),
    ],
)
def test_opened_value_against_its_commitment(nine: Deployment, kind: type, change: Any) -> None:
    drops(nine, DropReason.BAD_COMMITMENT, kind, lambda m: change(nine, m))


def shares_by_peer(played: Played, kind: type) -> dict[ClientId, tuple[int, int]]:
    """Peer → how many holders released its seed, how many its key."""
    seeds: dict[ClientId, set[ClientId]] = {}
    keys: dict[ClientId, set[ClientId]] = {}
    for holder, messages in played.said(kind).items():
        for message in messages:
            for peer in message.shares.self_seeds:  # type: ignore[union-attr]
                seeds.setdefault(peer, set()).add(holder)
            for peer in message.shares.mask_keys:  # type: ignore[union-attr]
                keys.setdefault(peer, set()).add(holder)
    assert all(
        not (set(m.shares.self_seeds) & set(m.shares.mask_keys))  # type: ignore[union-attr]
        for messages in played.said(kind).values()
        for m in messages
    )
    return {
        peer: (len(seeds.get(peer, ())), len(keys.get(peer, ()))) for peer in seeds.keys() | keys
    }


@pytest.mark.parametrize("split", range(1, 9))
def test_no_split_of_the_sets_opens_both_secrets_of_a_peer(nine: Deployment, split: int) -> None:
    group = play(nine).summary.groups[0]

    def equivocate(client: ClientId, message: Any) -> Any:
        if isinstance(message, AcceptedSet) and client < split:
            return replace(message, accepted=group)
        return message

    played = play(nine, to_client=equivocate)
    threshold = 6
    for seeds, keys in shares_by_peer(played, UpdateShares).values():
        # with c = 1 colluder, who would release both
        assert not (seeds + 1 >= threshold and keys + 1 >= threshold)
    if played.total is not None:
        exact(played, nine)
