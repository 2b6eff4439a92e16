"""A server that lists members who are not there, or shows one client other entries than all others.

A client sees its neighbours' entries and its group's. The rest is under one root: what the server
can hide there (docs/adr/0031-lists-by-their-roots.md).
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hostile import Hostile
from rounds_kit import PARAMS, Deployment

from auror.crypto.kex import KeyPair
from auror.crypto.tags import Tag
from auror.errors import Refusal
from auror.ids import ClientId, Digest
from auror.round.client import p3b_draw, p4_statistics
from auror.round.messages import (
    AdvertisedKeys,
    ClientMessage,
    DealtShares,
    KeyList,
    RandomnessList,
    ServerMessage,
)
from auror.round.public import covers
from auror.round.server import p0_advertise
from auror.round.server.p0_advertise import Wired, wire
from auror.secagg.topology import Topology

N = 24
WIRED = Topology(N, 1, degree=8, shares=6, window=2, committee=9, silent=4)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Hostile:
    monkeypatch.setattr(Topology, "for_cohort", classmethod(lambda cls, *args: WIRED))
    found = Hostile(Deployment(N, 7, replace(PARAMS, group_size=4)))
    for client in sorted(found.everybody):
        found.tell(client, found.start)
    return found


def made_up(stage: Hostile, client: ClientId) -> AdvertisedKeys:
    """Keys of the server's in the name of ``client``."""
    entropy = stage.kit.entropy("server")
    keys = [KeyPair.draw(entropy).public for _ in range(3)]
    return AdvertisedKeys(*keys, Digest(bytes(32)), stage.kit.keys[ClientId(1)].sign(Tag.ADVERTISE))


def tell_all(stage: Hostile, wired: Wired, but: ClientId) -> None:
    for client, message in p0_advertise.tell(wired, sorted(stage.everybody - {but})).items():
        stage.tell(client, message)


def test_every_honest_neighbour_of_a_faked_member_leaves(stage: Hostile) -> None:
    fake = ClientId(5)
    wired = wire(stage.context, {**stage.heard(AdvertisedKeys), fake: made_up(stage, fake)})
    tell_all(stage, wired, fake)
    near = set(wired.graph.neighbours[fake])
    assert stage.refused == dict.fromkeys(sorted(near), Refusal.KEYS_SUBSTITUTED)
    assert stage.heard(DealtShares).keys() == stage.everybody - near - {fake}


def test_a_faked_member_costs_the_total(stage: Hostile) -> None:
    """Whoever it is: with its neighbours gone, some row of the ring holds too few, itself counted
    in; and with them counted in as well, masks against them stay, for they never dealt."""
    for fake in sorted(stage.everybody):
        wired = wire(stage.context, {**stage.heard(AdvertisedKeys), fake: made_up(stage, fake)})
        near = frozenset(wired.graph.neighbours[fake])
        assert not covers(WIRED, wired.graph, stage.everybody - near)


def test_a_mate_that_copied_a_neighbours_key(
    stage: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A colluder signs somebody's key as its own. Its own neighbours see one of the two; who draws
    both into its company sees both."""
    monkeypatch.setattr(p3b_draw, "check_quorum", lambda *_: None)
    company = (tuple(sorted(stage.everybody)),)
    monkeypatch.setattr(p4_statistics, "draw_groups", lambda *_: company)
    victim, keys = ClientId(0), stage.heard(AdvertisedKeys)
    for other in sorted(stage.everybody - {victim}):
        copied = replace(keys[other], statistics_mask=keys[ClientId(1)].statistics_mask)
        signature = stage.kit.keys[other].sign(
            Tag.ADVERTISE, stage.transcript, *copied.signed_parts()
        )
        forged = wire(stage.context, {**keys, other: replace(copied, signature=signature)})
        near = {victim, *forged.graph.neighbours[victim]}
        if other not in near and other != 1:
            break
    tell = stage.tell

    def substituting(client: ClientId, message: ServerMessage) -> ClientMessage | None:
        if isinstance(message, KeyList) and client == victim:
            return tell(client, p0_advertise.tell(forged, [client])[client])
        return tell(client, message)

    monkeypatch.setattr(stage, "tell", substituting)
    stage.upload()
    stage.show_uploads(victim, stage.everybody)
    stage.show_signatures(victim, {})
    shown, proof = forged.listed.show(stage.everybody - near)
    assert tell(victim, RandomnessList(stage.randomness(stage.everybody), shown, proof)) is None
    assert stage.refused[victim] is Refusal.KEY_REUSED


def test_one_client_under_another_root_signs_alone(stage: Hostile) -> None:
    """An entry that the victim is not shown differs: its graph is another, so that it takes part
    in a round of its own; its statement has no quorum, whatever colluders sign."""
    victim = ClientId(0)
    keys = stage.heard(AdvertisedKeys)
    honest = wire(stage.context, keys)
    for other in sorted(stage.everybody - {victim}):
        forged = wire(stage.context, {**keys, other: made_up(stage, other)})
        if other not in forged.graph.neighbours[victim]:
            break
    assert forged.listed.digest != honest.listed.digest
    told = p0_advertise.tell(forged, [victim])[victim]
    assert isinstance(stage.tell(victim, told), DealtShares)
    assert set(told.keys) != {victim, *honest.graph.neighbours[victim]}
    again = p0_advertise.tell(honest, [victim])[victim]
    assert stage.tell(victim, again) is None
    assert stage.refused == {victim: Refusal.SECOND_ANSWER}
