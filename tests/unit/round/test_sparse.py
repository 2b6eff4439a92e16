"""Rounds on a sparse graph with a committee, and the attacks that such graphs invite."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rounds_kit import PARAMS, Deployment, play, rounding

from auror.crypto.tags import Tag
from auror.errors import AbortReason, DropReason, Refusal
from auror.ids import ClientId, GroupIndex
from auror.round import arithmetic
from auror.round.client.state import GaveUp
from auror.round.messages import (
    AcceptedSet,
    Agreement,
    AgreementList,
    BindingFailed,
    Consistency,
    CrossMasks,
    DealtShares,
    KeyList,
    MaskedStatistics,
    RandomnessList,
    UpdateShares,
    Upload,
)
from auror.round.public import agreement_parts
from auror.round.server.context import Decision
from auror.round.server.machine import RoundServer
from auror.secagg.quantise import Quantiser
from auror.secagg.topology import Topology

N = 24
WIRED = Topology(N, 1, degree=8, shares=6, window=2, committee=9, silent=4)
"""As the calculator would wire a thousand clients, small enough for a test."""


@pytest.fixture
def sparse(monkeypatch: pytest.MonkeyPatch) -> Deployment:
    wire = classmethod(lambda cls, *args: WIRED)
    monkeypatch.setattr(arithmetic.Topology, "for_cohort", wire)
    return Deployment(N, 7, replace(PARAMS, group_size=4))


def plain_sum(deployment: Deployment, clients: tuple[ClientId, ...]) -> object:
    updates, quantiser = deployment.updates(), Quantiser(12, 1.0)
    return np.sum(
        [quantiser.quantise(updates[c], rounding(c)).astype(np.int64) for c in clients], 0
    )


def test_the_total_is_exact_and_only_neighbours_share_secrets(sparse: Deployment) -> None:
    played = play(sparse)
    assert played.aborted is None
    assert played.total is not None
    assert np.array_equal(played.total.total, plain_sum(sparse, sparse.everybody))
    graph = played.state.wired.graph
    assert graph is not None
    for client, (dealt,) in played.said(DealtShares).items():
        assert isinstance(dealt, DealtShares)
        assert dealt.ciphertexts.keys() == set(graph.neighbours[client])


def test_only_the_committee_signs_and_everybody_believes_it(sparse: Deployment) -> None:
    played = play(sparse)
    committee = played.server.context.committee
    assert played.said(Agreement).keys() == played.said(Consistency).keys() == committee
    assert len(committee) == 9
    assert not played.gave_up


def test_on_the_complete_graph_all_are_told_the_same() -> None:
    played = play(Deployment(7))
    for kind in (KeyList, RandomnessList, AcceptedSet):
        assert len({id(m) for _, m in played.told if isinstance(m, kind)}) == 1


def test_dropouts_in_several_phases_are_survived(sparse: Deployment) -> None:
    lost = {3: DealtShares, 8: Upload, 15: UpdateShares}

    def silence(client: ClientId, message: object) -> object:
        return None if isinstance(message, lost.get(client, ())) else message

    played = play(sparse, to_server=silence)  # type: ignore[arg-type]
    assert played.aborted is None
    assert played.total is not None
    assert set(sparse.everybody) - set(played.summary.accepted) == {3, 8}
    assert np.array_equal(played.total.total, plain_sum(sparse, played.summary.accepted))
    assert set(played.dropped.values()) == {DropReason.SILENT}


def test_a_total_that_tears_neighbours_apart_is_not_proposed(sparse: Deployment) -> None:
    """Three of six groups: somewhere on the ring too few in a row are left."""

    def half(groups: object, plan: object) -> Decision:
        kept = tuple(GroupIndex(k) for k in range(3))
        return Decision(kept, {GroupIndex(k): "test" for k in range(3, 6)})

    played = play(sparse, decide=half)  # type: ignore[arg-type]
    assert played.aborted is AbortReason.TOO_FEW_ACCEPTED
    assert not played.said(Agreement)


def test_clients_refuse_a_total_that_would_isolate_one_of_them(sparse: Deployment) -> None:
    """The server claims that most neighbours of a victim sent nothing; then every mask of the
    victim would be restored, and its update shown alone."""

    def isolating(client: ClientId, message: object) -> object:
        if not isinstance(message, AcceptedSet):
            return message
        return replace(message, accepted=tuple(sorted(c for k in range(3) for c in groups()[k])))

    def groups() -> tuple[tuple[ClientId, ...], ...]:
        return played_groups[0]

    played_groups: list[tuple[tuple[ClientId, ...], ...]] = []

    def remember(opened: object, plan: object) -> Decision:
        played_groups.append(tuple(group.members for group in opened))  # type: ignore[attr-defined]
        return Decision(tuple(GroupIndex(k) for k in range(6)), {})

    played = play(sparse, to_client=isolating, decide=remember)  # type: ignore[arg-type]
    assert {effect.refusal for effect in played.gave_up.values()} == {Refusal.ACCEPTED_TOO_SMALL}
    assert len(played.gave_up) == N
    assert played.total is None


def test_masks_across_groups_stay_closed_on_a_sparse_graph(sparse: Deployment) -> None:
    """Members of a group need not share masks here: their images would show single clients."""

    def lie(client: ClientId, message: object) -> object:
        if client == 5 and isinstance(message, MaskedStatistics):
            words = np.frombuffer(message.payload, dtype="<u8").copy()
            words[:1] += np.uint64(1)
            return replace(message, payload=words.tobytes())
        return message

    machines = sparse.machines()
    played = play(sparse, machines=machines, to_server=lie)  # type: ignore[arg-type]
    assert played.aborted is AbortReason.BINDING_FAILED
    assert not played.summary.marks
    asked = machines[ClientId(0)].on_message(BindingFailed())
    assert [e.refusal for e in asked if isinstance(e, GaveUp)] == [Refusal.MASKS_WOULD_SHOW]
    assert not played.said(CrossMasks)


def test_signatures_from_outside_the_committee_do_not_count(sparse: Deployment) -> None:
    """A quorum of valid signatures, but of clients that the dice did not choose."""

    def outsiders(client: ClientId, message: object) -> object:
        if not isinstance(message, AgreementList):
            return message
        state = played_server[0].state
        parts = agreement_parts(
            played_server[0].context.transcript,
            state.draw.view,
            frozenset(state.proposal.accepted),
        )
        chosen = [c for c in sparse.everybody if c not in played_server[0].context.committee]
        return AgreementList({c: sparse.keys[c].sign(Tag.AGREEMENT, *parts) for c in chosen})

    played_server: list[RoundServer] = []
    original = RoundServer.start

    def starting(self: RoundServer) -> object:
        played_server.append(self)
        return original(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RoundServer, "start", starting)
        played = play(sparse, to_client=outsiders)  # type: ignore[arg-type]
    assert {effect.refusal for effect in played.gave_up.values()} == {Refusal.QUORUM_MISSING}
    assert played.total is None
