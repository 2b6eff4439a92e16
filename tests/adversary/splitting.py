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

from knowledge import Observer, Vector, spans, together, without_masks
from rounds_kit import Deployment, Played, play

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
from auror.round.public import draw_groups, protocol_seed, uploads_digest, view_digest
from auror.round.run import Decide, accept_all

T = TypeVar("T")
L = TypeVar("L", bound=ServerMessage)
VICTIM = ClientId(0)

ORDER: tuple[type[ClientMessage], ...] = (
    AdvertisedKeys, DealtShares, Receipt, Upload, Consistency, RandomnessShares, MaskedStatistics,
    Agreement, UpdateShares,
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
        """All worlds together open disjoint groups and one total, and show no more."""
        observers = self.observers(worlds)
        opened = self.opened(observers)
        honest = [group - self.colluders for group in opened]
        assert sum(map(len, honest)) == len(frozenset().union(*honest)), "one client in two sums"
        totals = {frozenset(w.total.accepted) for w in worlds if w.total is not None}
        assert len(totals) <= 1, "two totals"
        if not observers:
            return
        sums = observers[0].allowed([*opened, *totals])
        known = derived(observers, "xu")
        assert spans(sums, known)
        assert spans(observers[0].allowed(totals), derived(observers, "x"))
        for seen in observers:
            for client in seen.sent - self.colluders:
                assert together(known, set(seen.company(client)[0]) - self.colluders)

    def opened(self, observers: list[Observer]) -> set[frozenset[ClientId]]:
        """Groups of one view of which all have sent, in whichever world."""
        sent: dict[tuple[tuple[ClientId, ...], bytes], set[ClientId]] = {}
        for seen in observers:
            for client in seen.sent:
                sent.setdefault(seen.company(client), set()).add(client)
        return {
            frozenset(group)
            for (group, _view), members in sent.items()
            if members | self.colluders >= set(group)
        }


def derived(observers: list[Observer], names: str) -> list[Vector]:
    """What follows about inputs, from uploads (``x``) and statistics (``u``)."""
    rows: list[Vector] = []
    for seen in observers:
        rows += seen.updates_rows()
        if "u" in names:
            rows += seen.statistics_rows()
    return without_masks(rows)


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
            case KeyList(keys):
                return KeyList(self._without(keys))
            case ShareDelivery(dealers, envelopes):
                fewer = tuple(c for c in dealers if c not in self.missing)
                return ShareDelivery(fewer, self._without(envelopes))
            case DealerList(dealers):
                return DealerList(tuple(c for c in dealers if c not in self.missing))
            case UploadList(digests):
                return UploadList(self._without(digests))
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


class Misled(Observer):
    """Knowledge after a round in which everybody masked against the lists it was shown itself."""

    def __init__(self, played: Played, colluders: frozenset[ClientId] = frozenset()) -> None:
        super().__init__(played.server.context, colluders)
        self.told = {(client, type(message)): message for client, message in played.told}
        for client, said in played.replies:
            self.hear(client, said)

    def masked_against(self, client: ClientId) -> set[ClientId]:
        return set(self._list(client, DealerList).dealers) - {client}

    def company(self, client: ClientId) -> tuple[tuple[ClientId, ...], bytes]:
        """The group that it drew from what it was told, and its h."""
        keys, digests = self._list(client, KeyList).keys, self._list(client, UploadList).digests
        dealers = self._list(client, DealerList).dealers
        told = self._list(client, RandomnessList).randomness
        transcript, params = self.context.transcript, self.context.params
        uploaded = tuple(sorted(digests))
        seed = protocol_seed(transcript, uploaded, told)
        groups = draw_groups(seed, uploaded, params.group_size)
        plan = self.context.plan.with_challenge(seed, params.challenge_rows)
        uploads = uploads_digest(transcript, keys, dealers, digests)
        (own,) = (group for group in groups if client in group)
        return own, view_digest(uploads, told, groups, plan.digest())

    def _list(self, client: ClientId, kind: type[L]) -> L:
        told = self.told[client, kind]
        assert isinstance(told, kind)
        return told


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
