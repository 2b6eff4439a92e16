"""Equivocation: a server that shows clients different lists opens one world at most."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from knowledge import spans
from rounds_kit import PARAMS, POLICY, Deployment, play
from splitting import VICTIM, Lacking, Misled, Split, assert_kept_apart, learned

from auror.errors import Refusal
from auror.ids import ClientId
from auror.round.messages import (
    AdvertisedKeys,
    Agreement,
    DealtShares,
    KeyList,
    MaskedStatistics,
    ShareDelivery,
    StatisticsList,
    Upload,
    UploadList,
)
from auror.round.run import accept_all
from auror.round.server.context import Decision

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
    played = play(nine, to_client=Lacking(VICTIM, frozenset({ClientId(8)}), since))
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


def test_a_victim_is_not_opened_with_others_than_it_masked_against() -> None:
    """The victim hears of two companions only and masks against them; the others are asked to open
    it together with the other two, giving the keys of the first two. Nothing would be left on it.
    """
    params = replace(PARAMS, group_size=5, colluders=2)
    ten = Deployment(10, 3, params, replace(POLICY, colluders=2))
    (group,) = (g for g in play(ten).progress.groups if VICTIM in g)
    mates = [c for c in group if c != VICTIM]
    first, hidden = frozenset(mates[:2]), frozenset(mates[2:])
    shorter = Lacking(VICTIM, hidden, UploadList)
    signature: dict[ClientId, bytes] = {}

    def listening(client: ClientId, message: Any) -> Any:
        if isinstance(message, MaskedStatistics):
            signature[client] = message.signature
        return message

    def swapped(client: ClientId, message: Any) -> Any:
        if isinstance(message, StatisticsList) and client != VICTIM:
            return StatisticsList({c: s for c, s in signature.items() if c not in first})
        return shorter(client, message)

    played = play(ten, to_client=swapped, to_server=listening)
    seen = Misled(played)
    assert VICTIM in seen.sent
    assert not spans(seen.about_statistics(), [{("input", VICTIM): 1}])
    assert {g.refusal for g in played.gave_up.values()} >= {Refusal.VIEW_DISAGREES}


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
