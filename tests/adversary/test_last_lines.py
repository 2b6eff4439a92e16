"""Checks that stand behind another one: each is reached by taking away what stands before it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hostile import Hostile
from rounds_kit import PARAMS, Deployment, play, rounding

from auror.crypto.kex import KeyPair
from auror.errors import AbortReason, Refusal
from auror.ids import ClientId, Digest
from auror.params import STATISTICS_RING_BITS
from auror.round.client import p3b_draw, p4_statistics
from auror.round.messages import AdvertisedKeys, KeyList, MaskedStatistics, RandomnessList
from auror.round.public import draw_committee
from auror.round.server import p0_advertise
from auror.round.server.p0_advertise import Wired, wire
from auror.secagg.instance import Ring
from auror.secagg.quantise import Quantiser
from auror.secagg.topology import Topology

N = 24
WIRED = Topology(N, 1, degree=8, shares=6, window=2, committee=9, silent=4)
"""A sparse graph small enough for a test, as in tests/unit/round/test_sparse.py."""


def test_masks_of_two_views_do_not_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The victim is told another digest for a peer. T, U3, r and so the groups are the same: with
    masks under T its group would open although its members signed different things."""
    monkeypatch.setattr(p3b_draw, "check_quorum", lambda *_: None)
    stage = Hostile(Deployment(9, 3, replace(PARAMS, challenge_rows=0)))
    stage.upload()
    victim = stage.honest[0]
    groups = stage.groups(stage.lists(victim, stage.everybody))
    (own,) = (group for group in groups if victim in group)
    stranger = next(c for c in stage.honest if c not in own)
    for client in stage.honest:
        forged = {stranger: Digest(bytes(32))} if client == victim else None
        stage.tell(client, stage.upload_list(client, stage.everybody, forged))
        stage.show_signatures(client, {})
        assert stage.show_draw(client) is not None
    ring, sent = Ring(STATISTICS_RING_BITS), stage.heard(MaskedStatistics)
    quantiser, rows = Quantiser(12, 1.0), stage.kit.plan.rows
    for group in groups:
        found, plain = ring.zeros(rows), ring.zeros(rows)
        for client in group:
            found += ring.from_bytes(sent[client].payload, rows)
            quantised = quantiser.quantise(stage.updates[client], rounding(client))
            plain += stage.kit.plan.apply(quantised)
        assert np.array_equal(found, plain) == (group != own)


def test_keys_of_group_mates_that_are_no_neighbours_are_verified_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a sparse graph a member of the group need not be a neighbour: the server could give its
    own key for each of them, and the statistics would be masked against the server only."""
    monkeypatch.setattr(Topology, "for_cohort", classmethod(lambda cls, *args: WIRED))
    monkeypatch.setattr(p3b_draw, "check_quorum", lambda *_: None)
    stage = Hostile(Deployment(N, 7, replace(PARAMS, group_size=4)))
    victim = stage.honest[0]
    tell = stage.tell

    def substituting(client: ClientId, message: object) -> object:
        if client != victim or not isinstance(message, KeyList):
            return tell(client, message)  # type: ignore[arg-type]
        other = KeyPair.draw(stage.kit.entropy("server")).public
        keys = stage.heard(AdvertisedKeys)
        for peer in sorted(keys):
            # the graph is drawn from all keys, the substituted one among them
            changed = replace(keys[peer], statistics_mask=other)
            forged = wire(stage.context, {**keys, peer: changed})
            if peer not in (victim, *forged.graph.neighbours[victim]):
                substituted.append(forged)
                return tell(client, p0_advertise.tell(forged, [client])[client])
        raise AssertionError("everybody is a neighbour")

    substituted: list[Wired] = []
    stage.tell = substituting  # type: ignore[assignment, method-assign]
    stage.upload()
    assert victim not in stage.refused  # nobody it shares secrets with
    assert len(substituted) == 1
    stage.tell = tell  # type: ignore[method-assign]
    company = (tuple(sorted(stage.honest)),)  # a draw in which they meet
    monkeypatch.setattr(p4_statistics, "draw_groups", lambda *_: company)
    stage.show_uploads(victim, stage.everybody)
    stage.show_signatures(victim, {})
    (forged,) = substituted
    near = (victim, *forged.graph.neighbours[victim])
    keys, proof = forged.listed.show(stage.everybody - set(near))
    randomness = stage.randomness(stage.everybody)
    assert stage.tell(victim, RandomnessList(randomness, keys, proof)) is None
    assert stage.refused == {victim: Refusal.KEYS_SUBSTITUTED}
    assert (victim, MaskedStatistics) not in stage.said


def test_a_group_below_the_floor_is_refused_whatever_drew_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``draw_groups`` makes none; a client looks again before its statistics leave."""
    stage = Hostile(Deployment(9, 3))
    stage.upload()
    for client in stage.honest:
        stage.show_uploads(client, stage.everybody)
    victim = stage.honest[0]
    stage.show_signatures(victim)
    small = ((victim, stage.honest[1]), stage.honest[2:])
    monkeypatch.setattr(p4_statistics, "draw_groups", lambda *_: small)
    assert stage.show_draw(victim) is None
    assert stage.refused == {victim: Refusal.GROUP_TOO_SMALL}


def test_the_committee_is_another_in_every_round_and_of_the_whole_cohort() -> None:
    """From T over the cohort: whoever decides who is in a later set decides nothing here."""
    cohort = tuple(ClientId(c) for c in range(N))
    committees = [draw_committee(Digest(bytes([k]) * 32), cohort, WIRED) for k in range(40)]
    assert all(len(committee) == WIRED.committee for committee in committees)
    assert len(set(committees)) == 40
    assert frozenset().union(*committees) == frozenset(cohort)


def test_one_whole_group_is_not_opened_when_no_client_would_take_its_total() -> None:
    """Nine clients, three groups; a member of two of them is lost. Five must be in a total."""
    kit = Deployment(9, 3)
    groups = play(kit).summary.groups
    lost = {groups[0][0], groups[1][0]}
    played = play(
        kit,
        to_server=lambda c, m: None if c in lost and isinstance(m, MaskedStatistics) else m,
    )
    assert played.aborted is AbortReason.TOO_FEW_STATISTICS
    assert not played.summary.opened
