"""A victim that is told who uploaded *last*, when everybody's r is known: the server looks for a U3
whose draw puts it among colluders only. What stands in the way is the quorum on its own U3."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hostile import Hostile, Lists
from knowledge import spans
from rounds_kit import PARAMS, Deployment
from told import Clients

from auror.crypto.tags import Tag
from auror.errors import Refusal
from auror.ids import ClientId, Digest
from auror.round.client import p3b_draw
from auror.round.lists import AllDigests
from auror.round.messages import Consistency, MaskedStatistics, RandomnessShares
from auror.round.public import uploads_digest


def cohort(count: int, group_size: int, colluders: int, seed: int = 0) -> Hostile:
    params = replace(PARAMS, group_size=group_size, colluders=colluders)
    kit = Deployment(count, seed, params)
    rng = np.random.default_rng([seed, count])
    bad = rng.choice(count, size=colluders, replace=False)
    return Hostile(kit, frozenset(ClientId(int(c)) for c in bad))


def all_but(stage: Hostile, *victims: ClientId) -> None:
    """Everybody else signs the whole U3 and opens r, then the statistics."""
    others = [c for c in stage.honest if c not in victims]
    for show in (
        lambda c: stage.show_uploads(c, stage.everybody),
        stage.show_signatures,
        stage.show_draw,
    ):
        for client in others:
            show(client)
    assert not stage.refused
    assert stage.knows_draw()
    assert len(stage.heard(MaskedStatistics)) == len(others)


def chosen(stage: Hostile, victim: ClientId) -> Lists:
    """A U3 at the floor whose draw leaves ``victim`` without honest company."""
    rng = np.random.default_rng(1)
    others = [c for c in stage.honest if c != victim]
    missing = len(stage.everybody) - stage.topology.fewest
    while True:
        gone = rng.choice(others, size=missing, replace=False)
        lists = stage.lists(victim, stage.everybody - {ClientId(int(c)) for c in gone})
        (group,) = (g for g in stage.groups(lists) if victim in g)
        if set(group) - stage.colluders == {victim}:
            return lists


def victim_of(stage: Hostile) -> ClientId:
    return stage.honest[0]


def attack(stage: Hostile, lists: Lists, victim: ClientId) -> None:
    """The victim is shown the chosen U3, with every signature there is: the colluders' on that one
    and everybody else's, made for the other."""
    stage.show_uploads(victim, lists.uploaded)
    whole = stage.signed_uploads(stage.lists(victim, stage.everybody))
    own = stage.signed_uploads(stage.signed(victim))
    stage.show_signatures(victim, {**whole, **own})
    stage.show_draw(victim)


def alone(stage: Hostile, victim: ClientId) -> bool:
    return spans(stage.about_statistics(), [{("input", victim): 1}])


def test_a_victim_told_its_uploads_last_sends_no_statistics() -> None:
    """(30, 9, 5). Seen: such a U3 is found at the 16th try (a median of 26); it gets 10 of Q = 20
    signatures; the victim refuses."""
    stage = cohort(30, 5, 9)
    victim = victim_of(stage)
    stage.upload()
    all_but(stage, victim)
    lists = chosen(stage, victim)
    attack(stage, lists, victim)
    assert stage.refused == {victim: Refusal.QUORUM_MISSING}
    assert (victim, MaskedStatistics) not in stage.said
    assert (victim, RandomnessShares) not in stage.said
    assert not alone(stage, victim)


def test_without_the_quorum_it_would_stand_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the test above can see it."""
    stage = cohort(30, 5, 9)
    victim = victim_of(stage)
    stage.upload()
    all_but(stage, victim)
    lists = chosen(stage, victim)
    monkeypatch.setattr(p3b_draw, "check_quorum", lambda *_: None)
    attack(stage, lists, victim)
    assert (victim, MaskedStatistics) in stage.said
    assert alone(stage, victim)


def test_the_draw_told_at_once_is_out_of_turn() -> None:
    """The list of r right after U3, or before it."""
    for uploads_first in (True, False):
        stage = cohort(12, 3, 4)
        victim = victim_of(stage)
        stage.upload()
        all_but(stage, victim)
        if uploads_first:
            stage.show_uploads(victim, stage.everybody)
        stage.show_draw(victim)
        assert stage.refused == {victim: Refusal.OUT_OF_TURN}
        assert (victim, MaskedStatistics) not in stage.said


@pytest.mark.slow
def test_the_same_on_a_sparse_graph_with_a_committee() -> None:
    """(200, 10, 5): degree 46, committee 38, Q = 25. A member of the committee as victim, and one
    whose signature nobody counts. (A U3 whose draw isolates is one in 300,000 here: any other
    stands for it.) Seen: no signature of the committee on it but the victim's own; both refuse."""
    stage = cohort(200, 5, 10)
    assert not stage.topology.complete
    assert stage.topology.committee < 200
    inside, outside = stage.committee - stage.colluders, frozenset(stage.honest) - stage.committee
    victims = [min(inside), min(outside)]
    stage.upload()
    all_but(stage, *victims)
    for victim in victims:
        lists = stage.lists(victim, stage.everybody - {stage.honest[-1]})
        attack(stage, lists, victim)
        assert (victim, MaskedStatistics) not in stage.said
        assert (victim, RandomnessShares) not in stage.said
    assert stage.refused == dict.fromkeys(victims, Refusal.QUORUM_MISSING)


def test_many_lists_of_which_the_best_would_be_completed() -> None:
    """Eleven lists, each shown to some; the colluders sign them all. Seen: nine colluders and two
    honest on each, of Q = 20: no share of r leaves, so the server sees no draw at all."""
    stage = cohort(30, 5, 9)
    stage.upload()
    lists = eleven(stage)
    for turn, client in enumerate(stage.honest):
        stage.show_uploads(client, lists[turn % 11])
    most = max(len(stage.signed_uploads(stage.signed(c))) for c in stage.honest)
    assert most == 11
    for client in stage.honest:
        assert stage.show_signatures(client) is None
    assert set(stage.refused.values()) == {Refusal.QUORUM_MISSING}
    assert not stage.heard(RandomnessShares)
    assert not stage.knows_draw()


def test_of_many_lists_one_completes_at_most_and_blind() -> None:
    """Eleven honest on the first list, the least that makes Q = 20 with the colluders, the others
    one each. Seen: no share before that quorum; after it r is known, and the ten others can be told
    anything: none of them answers, whatever the draw of its list would have been."""
    stage = cohort(30, 5, 9)
    stage.upload()
    lists = eleven(stage)
    together, rest = stage.honest[:11], stage.honest[11:]
    for client in together[:-1]:
        stage.show_uploads(client, lists[0])
        others = stage.signed_uploads(stage.signed(client))
        assert len(others) < stage.topology.quorum
    # one list after the other; a client that refuses is lost to the server, so it asks none early
    for turn, client in enumerate(rest):
        stage.show_uploads(client, lists[1 + turn % 10])
    assert not stage.heard(RandomnessShares)
    stage.show_uploads(together[-1], lists[0])
    for client in together:
        assert stage.show_signatures(client) is not None
    assert stage.knows_draw()
    for client in together:
        assert stage.show_draw(client) is not None
    for client in rest:
        everything = stage.signed_uploads(stage.signed(together[0]))
        assert stage.show_signatures(
            client, {**everything, **stage.signed_uploads(stage.signed(client))}
        ) is None  # fmt: skip
        assert stage.show_draw(client) is None
    assert set(stage.heard(MaskedStatistics)) == set(together)
    assert {stage.companies[c][1] for c in together} == {stage.view(stage.signed(together[0]))}
    # the one draw is a fair one: who has no honest company by it was not aimed at
    unlucky = {c for c in together if set(stage.companies[c][0]) - stage.colluders == {c}}
    assert {c for c in stage.honest if alone(stage, c)} == unlucky


def eleven(stage: Hostile) -> list[Clients]:
    """The whole U3, and ten without one honest client each."""
    return [stage.everybody, *(stage.everybody - {c} for c in stage.honest[:10])]


def test_no_second_list_for_a_client_that_signed_one() -> None:
    """Neither in its life nor after a crash: what it signed was made durable first."""
    stage = cohort(12, 3, 4)
    stage.upload()
    victim = victim_of(stage)
    stage.show_uploads(victim, stage.everybody)
    remembered = stage.machines[victim].memory
    assert remembered.signed.keys() == {"uploads"}
    assert stage.show_uploads(victim, stage.everybody - {stage.honest[1]}) is None
    assert stage.refused == {victim: Refusal.SECOND_ANSWER}


# The committee ------------------------------------------------------------------------------------


def test_a_committee_asked_after_the_draw_cannot_be() -> None:
    """(200, 10, 5). Everybody but the honest of the committee is shown U3, the colluders sign, in
    the committee and outside of it. Seen: none of Q = 25 counts, no r leaves anybody."""
    stage = cohort(200, 5, 10)
    stage.upload()
    outside = [c for c in stage.honest if c not in stage.committee]
    for client in outside:
        assert stage.show_uploads(client, stage.everybody) is None  # it has chosen, silently
        assert stage.machines[client].memory.signed.keys() == {"uploads"}
    assert not stage.refused
    statement = stage.statement(stage.signed(outside[0]))
    # outsiders whose keys the colluders would have: all valid, none counted
    strangers = {c: stage.kit.keys[c].sign(Tag.CONSISTENCY, statement) for c in outside}
    signatures = {**strangers, **stage.by_colluders(Tag.CONSISTENCY, statement)}
    assert len(signatures) > stage.topology.quorum
    assert len(stage.colluders & stage.committee) < stage.topology.quorum
    for client in outside[:5]:
        assert stage.show_signatures(client, signatures) is None
    assert {stage.refused[c] for c in outside[:5]} == {Refusal.QUORUM_MISSING}
    assert not stage.heard(RandomnessShares)
    assert not stage.knows_draw()


# Own absence --------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["absent", "replaced", "another's"])
def test_a_client_whose_upload_is_not_in_the_list_refuses(change: str) -> None:
    """Without self masks an empty group would be its statistics in the clear."""
    stage = cohort(12, 3, 4)
    stage.upload()
    victim, peer = stage.honest[:2]
    digests = stage.digests(stage.everybody)
    forged = {"replaced": Digest(bytes(32)), "another's": digests[peer]}
    if change == "absent":
        stage.show_uploads(victim, stage.everybody - {victim})
        assert stage.refused == {victim: Refusal.DIGEST_FORGED}
        return
    told = {**digests, victim: forged[change]}
    for client in stage.honest:  # everybody is told it, colluders sign it
        stage.tell(client, AllDigests(told).list_for(client))
    keys = stage.wired(stage.everybody).listed.digest
    statement = uploads_digest(
        stage.transcript, keys, stage.everybody, stage.everybody, AllDigests(told).root
    )
    signed = {c: m.signature for c, m in stage.heard(Consistency).items() if c != victim}
    signed |= stage.by_colluders(Tag.CONSISTENCY, statement)
    assert len(signed) >= stage.topology.quorum
    stage.show_signatures(victim, signed)
    assert stage.refused == {victim: Refusal.QUORUM_MISSING}
    assert not stage.heard(RandomnessShares)


def test_a_client_told_another_u2_cannot_complete() -> None:
    """One client uploads nothing; the victim is told that it dealt nothing either, so it masks
    against one less. U3 is the same for all. Seen: the victim's signature stands alone with nine
    colluders, 10 of 20; the others go on, and its upload stays under their common masks."""
    stage = cohort(30, 5, 9)
    victim, missing = stage.honest[:2]
    uploaded = stage.everybody - {missing}
    stage.upload(dealers=lambda c: uploaded if c == victim else stage.everybody)
    others = [c for c in stage.honest if c != missing]
    for client in others:
        stage.show_uploads(client, uploaded)
    assert len(stage.signed_uploads(stage.signed(victim))) == 10
    for client in others:
        assert (stage.show_signatures(client) is None) == (client == victim)
    assert stage.refused == {victim: Refusal.QUORUM_MISSING}
    for client in others:
        stage.show_draw(client)
    assert (victim, MaskedStatistics) not in stage.said
    accepted = uploaded - set(
        next(g for g in stage.groups(stage.signed(stage.honest[2])) if victim in g)
    )
    for client in others:
        stage.show_accepted(client, accepted)
    for client in others:
        if client in stage.agreed:
            stage.show_agreement(client)
    one = [{("input", victim): 1}]
    assert not spans(stage.about_updates(), one)
    assert not spans(stage.about_statistics(), one)
    assert spans(stage.allowed([accepted, *stage.whole_groups()]), stage.about_statistics())
