"""Equivocation: a server that shows clients different lists opens one world at most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pytest
from hostile import Hostile
from knowledge import spans, together
from rounds_kit import PARAMS, Deployment, Played, lacking, play, whole_list
from told import VICTIM, Clients, Told

from auror.errors import Refusal
from auror.ids import ClientId
from auror.round.messages import (
    AcceptedSet,
    AdvertisedKeys,
    Agreement,
    AgreementList,
    ClientMessage,
    Consistency,
    ConsistencyList,
    DealerList,
    DealtShares,
    KeyList,
    MaskedStatistics,
    RandomnessList,
    RandomnessShares,
    Receipt,
    ServerMessage,
    ShareDelivery,
    UpdateShares,
    Upload,
    UploadList,
)
from auror.round.run import Decide, accept_all
from auror.round.server.context import Decision

T = TypeVar("T")
HONEST, COLLUDERS = range(7), frozenset(map(ClientId, (7, 8)))

ORDER: tuple[type[ClientMessage], ...] = (
    AdvertisedKeys, DealtShares, Receipt, Upload, Consistency, RandomnessShares, MaskedStatistics,
    Agreement, UpdateShares,
)  # fmt: skip
"""What clients say, phase by phase."""


@dataclass(frozen=True)
class Split:
    """Several rounds at once: from what clients say in ``parted`` on, each side of honest clients
    has its own world, with the colluders in all of them.

    Each world is a real server with real clients; their secrets repeat, so all worlds are one round
    until they part.
    """

    kit: Deployment
    parted: type[ClientMessage]
    sides: tuple[Clients, ...]
    colluders: Clients

    def worlds(self, decisions: Sequence[Decide] = ()) -> list[Played]:
        """Every side's round; ``decisions``: what the server accepts in each."""
        return [
            play(
                self.kit,
                to_server=lambda client, said, side=side: said if self.heard(side, client, said)
                else None,
                decide=decide,
            )
            for side, decide in zip(self.sides, decisions or [accept_all] * len(self.sides),
                                    strict=True)
        ]  # fmt: skip

    def heard(self, side: Clients, client: ClientId, said: ClientMessage) -> bool:
        if client in side | self.colluders or type(said) not in ORDER:
            return True
        return ORDER.index(type(said)) < ORDER.index(self.parted)

    def knowledge(self, worlds: list[Played]) -> Told:
        """Of all worlds together."""
        seen = Told(worlds[0].server.context, self.colluders)
        pairs = list(zip(self.sides, worlds, strict=True))
        seen.add(
            (one for side, world in pairs for one in world.told if one[0] in side),
            (one for side, world in pairs for one in world.replies if self.heard(side, *one)),
        )
        return seen

    def check(self, worlds: list[Played]) -> None:
        """All worlds together open disjoint groups and one total, and show no more."""
        seen = self.knowledge(worlds)
        opened = seen.whole_groups()
        honest = [set(group) - self.colluders for group in opened]
        assert sum(map(len, honest)) == len(set().union(*honest)), "one client in two sums"
        totals = {frozenset(w.total.accepted) for w in worlds if w.total is not None}
        assert len(totals) <= 1, "two totals"
        known = seen.about_statistics()
        assert spans(seen.allowed([*opened, *totals]), known)
        assert spans(seen.allowed(totals), seen.about_updates())
        for group, _view in seen.companies.values():
            assert together(known, set(group) - self.colluders)


LISTS: tuple[type[ServerMessage], ...] = (
    KeyList, ShareDelivery, DealerList, UploadList, ConsistencyList, RandomnessList, AcceptedSet,
    AgreementList,
)  # fmt: skip


@dataclass(frozen=True)
class Lacking:
    """Shows ``victim`` every list from ``since`` on without ``missing``; a hook for ``play``."""

    victim: ClientId
    missing: frozenset[ClientId]
    since: type[ServerMessage]

    def __call__(self, client: ClientId, message: ServerMessage) -> ServerMessage:
        if client != self.victim or type(message) not in LISTS:
            return message
        if LISTS.index(type(message)) < LISTS.index(self.since):
            return message
        match message:
            case KeyList(_, keys):
                return whole_list(self._without(keys))
            case ShareDelivery(dealers, envelopes):
                fewer = tuple(c for c in dealers if c not in self.missing)
                return ShareDelivery(fewer, self._without(envelopes))
            case DealerList(dealers):
                return DealerList(tuple(c for c in dealers if c not in self.missing))
            case UploadList():
                return lacking(message, *self.missing)
            case ConsistencyList(signatures):
                return ConsistencyList(self._without(signatures))
            case RandomnessList(randomness):
                dealt = LISTS.index(self.since) > LISTS.index(DealerList)
                return RandomnessList(randomness if dealt else self._without(randomness))
            case AcceptedSet(accepted, signatures):
                fewer = tuple(c for c in accepted if c not in self.missing)
                return AcceptedSet(fewer, self._without(signatures))
            case AgreementList(signatures):
                return AgreementList(self._without(signatures))
            case _:
                return message

    def _without(self, by_client: Mapping[ClientId, T]) -> dict[ClientId, T]:
        return {c: value for c, value in by_client.items() if c not in self.missing}


@pytest.mark.parametrize("alone", [1, 2, 3])
@pytest.mark.parametrize(
    "parted",
    [
        pytest.param(AdvertisedKeys, id="U1"),
        pytest.param(DealtShares, id="U2"),
        pytest.param(Receipt, id="receipts"),
        pytest.param(Upload, id="U3"),
        pytest.param(Consistency, id="signatures under U3"),
        pytest.param(RandomnessShares, id="r"),
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
    whole = [g for g in many.summary.groups if sides[0].isdisjoint(g)]
    # groups are of U3, so after it whoever is away closes its own; else it costs the others nothing
    assert (many.total is not None) == (sum(map(len, whole)) >= nine.params.colluders + 2)
    if parted not in {Consistency, RandomnessShares}:
        assert many.total is not None
    if many.total is not None:
        assert sides[0].isdisjoint(many.total.accepted)


@pytest.mark.parametrize("alone", [1, 2, 3])
def test_statistics_heard_in_two_worlds_open_whole_groups_only(
    nine: Deployment, alone: int
) -> None:
    """Each world lacks the others' statistics; together they make the groups that all agreed on."""
    sides = frozenset(map(ClientId, HONEST[:alone])), frozenset(map(ClientId, HONEST[alone:]))
    split = Split(nine, MaskedStatistics, sides, COLLUDERS)
    worlds = split.worlds()
    split.check(worlds)
    assert worlds[0].total is None
    assert split.knowledge(worlds).whole_groups() == sorted(worlds[0].summary.groups)
    for world in worlds:
        for group in world.summary.opened:
            assert sides[0].isdisjoint(group.members) or sides[1].isdisjoint(group.members)


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
    assert len(worlds[0].summary.accepted) == 9
    assert len(worlds[1].summary.accepted) == 6  # both were asked for
    assert [world.total is not None for world in worlds] == [False, True]


def test_with_more_colluders_than_assumed_two_worlds_do_open(nine: Deployment) -> None:
    """So the search above can see it; this is where the promise ends."""
    sides = frozenset(map(ClientId, (0, 1))), frozenset(map(ClientId, (2, 3, 4)))
    split = Split(nine, Upload, sides, frozenset(map(ClientId, (5, 6, 7, 8))))
    worlds = split.worlds()
    assert all(world.total is not None for world in worlds)
    with pytest.raises(AssertionError, match=r"two totals|two sums"):
        split.check(worlds)


@pytest.mark.parametrize(
    "since",
    [
        pytest.param(KeyList, id="U1"),
        pytest.param(ShareDelivery, id="who dealt"),
        pytest.param(DealerList, id="U2"),
        pytest.param(UploadList, id="U3"),
        pytest.param(AcceptedSet, id="A"),
    ],
)
def test_a_victim_shown_a_shorter_list_loses_nothing(nine: Deployment, since: type) -> None:
    """The others' view is not its own, so nobody opens it; from A on its own answer differs."""
    played = play(nine, to_client=Lacking(VICTIM, frozenset({ClientId(8)}), since))
    seen = Told.after(played)
    # from U2 on it goes along and masks for another world; before, what it signs is about other
    # lists than the server's, and it is no part of U2
    assert (VICTIM in seen.uploaded) == (since not in {KeyList, ShareDelivery})
    assert (VICTIM in seen.sent) == (since is AcceptedSet)
    assert not seen.stands_alone(VICTIM)
    opened = [group.members for group in played.summary.opened]
    totals = [played.total.accepted] if played.total is not None else []
    assert spans(seen.allowed([*opened, *totals]), seen.about_statistics())
    assert spans(seen.allowed(totals), seen.about_updates())
    if since is not AcceptedSet:
        assert VICTIM not in played.summary.accepted
    else:  # eight of nine agree without it
        assert played.gave_up[VICTIM].refusal is Refusal.ACCEPTED_NOT_GROUPS


def test_a_victim_is_not_opened_with_others_than_it_masked_against() -> None:
    """The victim hears of fewer uploads and draws a group of its own; the others are told of all,
    draw theirs with the victim in it, and whatever they sign is passed on to it. It signs, and
    gets no quorum: seen 3 of Q = 7 with both colluders."""
    params = replace(PARAMS, group_size=5, colluders=2)
    stage = Hostile(Deployment(10, 3, params), frozenset(map(ClientId, (8, 9))))
    stage.upload()
    fewer = stage.everybody - frozenset(map(ClientId, (1, 2, 3)))
    for client in stage.honest:
        stage.show_uploads(client, fewer if client == VICTIM else stage.everybody)
    assert len(stage.signed_uploads(stage.signed(VICTIM))) == 3
    assert stage.topology.quorum == 7
    for client in stage.honest:
        stage.show_signatures(client)
    for client in stage.honest:
        stage.show_draw(client)
    assert stage.refused == {VICTIM: Refusal.QUORUM_MISSING}
    assert set(stage.companies) == set(stage.honest) - {VICTIM}
    for client in stage.honest:
        assert not spans(stage.about_statistics(), [{("input", client): 1}])
    rest = stage.everybody - {VICTIM}
    assert all(stage.show_accepted(c, rest) is None for c in stage.companies)
    assert {stage.refused[c] for c in stage.companies} == {Refusal.ACCEPTED_NOT_GROUPS}


def test_half_the_cohort_shown_another_a_opens_no_smaller_group(nine: Deployment) -> None:
    """One member of a group is taken out of A for half of the holders."""

    def two_lists(client: ClientId, message: Any) -> Any:
        if client % 2 and isinstance(message, AcceptedSet):
            return replace(message, accepted=tuple(c for c in message.accepted if c != 8))
        return message

    played = play(nine, to_client=two_lists)
    assert {g.refusal for g in played.gave_up.values()} == {Refusal.ACCEPTED_NOT_GROUPS}
    seen = Told.after(played)
    assert not seen.stands_alone(VICTIM)
    for group in played.summary.groups:
        for member in group:
            rest: list[Any] = [{("input", c): 1 for c in group if c != member}]
            assert not spans(seen.about_statistics(), rest)
