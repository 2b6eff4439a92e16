"""Threats that single refusals do not cover: a test per threat, named in docs/threat-model.md."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from knowledge import Observer, spans
from liars import STRATEGIES, Liars
from rounds_kit import DIM, PARAMS, POLICY, Deployment, Played, play
from splitting import Lacking, Misled, Split

from auror.defense.liability import Liability
from auror.ids import ClientId, GroupIndex
from auror.round.client.state import GaveUp
from auror.round.messages import (
    AdvertisedKeys,
    Agreement,
    AgreementList,
    DealtShares,
    KeyList,
    MaskedStatistics,
    ShareDelivery,
    StatisticsList,
    StatisticsShares,
    UpdateShares,
    Upload,
    UploadList,
)
from auror.round.plan import OutputLayer, StatisticsPlan
from auror.round.run import accept_all
from auror.round.server.context import Decision
from auror.secagg.instance import SecretKind

VICTIM = ClientId(0)


@pytest.fixture
def nine() -> Deployment:
    return Deployment(9, 3, replace(PARAMS, colluders=2), replace(POLICY, colluders=2))


def learned(played: Played, colluders: frozenset[ClientId] = frozenset()) -> Observer:
    """What the server can derive at the end."""
    seen = Observer(played.server.context, colluders)
    for client, message in played.replies:
        seen.hear(client, message)
    return seen


def assert_kept_apart(played: Played, victim: ClientId = VICTIM) -> None:
    """Neither the victim's update nor its statistics can be derived alone."""
    seen = learned(played)
    alone = [{("input", victim): 1}]
    assert not spans(seen.about_updates(), alone)
    assert not spans(seen.about_statistics(), alone)


# Equivocation -----------------------------------------------------------------------------------


HONEST, COLLUDERS = range(7), frozenset(map(ClientId, (7, 8)))


@pytest.mark.parametrize("alone", [1, 2, 3])
@pytest.mark.parametrize(
    "parted",
    [
        pytest.param(AdvertisedKeys, id="U1"),
        pytest.param(DealtShares, id="U2"),
        pytest.param(Upload, id="U3"),
        pytest.param(MaskedStatistics, id="S"),
    ],
)
def test_a_server_that_shows_two_lists_opens_one_world_at_most(
    nine: Deployment, parted: type, alone: int
) -> None:
    """``alone`` honest clients live in another world from some list on, with both colluders."""
    sides = frozenset(map(ClientId, HONEST[:alone])), frozenset(map(ClientId, HONEST[alone:]))
    split = Split(nine, parted, sides, COLLUDERS)
    worlds = split.worlds()
    split.check(worlds)
    few, many = worlds
    assert few.total is None
    assert many.total is not None  # the attack costs the others nothing
    assert sides[0].isdisjoint(many.total.accepted)


@pytest.mark.parametrize("alone", [1, 2, 3])
def test_a_server_that_shows_two_accepted_sets_opens_one_at_most(
    nine: Deployment, alone: int
) -> None:
    """Statistics are open to both worlds; one leaves a group out of the total."""

    def fewer(groups: Any, plan: Any) -> Decision:
        return Decision(tuple(g.index for g in groups[1:]), {groups[0].index: "test"})

    sides = frozenset(map(ClientId, HONEST[:alone])), frozenset(map(ClientId, HONEST[alone:]))
    split = Split(nine, Agreement, sides, COLLUDERS)
    worlds = split.worlds([accept_all, fewer])
    split.check(worlds)
    assert len(worlds[0].progress.accepted) == 9
    assert len(worlds[1].progress.accepted) == 6  # both were asked for
    assert [world.total is not None for world in worlds] == [False, True]


def test_with_more_colluders_than_assumed_two_worlds_do_open(nine: Deployment) -> None:
    """So the search above can see it; this is where the promise ends."""
    sides = frozenset(map(ClientId, (0, 1))), frozenset(map(ClientId, (2, 3, 4)))
    split = Split(nine, Upload, sides, frozenset(map(ClientId, (5, 6, 7, 8))))
    worlds = split.worlds()
    assert all(world.total is not None for world in worlds)
    with pytest.raises(AssertionError, match="two totals"):
        split.check(worlds)


@pytest.mark.parametrize(
    "since",
    [
        pytest.param(KeyList, id="U1"),
        pytest.param(ShareDelivery, id="U2"),
        pytest.param(UploadList, id="U3"),
        pytest.param(StatisticsList, id="S"),
    ],
)
def test_a_victim_shown_a_shorter_list_loses_nothing(nine: Deployment, since: type) -> None:
    """The others' view is not its own, so nobody opens it; from S on its own answer differs."""
    played = play(nine, to_client=Lacking(VICTIM, ClientId(8), since))
    seen = Misled(played)
    alone = [{("input", VICTIM): 1}]
    # it goes along and masks for another world; who deals to fewer holders is no part of U2
    assert (VICTIM in seen.uploaded) == (since is not KeyList)
    assert not spans(seen.about_updates(), alone)
    assert not spans(seen.about_statistics(), alone)
    opened = [group.members for group in played.progress.opened]
    totals = [played.total.accepted] if played.total is not None else []
    assert spans(seen.allowed([*opened, *totals]), seen.about_statistics())
    assert spans(seen.allowed(totals), seen.about_updates())
    if since is not StatisticsList:
        assert VICTIM not in played.progress.accepted


def test_half_the_cohort_shown_another_s_opens_no_smaller_group(nine: Deployment) -> None:
    """One member of the victim's group is taken out of S for half of the holders."""

    def two_lists(client: ClientId, message: Any) -> Any:
        if client % 2 and isinstance(message, StatisticsList):
            return StatisticsList({c: s for c, s in message.signatures.items() if c != 8})
        return message

    played = play(nine, to_client=two_lists)
    assert_kept_apart(played)
    seen = learned(played)
    for group in played.progress.groups:
        for member in group:
            rest: list[Any] = [{("input", c): 1 for c in group if c != member}]
            assert not spans(seen.about_statistics(), rest)


# Openings ---------------------------------------------------------------------------------------


def test_excluding_a_client_from_the_total_does_not_open_its_statistics(nine: Deployment) -> None:
    """Its update mask key is restored; with one key pair for both sums that would be the end of
    its statistics' masks too."""

    def all_but_the_victims(groups: Any, plan: Any) -> Decision:
        left = {g.index: "test" for g in groups if VICTIM in g.members}
        return Decision(tuple(g.index for g in groups if g.index not in left), left)

    played = play(nine, decide=all_but_the_victims)
    seen = learned(played)
    assert seen.knows(VICTIM, SecretKind.UPDATE_MASK_KEY)
    assert not seen.knows(VICTIM, SecretKind.STATISTICS_MASK_KEY)
    assert_kept_apart(played)
    for keys in played.said(AdvertisedKeys)[VICTIM]:
        assert isinstance(keys, AdvertisedKeys)
        assert len(set(keys.public_keys())) == 3


@pytest.mark.parametrize("early", [StatisticsList, AgreementList])
def test_nothing_is_opened_early(nine: Deployment, early: type) -> None:
    """The lists that ask for shares, before the sets they rest on are agreed."""
    asked: set[ClientId] = set()

    def hasty(client: ClientId, message: Any) -> Any:
        if isinstance(message, KeyList) and client not in asked:
            asked.add(client)
            return early({c: bytes(64) for c in nine.everybody})
        return message

    played = play(nine, to_client=hasty)
    assert not played.said(StatisticsShares)
    assert not played.said(UpdateShares)
    assert len(played.gave_up) == 9


def test_colluders_below_c_add_nothing_but_what_they_put_in(nine: Deployment) -> None:
    played = play(nine)
    colluders = frozenset({ClientId(7), ClientId(8)})
    seen = learned(played, colluders)
    sums = [group.members for group in played.progress.opened]
    assert spans(seen.allowed(sums), seen.about_statistics())
    assert spans(seen.allowed([played.progress.accepted]), seen.about_updates())


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
    effects = machines[VICTIM].on_message(nine.start(counter=0, model=1))
    assert [e for e in effects if isinstance(e, GaveUp)]


# Malicious clients ------------------------------------------------------------------------------


def test_shares_that_only_some_holders_can_read_stop_nobody(nine: Deployment) -> None:
    liars = Liars(
        nine, {ClientId(4): [STRATEGIES["unreadable envelopes"]]}, np.random.default_rng(2)
    )
    played = play(nine, machines=liars.machines, to_server=liars.to_server)
    assert played.total is not None
    assert not played.dropped
    assert not played.progress.marks


def test_an_update_in_the_null_space_of_the_plan_meets_the_challenge() -> None:
    """It changes nothing that the session's rows can see; rows drawn after the upload see it."""
    plan = StatisticsPlan(DIM, (OutputLayer(0, 4),))
    kit = Deployment(
        9, 6, replace(PARAMS, challenge_rows=8, colluders=2), replace(POLICY, colluders=2), plan
    )
    updates = {c: np.zeros(DIM, dtype=np.float32) for c in kit.everybody}
    hidden = {c: update.copy() for c, update in updates.items()}
    hidden[ClientId(5)][4:] = np.where(np.arange(DIM - 4) % 2, 1.0, -1.0)
    honest, attacked = play(kit, updates=updates), play(kit, updates=hidden)
    assert attacked.progress.groups == honest.progress.groups
    for before, after in zip(honest.progress.opened, attacked.progress.opened, strict=True):
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

    groups = play(nine).progress.groups
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
        (mark,) = played.progress.marks
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
