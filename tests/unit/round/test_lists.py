"""What one client is shown of a round's lists on a sparse graph, and that no other part will do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from lying import VICTIM, exact, refuses
from rounds_kit import PARAMS, Deployment, play

from auror.crypto.tags import Tag
from auror.errors import Refusal
from auror.ids import ClientId, Digest
from auror.round import arithmetic
from auror.round.lists import AllDigests, AllKeys, ShownKeys
from auror.round.messages import AcceptedSet, AdvertisedKeys, KeyList, RandomnessList, UploadList
from auror.round.public import draw_committee
from auror.secagg.topology import Topology

N = 24
WIRED = Topology(N, 1, degree=8, shares=6, window=2, committee=9, silent=4)
NOTHING = Digest(bytes(32))


@pytest.fixture(scope="module")
def sparse() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arithmetic.Topology, "for_cohort", classmethod(lambda cls, *args: WIRED))
        yield next(kit for kit in _deployments() if _shown_more(kit))


def _deployments() -> Iterator[Deployment]:
    for seed in range(20):
        yield Deployment(N, seed, replace(PARAMS, group_size=4))


def _shown_more(kit: Deployment) -> bool:
    """Whether somebody of the victim's group is no neighbour of it."""
    lists = [m for c, m in play(kit).told if c == VICTIM and isinstance(m, RandomnessList)]
    return bool(lists[0].keys)


def committee_of(kit: Deployment) -> frozenset[ClientId]:
    description = kit.start().description
    return draw_committee(description.transcript(), description.cohort, WIRED)


def all_keys(kit: Deployment) -> AllKeys:
    """The same in every round of ``kit``, whose randomness is seeded."""
    return AllKeys(play(kit).state.wired.keys, committee_of(kit))


def strangers(kit: Deployment, listed: KeyList) -> list[ClientId]:
    return sorted(set(kit.everybody) - listed.keys.keys())


def test_each_client_is_shown_its_neighbours_and_its_group(sparse: Deployment) -> None:
    played = play(sparse)
    exact(played, sparse)
    near, committee = played.state.wired.graph.neighbours, committee_of(sparse)
    seen = set()
    for client, message in played.told:
        known = {client, *near[client]}
        match message:
            case KeyList(advertised, keys, commitments):
                assert advertised == sparse.everybody
                assert keys.keys() == known
                assert commitments.keys() == committee - known
            case UploadList(uploaded, proof):
                assert uploaded == sparse.everybody
                assert len(proof) in (4, 5)
            case RandomnessList(randomness, keys):
                (group,) = (g for g in played.summary.groups if client in g)
                assert randomness.keys() == committee
                assert keys.keys() == {*group} - known
            case AcceptedSet(accepted, signatures):
                assert accepted == sparse.everybody
                assert signatures.keys() == {*near[client]}
            case _:
                continue
        seen.add(type(message))
    assert len(seen) == 4


def signed_again(kit: Deployment, client: ClientId, keys: AdvertisedKeys) -> AdvertisedKeys:
    """Other keys of a colluder, valid for themselves."""
    changed = replace(keys, statistics_mask=bytes([9, *keys.statistics_mask[1:]]))
    transcript = kit.start().description.transcript()
    signature = kit.keys[client].sign(Tag.ADVERTISE, transcript, *changed.signed_parts())
    return replace(changed, signature=signature)


def first_other(kit: Deployment, keys: Any) -> ClientId:
    return min(c for c in keys if c != VICTIM)


Change = Callable[[Deployment, Any], Any]
KEY_LISTS: dict[str, Change] = {
    "a neighbour is left out": lambda kit, m: replace(
        m, keys={c: k for c, k in m.keys.items() if c != first_other(kit, m.keys)}
    ),
    "a stranger is shown in truth": lambda kit, m: all_keys(kit).list_for(
        {*m.keys, strangers(kit, m)[0]}
    ),
    "a neighbour of another's is shown for one of its own": lambda kit, m: all_keys(kit).list_for(
        {*m.keys, strangers(kit, m)[0]} - {first_other(kit, m.keys)}
    ),
    "another hash in the proof": lambda kit, m: replace(m, proof=(NOTHING, *m.proof[1:])),
    "a hash too many": lambda kit, m: replace(m, proof=(*m.proof, NOTHING)),
    "a hash too few": lambda kit, m: replace(m, proof=m.proof[1:]),
    "a colluding neighbour's other keys": lambda kit, m: replace(
        m,
        keys={
            **m.keys,
            (c := first_other(kit, m.keys)): signed_again(kit, c, m.keys[c]),
        },
    ),
    "a commitment is missing": lambda kit, m: replace(
        m, commitments=dict(list(m.commitments.items())[1:])
    ),
    "a commitment too many": lambda kit, m: replace(
        m,
        commitments={
            **m.commitments,
            next(c for c in strangers(kit, m) if c not in m.commitments): NOTHING,
        },
    ),
    "another commitment": lambda kit, m: replace(
        m, commitments={**m.commitments, min(m.commitments): NOTHING}
    ),
}


@pytest.mark.parametrize("change", KEY_LISTS)
def test_no_other_part_of_u1_will_do(sparse: Deployment, change: str) -> None:
    alter = KEY_LISTS[change]
    refuses(sparse, Refusal.KEYS_SUBSTITUTED, KeyList, lambda m: alter(sparse, m))


DRAWS: dict[str, tuple[Refusal, Change]] = {
    "no keys of its group": (
        Refusal.KEYS_SUBSTITUTED,
        lambda kit, m: replace(m, keys={}, proof=()),
    ),
    "keys of others": (
        Refusal.KEYS_SUBSTITUTED,
        lambda kit, m: replace(m, keys=all_keys(kit).show([*m.keys, VICTIM])[0]),
    ),
    "other keys of a colluding mate, valid for themselves": (
        Refusal.KEYS_SUBSTITUTED,
        lambda kit, m: replace(
            m, keys={**m.keys, (c := min(m.keys)): signed_again(kit, c, m.keys[c])}
        ),
    ),
    "another hash in the proof": (
        Refusal.KEYS_SUBSTITUTED,
        lambda kit, m: replace(m, proof=(NOTHING, *m.proof[1:])),
    ),
    "a hash too few": (
        Refusal.KEYS_SUBSTITUTED,
        lambda kit, m: replace(m, proof=m.proof[1:]),
    ),
    "an r that does not count": (
        Refusal.RANDOMNESS_FORGED,
        lambda kit, m: replace(
            m,
            randomness={
                **m.randomness,
                min(set(kit.everybody) - m.randomness.keys()): bytes(32),
            },
        ),
    ),
    "an r is missing": (
        Refusal.RANDOMNESS_FORGED,
        lambda kit, m: replace(m, randomness=dict(list(m.randomness.items())[1:])),
    ),
    "another r": (
        Refusal.RANDOMNESS_FORGED,
        lambda kit, m: replace(m, randomness={**m.randomness, min(m.randomness): bytes(32)}),
    ),
}


@pytest.mark.parametrize("change", DRAWS)
def test_no_other_draw_or_group_will_do(sparse: Deployment, change: str) -> None:
    refusal, alter = DRAWS[change]

    refuses_after_statistics(sparse, refusal, lambda m: alter(sparse, m))


def refuses_after_statistics(
    kit: Deployment, refusal: Refusal, change: Callable[[Any], Any]
) -> None:
    """The victim refuses; its group stays closed, and all others go on."""
    played = play(
        kit,
        to_client=lambda c, m: change(m) if c == VICTIM and isinstance(m, RandomnessList) else m,
    )
    assert {c: g.refusal for c, g in played.gave_up.items()} == {VICTIM: refusal}
    assert VICTIM not in played.summary.sent


def test_neighbours_in_a_must_have_signed_and_strangers_need_not(sparse: Deployment) -> None:
    def change(message: AcceptedSet) -> AcceptedSet:
        kept = dict(list(message.signatures.items())[1:])
        return replace(message, signatures=kept)

    refuses(sparse, Refusal.VIEW_DISAGREES, AcceptedSet, change)


def test_one_hash_names_set_keys_and_commitments(sparse: Deployment) -> None:
    whole = all_keys(sparse)
    listed = whole.list_for((VICTIM, *play(sparse).state.wired.graph.neighbours[VICTIM]))
    shown = ShownKeys.of(listed, whole.committee)
    assert shown.digest == whole.digest
    stranger = strangers(sparse, listed)[0]
    others = tuple(sorted((*set(listed.advertised) - {stranger}, ClientId(99))))
    other_set = replace(shown, advertised=others)  # as many, under the same root
    assert other_set.root == shown.root
    committed = replace(shown, commitments={**shown.commitments, min(shown.commitments): NOTHING})
    assert len({shown.digest, other_set.digest, committed.digest}) == 3


def test_roots_do_not_depend_on_the_order_of_what_they_are_made_of(sparse: Deployment) -> None:
    """As the log of a run has it: sorted as text, 10 before 2."""
    whole, digests = all_keys(sparse), {c: Digest(bytes([c]) * 32) for c in sparse.everybody}
    text = sorted(sparse.everybody, key=str)
    assert text != list(sparse.everybody)
    again = AllKeys({c: whole.keys[c] for c in text}, whole.committee)
    assert again.digest == whole.digest
    assert again.list_for(text[:3]) == whole.list_for(text[:3])
    assert AllDigests({c: digests[c] for c in text}).root == AllDigests(digests).root
