"""Threats that single refusals do not cover: a test per threat, named in docs/threat-model.md."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from knowledge import spans
from liars import STRATEGIES, Liars
from rounds_kit import DIM, PARAMS, Deployment, Played, play
from told import VICTIM, Told

from auror.defence.liability import Liability
from auror.ids import ClientId, GroupIndex
from auror.round.client.state import GaveUp
from auror.round.messages import (
    AdvertisedKeys,
    Agreement,
    AgreementList,
    ConsistencyList,
    DealtShares,
    KeyList,
    MaskedStatistics,
    RandomnessShares,
    UpdateShares,
    Upload,
)
from auror.round.plan import OutputLayer, StatisticsPlan
from auror.round.record import MarkKind
from auror.round.server.context import Decision
from auror.secagg.instance import SecretKind

# Openings ---------------------------------------------------------------------------------------


def test_excluding_a_client_from_the_total_does_not_open_its_statistics(nine: Deployment) -> None:
    """Its update mask key is restored; with one key pair for both sums that would be the end of
    its statistics' masks too. Of the key of those nothing is dealt."""

    def all_but_the_victims(groups: Any, plan: Any) -> Decision:
        left = {g.index: "test" for g in groups if VICTIM in g.members}
        return Decision(tuple(g.index for g in groups if g.index not in left), left)

    played = play(nine, decide=all_but_the_victims)
    seen = Told.after(played)
    assert seen.knows(VICTIM, SecretKind.MASK_KEY)
    assert not seen.knows(VICTIM, SecretKind.SELF_SEED)
    assert not seen.stands_alone(VICTIM)
    assert {kind.name for kind in SecretKind} == {"SELF_SEED", "MASK_KEY", "RANDOMNESS"}
    for keys in played.said(AdvertisedKeys)[VICTIM]:
        assert isinstance(keys, AdvertisedKeys)
        assert len(set(keys.public_keys())) == 3


@pytest.mark.parametrize("early", [ConsistencyList, AgreementList])
def test_nothing_is_opened_early(nine: Deployment, early: type) -> None:
    """The lists that ask for shares, before the sets they rest on are agreed."""
    asked: set[ClientId] = set()

    def hasty(client: ClientId, message: Any) -> Any:
        if isinstance(message, KeyList) and client not in asked:
            asked.add(client)
            return early({c: bytes(64) for c in nine.everybody})
        return message

    played = play(nine, to_client=hasty)
    assert not played.said(RandomnessShares)
    assert not played.said(UpdateShares)
    assert len(played.gave_up) == 9


def test_colluders_below_c_add_nothing_but_what_they_put_in(nine: Deployment) -> None:
    played = play(nine)
    colluders = frozenset({ClientId(7), ClientId(8)})
    seen = Told.after(played, colluders)
    sums = [group.members for group in played.summary.opened]
    assert spans(seen.allowed(sums), seen.about_statistics())
    assert spans(seen.allowed([played.summary.accepted]), seen.about_updates())


# Replay and rollback ----------------------------------------------------------------------------


def test_a_client_restored_from_a_backup_masks_anew(nine: Deployment) -> None:
    """Its memory was rolled back and everybody else repeats every byte. Fresh secrets make the
    second round useless against the first; what it cannot know is that it signed before."""
    first = play(nine)
    machines = nine.machines()
    restored = machines[VICTIM]
    restored._identity = replace(restored._identity, entropy=nine.entropy("restored"))
    second = play(nine, machines=machines)
    for kind in (AdvertisedKeys, DealtShares, Upload, MaskedStatistics):
        assert first.said(kind)[VICTIM] != second.said(kind)[VICTIM]
    others = {c: said for c, said in first.said(AdvertisedKeys).items() if c != VICTIM}
    assert others.items() <= second.said(AdvertisedKeys).items()
    one, other = (_payload(played) for played in (first, second))
    assert (one == other).mean() < 0.3  # the same update, under masks that have nothing in common


def _payload(played: Played) -> Any:
    (upload,) = played.said(Upload)[VICTIM]
    assert isinstance(upload, Upload)
    return np.frombuffer(upload.payload, dtype=np.uint8)


def test_a_round_is_not_replayed_to_a_client_that_remembers(nine: Deployment) -> None:
    start, machines = nine.start(), nine.machines()
    play(nine, start=start, machines=machines)
    effects = machines[VICTIM].on_message(nine.start(counter=0, step=1))
    assert [e for e in effects if isinstance(e, GaveUp)]


# Malicious clients ------------------------------------------------------------------------------


def test_shares_that_only_some_holders_can_read_stop_nobody(nine: Deployment) -> None:
    liars = Liars(
        nine, {ClientId(4): [STRATEGIES["unreadable envelopes"]]}, np.random.default_rng(2)
    )
    played = play(nine, machines=liars.machines, to_server=liars.to_server)
    assert played.total is not None
    assert not played.dropped
    marks = [mark for mark in played.summary.marks if mark.kind is MarkKind.RECEIPT]
    assert marks == list(played.summary.marks)
    assert 1 <= len(marks) <= 2  # a pair for each holder that could not read
    assert all(ClientId(4) in mark.clients for mark in marks)
    assert ClientId(4) in played.total.accepted


def test_an_update_in_the_null_space_of_the_plan_meets_the_challenge() -> None:
    """It changes nothing that the session's rows can see; rows drawn after the upload see it."""
    plan = StatisticsPlan(DIM, (OutputLayer(0, 4),))
    kit = Deployment(9, 6, replace(PARAMS, challenge_rows=8, colluders=2), plan)
    updates = {c: np.zeros(DIM, dtype=np.float32) for c in kit.everybody}
    hidden = {c: update.copy() for c, update in updates.items()}
    hidden[ClientId(5)][4:] = np.where(np.arange(DIM - 4) % 2, 1.0, -1.0)
    honest, attacked = play(kit, updates=updates), play(kit, updates=hidden)
    assert attacked.summary.groups == honest.summary.groups
    for before, after in zip(honest.summary.opened, attacked.summary.opened, strict=True):
        inside = ClientId(5) in after.members
        assert np.array_equal(before.total[:4], after.total[:4])
        moved = np.abs((after.total[4:] - before.total[4:]).astype(np.int64)).max()
        assert (moved > 1000) == inside


def test_colluders_who_shift_evidence_between_groups_are_caught_by_an_audit(
    nine: Deployment,
) -> None:
    """Both add to one statistic what the other takes away. Without an audit the sums agree."""

    def shifting(client: ClientId, message: Any) -> Any:
        if client in pair and isinstance(message, MaskedStatistics):
            words = np.frombuffer(message.payload, dtype="<u8").copy()
            words[:1] += np.uint64(900 if client == pair[0] else 2**64 - 900)
            return replace(message, payload=words.tobytes())
        return message

    groups = play(nine).summary.groups
    pair = (groups[0][0], groups[1][0])

    def leaving_out(index: int | None) -> Any:
        def decide(opened: Any, plan: Any) -> Decision:
            left = {GroupIndex(index): "random audit"} if index is not None else {}
            return Decision(tuple(g.index for g in opened if g.index not in left), left)

        return decide

    assert play(nine, to_server=shifting, decide=leaving_out(None)).total is not None
    assert play(nine, to_server=shifting, decide=leaving_out(2)).total is not None
    suspects = Liability()
    for audited, marked in ((0, 1), (1, 0)):
        played = play(nine, to_server=shifting, decide=leaving_out(audited))
        assert played.total is None
        (mark,) = played.summary.marks
        assert set(mark.clients) == set(groups[marked])  # the other half of the shift
        suspects.add([mark.clients])
        assert suspects.proven(2) == frozenset()  # whose doing it was, one round does not say


def test_the_same_update_in_two_attempts_shares_no_mask(nine: Deployment) -> None:
    """The first attempt stops before its total; the second is about the same model."""

    def unsigned(client: ClientId, message: Any) -> Any:
        return None if isinstance(message, Agreement) else message

    machines = nine.machines()
    first = play(nine, machines=machines, to_server=unsigned)
    second = play(nine, machines=machines, start=nine.start(1, attempt=1))
    assert first.total is None
    assert second.total is not None
    for kind in (AdvertisedKeys, DealtShares, Upload, MaskedStatistics):
        assert first.said(kind)[VICTIM] != second.said(kind)[VICTIM]
    assert (_payload(first) == _payload(second)).mean() < 0.3
