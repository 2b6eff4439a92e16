"""Malicious servers that show different lists to different clients.

``Split`` plays several rounds at once: the same to everybody up to some phase, then one world for
each part of the cohort, with its colluders in every world. Each world is a real server with real
clients; their secrets repeat, so all worlds are one round until they part. What the server knows at
the end is the knowledge of all worlds together.

``Lacking`` shows one client lists without some others; ``Misled`` is what it then knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from knowledge import Observer, Vector, _masked, spans, without_masks
from rounds_kit import Deployment, Played, play

from auror.ids import ClientId
from auror.round.messages import (
    AdvertisedKeys,
    Agreement,
    AgreementList,
    ClientMessage,
    DealtShares,
    KeyList,
    MaskedStatistics,
    ServerMessage,
    ShareDelivery,
    StatisticsList,
    StatisticsShares,
    UpdateShares,
    Upload,
    UploadList,
)
from auror.round.public import draw_groups, protocol_seed
from auror.round.run import Decide, accept_all

T = TypeVar("T")
VICTIM = ClientId(0)

ORDER: tuple[type[ClientMessage], ...] = (
    AdvertisedKeys, DealtShares, Upload, MaskedStatistics, StatisticsShares, Agreement,
    UpdateShares,
)  # fmt: skip
"""What clients say, phase by phase."""


@dataclass(frozen=True)
class Split:
    """From what clients say in ``parted`` on, each side of honest clients has its own world."""

    kit: Deployment
    parted: type[ClientMessage]
    sides: tuple[frozenset[ClientId], ...]
    colluders: frozenset[ClientId]

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

    def heard(self, side: frozenset[ClientId], client: ClientId, said: ClientMessage) -> bool:
        if client in side | self.colluders or type(said) not in ORDER:
            return True
        return ORDER.index(type(said)) < ORDER.index(self.parted)

    def observers(self, worlds: list[Played]) -> list[Observer]:
        """One for each world, with the shares that were opened in any of them."""
        found = []
        for side, world in zip(self.sides, worlds, strict=True):
            if world.progress.graph is None:
                continue  # too few to begin with: nobody said more than its keys
            seen = Observer(world.server.context, self.colluders)
            for client, said in world.replies:
                if self.heard(side, client, said):
                    seen.hear(client, said)
            found.append(seen)
        pooled = {owner: set(holders) for seen in found for owner, holders in seen.holders.items()}
        for seen in found:
            for owner, holders in seen.holders.items():
                pooled[owner] |= holders
        for seen in found:
            seen.holders = pooled
        return found

    def check(self, worlds: list[Played]) -> None:
        """All worlds together open disjoint sets of statistics and one total, and show no more."""
        opened = {frozenset(g.members) for world in worlds for g in world.progress.opened}
        assert sum(map(len, opened)) == len(frozenset().union(*opened)), "one client in two sums"
        totals = {frozenset(w.total.accepted) for w in worlds if w.total is not None}
        assert len(totals) <= 1, "two totals"
        observers = self.observers(worlds)
        sums = observers[0].allowed([*opened, *totals])
        assert spans(sums, derived(observers, "xu"))
        assert spans(observers[0].allowed(totals), derived(observers, "x"))


def derived(observers: list[Observer], names: str) -> list[Vector]:
    """What follows about inputs, from uploads (``x``) and statistics (``u``)."""
    rows: list[Vector] = []
    for seen in observers:
        rows += seen._masked_updates()
        if "u" in names:
            rows += seen._masked_statistics()
        for name in names:
            rows += seen._known_masks(name)
    return without_masks(rows)


LISTS: tuple[type[ServerMessage], ...] = (
    KeyList, ShareDelivery, UploadList, StatisticsList, AgreementList,
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
            case KeyList(keys):
                return KeyList(self._without(keys))
            case ShareDelivery(dealers, envelopes):
                fewer = tuple(c for c in dealers if c not in self.missing)
                return ShareDelivery(fewer, self._without(envelopes))
            case UploadList(digests, randomness):
                dealt = LISTS.index(self.since) > LISTS.index(ShareDelivery)
                return UploadList(
                    self._without(digests), randomness if dealt else self._without(randomness)
                )
            case StatisticsList(signatures):
                return StatisticsList(self._without(signatures))
            case AgreementList(signatures):
                return AgreementList(self._without(signatures))
            case _:
                return message

    def _without(self, by_client: Mapping[ClientId, T]) -> dict[ClientId, T]:
        return {c: value for c, value in by_client.items() if c not in self.missing}


class Misled(Observer):
    """Knowledge after a round in which everybody masked against the lists it was shown itself."""

    def __init__(self, played: Played, colluders: frozenset[ClientId] = frozenset()) -> None:
        super().__init__(played.server.context, colluders)
        self.told = {(client, type(message)): message for client, message in played.told}
        for client, said in played.replies:
            self.hear(client, said)

    def _masked_updates(self) -> list[Vector]:
        return [_masked("x", c, set(self._dealers(c)) - {c}) for c in sorted(self.uploaded)]

    def _masked_statistics(self) -> list[Vector]:
        return [_masked("u", c, self._companions(c)) for c in sorted(self.sent)]

    def _dealers(self, client: ClientId) -> tuple[ClientId, ...]:
        delivery = self.told[client, ShareDelivery]
        assert isinstance(delivery, ShareDelivery)
        return delivery.dealers

    def _companions(self, client: ClientId) -> set[ClientId]:
        """The others of its group as it drew it, as far as it heard that they uploaded."""
        told = self.told[client, UploadList]
        assert isinstance(told, UploadList)
        seed = protocol_seed(self.context.transcript, told.randomness)
        size = self.context.params.group_size
        groups = draw_groups(seed, self._dealers(client), size)
        (own,) = (group for group in groups if client in group)
        return set(own) & told.digests.keys() - {client}


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
