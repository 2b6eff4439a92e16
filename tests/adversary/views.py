"""Every way in which a malicious server can show clients different lists, on the real machines.

A client's answer depends on what it alone was shown, so a fresh machine is asked once per distinct
history, and answers are put together for every profile of histories. What the server and one
colluder can then derive is computed as in ``knowledge``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import chain, combinations

from knowledge import FIELD, Vector, spans, without_masks
from rounds_kit import PARAMS, POLICY, Deployment, play, rounding

from auror.crypto.tags import Tag
from auror.ids import ClientId
from auror.params import RoundParams
from auror.round.client.machine import ClientMachine
from auror.round.client.state import Reply
from auror.round.messages import (
    AcceptedSet,
    Agreement,
    AgreementList,
    ClientMessage,
    KeyList,
    MaskedStatistics,
    RoundStart,
    ServerMessage,
    ShareDelivery,
    StatisticsList,
    StatisticsShares,
    UpdateShares,
    UploadList,
)
from auror.round.public import agreement_parts, view_digest

Clients = frozenset[ClientId]


@dataclass(frozen=True)
class History:
    """What one client is shown after phase 2: U3, then S, then A, then who signed A."""

    uploaded: Clients
    sent: Clients | None = None
    accepted: Clients | None = None
    signers: Clients | None = None


@dataclass(frozen=True)
class Answers:
    """What it reveals: owners of opened shares, per instance and kind."""

    statistics: bool
    statistics_seeds: Clients = frozenset()
    statistics_keys: Clients = frozenset()
    signed: bool = False
    update_seeds: Clients = frozenset()
    update_keys: Clients = frozenset()


@dataclass(frozen=True)
class Knowledge:
    """Who sent statistics, masked against whom, and whose secrets can be restored."""

    statistics: frozenset[tuple[ClientId, Clients]]
    statistics_seeds: Clients
    statistics_keys: Clients
    update_seeds: Clients
    update_keys: Clients


class Cohort:
    """A cohort of ``count`` with one colluder, the last client, up to the end of phase 2."""

    def __init__(self, count: int, group_size: int) -> None:
        params: RoundParams = replace(PARAMS, group_size=group_size, colluders=1, challenge_rows=0)
        self.kit = Deployment(count, 4, params, replace(POLICY, min_group=1))
        self.everybody = frozenset(self.kit.everybody)
        self.colluder = ClientId(count - 1)
        self.honest = tuple(c for c in self.kit.everybody if c != self.colluder)
        self.played = play(self.kit)  # the same secrets, played once without malice
        self.told: dict[tuple[ClientId, type[ServerMessage]], ServerMessage] = {
            (client, type(message)): message for client, message in self.played.told
        }
        progress = self.played.progress
        self.groups = progress.groups
        self.threshold = self.played.server.context.topology.shares
        self.quorum = self.played.server.context.topology.quorum(count)
        self.floor = max(params.smallest_group(), 1)

    @cached_property
    def transcript(self) -> bytes:
        return self.played.server.context.transcript

    def upload_list(self, uploaded: Clients) -> UploadList:
        whole = self.told[self.honest[0], UploadList]
        assert isinstance(whole, UploadList)
        return UploadList({c: whole.digests[c] for c in sorted(uploaded)}, whole.randomness)

    def view(self, uploaded: Clients) -> bytes:
        told, progress = self.upload_list(uploaded), self.played.progress
        assert progress.plan is not None
        return view_digest(
            self.played.server.context.transcript, progress.keys, progress.dealt, told.randomness,
            progress.groups, told.digests, progress.plan.digest(),
        )  # fmt: skip

    @cache  # noqa: B019 - a cohort lives as long as its test
    def answers(self, client: ClientId, shown: History) -> Answers:
        """A fresh machine through ``shown``; the colluder signs whatever helps."""
        machine = self.kit.machine(client)
        said = self._up_to_upload(machine, client)
        said += _tell(machine, self.upload_list(shown.uploaded))
        statistics = any(isinstance(m, MaskedStatistics) and m.payload for m in said)
        if shown.sent is None or not statistics:
            return Answers(statistics)
        view = self.view(shown.uploaded)
        signatures = {
            c: self.kit.keys[c].sign(Tag.VIEW_SIGNATURE, self.transcript, view)
            for c in sorted(shown.sent)
        }
        said = _tell(machine, StatisticsList(signatures))
        opened = next((m.shares for m in said if isinstance(m, StatisticsShares)), None)
        if opened is None:
            return Answers(statistics)
        found = Answers(statistics, frozenset(opened.self_seeds), frozenset(opened.mask_keys))
        if shown.accepted is None:
            return found
        said = _tell(machine, AcceptedSet(tuple(sorted(shown.accepted))))
        found = replace(found, signed=any(isinstance(m, Agreement) for m in said))
        if shown.signers is None or not found.signed:
            return found
        parts = agreement_parts(
            self.played.server.context.transcript,
            view,
            shown.sent,
            shown.accepted,  # type: ignore[arg-type]
        )
        agreed = {c: self.kit.keys[c].sign(Tag.AGREEMENT, *parts) for c in sorted(shown.signers)}
        said = _tell(machine, AgreementList(agreed))
        total = next((m.shares for m in said if isinstance(m, UpdateShares)), None)
        if total is None:
            return found
        return replace(
            found,
            update_seeds=frozenset(total.self_seeds),
            update_keys=frozenset(total.mask_keys),
        )

    def _up_to_upload(self, machine: ClientMachine, client: ClientId) -> list[ClientMessage]:
        said: list[ClientMessage] = []
        for kind in (RoundStart, KeyList, ShareDelivery):
            said += _tell(machine, self.told[client, kind])
            if kind is RoundStart:
                update = self.kit.updates()[client]
                said += _replies(machine.on_update(update, rounding(client)))
        return said

    # What follows from a profile ----------------------------------------------------------------

    def knowledge(self, profile: dict[ClientId, History]) -> Knowledge:
        """What the server and the colluder hold after everybody's answers."""
        answers = {c: self.answers(c, shown) for c, shown in profile.items()}
        groups = {c: frozenset(group) for group in self.groups for c in group}

        def restored(opened: list[Clients]) -> Clients:
            enough = self.threshold - 1  # the colluder is a holder too
            found = {c for c in self.everybody if sum(c in o for o in opened) >= enough}
            return frozenset(found | {self.colluder})

        said = answers.values()
        return Knowledge(
            frozenset(
                (c, profile[c].uploaded & groups[c]) for c in profile if answers[c].statistics
            ),
            restored([a.statistics_seeds for a in said]),
            restored([a.statistics_keys for a in said]),
            restored([a.update_seeds for a in said]),
            restored([a.update_keys for a in said]),
        )

    @cache  # noqa: B019 - a cohort lives as long as its test
    def derivable(self, known: Knowledge) -> tuple[Vector, ...]:
        """Combinations of plain statistics; uploads count through P."""
        rows = [_masked("u", client, peers) for client, peers in sorted(known.statistics)]
        rows += self._streams("u", known.statistics_seeds, known.statistics_keys)
        return tuple(without_masks([*rows, *self._update_rows(known)]))

    @cache  # noqa: B019
    def derivable_updates(self, known: Knowledge) -> tuple[Vector, ...]:
        """Combinations of whole updates."""
        return tuple(without_masks(self._update_rows(known)))

    def _update_rows(self, known: Knowledge) -> list[Vector]:
        rows = [_masked("x", client, self.everybody) for client in self.honest]
        return [*rows, *self._streams("x", known.update_seeds, known.update_keys)]

    def _streams(self, name: str, seeds: Clients, keys: Clients) -> Iterator[Vector]:
        yield from ({("self", name, c): 1} for c in sorted(seeds))
        for low, high in combinations(sorted(self.everybody), 2):
            if {low, high} & keys:
                yield {("mask", name, low, high): 1}

    def within(self, derived: Iterable[Vector], sums: Iterable[Clients]) -> bool:
        """Whether ``derived`` follows from ``sums`` and from what the colluder put in itself."""
        allowed: list[Vector] = [{("input", c): 1 for c in clients} for clients in sums]
        return spans([*allowed, {("input", self.colluder): 1}], list(derived))


def _masked(name: str, client: ClientId, peers: Iterable[ClientId]) -> Vector:
    row: Vector = {("input", client): 1, ("self", name, client): 1}
    for peer in peers:
        if peer != client:
            low, high = sorted((client, peer))
            row["mask", name, low, high] = 1 if client < peer else FIELD - 1
    return row


def subsets(clients: Clients, at_least: int) -> list[Clients]:
    sizes = range(at_least, len(clients) + 1)
    return [
        frozenset(chosen)
        for chosen in chain.from_iterable(combinations(sorted(clients), k) for k in sizes)
    ]


def _tell(machine: ClientMachine, message: ServerMessage) -> list[ClientMessage]:
    return _replies(machine.on_message(message))


def _replies(effects: list[object]) -> list[ClientMessage]:  # type: ignore[type-arg]
    return [effect.message for effect in effects if isinstance(effect, Reply)]
