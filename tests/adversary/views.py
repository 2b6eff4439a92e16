"""Every way in which a malicious server can show clients different lists, on the real machines.

A client's answer depends on what it alone was shown (and on who has signed its h), so a fresh
machine is asked once per distinct history, and answers are put together for every profile of
histories. What the server and one colluder can then derive is computed as in ``knowledge``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import chain, combinations

from knowledge import Vector, masked_statistics, masked_update, masks_of, spans, without_masks
from rounds_kit import MEANS, PARAMS, Deployment, play, rounding

from auror.crypto.tags import Tag
from auror.ids import ClientId, Digest
from auror.params import RoundParams
from auror.round.client.machine import ClientMachine
from auror.round.client.state import Reply
from auror.round.lists import AllDigests
from auror.round.messages import (
    AcceptedSet,
    Agreement,
    AgreementList,
    ClientMessage,
    Consistency,
    ConsistencyList,
    DealerList,
    KeyList,
    MaskedStatistics,
    RandomnessList,
    RandomnessShares,
    RoundStart,
    ServerMessage,
    ShareDelivery,
    UpdateShares,
    UploadList,
)
from auror.round.public import (
    Groups,
    agreement_parts,
    draw_groups,
    protocol_seed,
    uploads_digest,
    view_digest,
)

Clients = frozenset[ClientId]


@dataclass(frozen=True)
class History:
    """What one client is shown after phase 2: U3, who signed it, every r, A, and who signed A."""

    uploaded: Clients
    consistent: Clients | None = None
    drawn: bool = False
    accepted: Clients | None = None
    signers: Clients | None = None


@dataclass(frozen=True)
class Answers:
    """What it reveals: a signature on U3, shares of r, statistics, owners of opened shares."""

    consistent: bool = False
    randomness: bool = False
    statistics: bool = False
    signed: bool = False
    update_seeds: Clients = frozenset()
    update_keys: Clients = frozenset()


@dataclass(frozen=True)
class Knowledge:
    """Who sent statistics masked in which group under which h, and whose secrets are restored."""

    statistics: frozenset[tuple[ClientId, tuple[ClientId, ...], Digest]]
    update_seeds: Clients
    update_keys: Clients


class Cohort:
    """A cohort of ``count`` with one colluder, the last client, up to the end of phase 2."""

    def __init__(self, count: int, group_size: int) -> None:
        params: RoundParams = replace(PARAMS, group_size=group_size, colluders=1, challenge_rows=0)
        self.kit = Deployment(count, 4, params)
        self.everybody = frozenset(self.kit.everybody)
        self.colluder = ClientId(count - 1)
        self.honest = tuple(c for c in self.kit.everybody if c != self.colluder)
        self.played = play(self.kit)  # the same secrets, played once without malice
        self.told: dict[tuple[ClientId, type[ServerMessage]], ServerMessage] = {
            (client, type(message)): message for client, message in self.played.told
        }
        self.threshold = self.played.server.context.topology.shares
        self.quorum = self.played.server.context.topology.quorum
        self.group_size = group_size

    @cached_property
    def transcript(self) -> Digest:
        return self.played.server.context.transcript

    def upload_list(self, client: ClientId, uploaded: Clients) -> UploadList:
        if client not in uploaded:
            return UploadList(tuple(sorted(uploaded)), ())
        return self.digests(uploaded).list_for(client)

    @cache  # noqa: B019 - a cohort lives as long as its test
    def digests(self, uploaded: Clients) -> AllDigests:
        known = self.played.state.uploads.digests
        return AllDigests({c: known[c] for c in sorted(uploaded)})

    @cached_property
    def randomness(self) -> RandomnessList:
        told = self.told[self.honest[0], RandomnessList]
        assert isinstance(told, RandomnessList)
        return told

    @cache  # noqa: B019 - a cohort lives as long as its test
    def statement(self, uploaded: Clients) -> Digest:
        """What is signed under this U3."""
        state, root = self.played.state, self.digests(uploaded).root
        keys = state.wired.listed.digest
        return uploads_digest(self.transcript, keys, state.dealers.dealt, uploaded, root)

    @cache  # noqa: B019
    def groups(self, uploaded: Clients) -> Groups:
        """As drawn over this U3; none if it is too small for any."""
        if len(uploaded) < self.group_size:
            return ()
        up = tuple(sorted(uploaded))
        seed = protocol_seed(self.transcript, up, self.randomness.randomness)
        return draw_groups(seed, up, self.group_size)

    def group(self, client: ClientId, uploaded: Clients) -> tuple[ClientId, ...]:
        (own,) = (group for group in self.groups(uploaded) if client in group)
        return own

    @cache  # noqa: B019
    def view(self, uploaded: Clients) -> Digest:
        """h of whoever was shown this U3 and the draw (without challenge rows)."""
        return view_digest(
            self.statement(uploaded), self.randomness.randomness, self.groups(uploaded),
            self.kit.plan.digest(),
        )  # fmt: skip

    @cache  # noqa: B019 - a cohort lives as long as its test
    def answers(self, client: ClientId, shown: History, view_signers: Clients) -> Answers:
        """A fresh machine through ``shown``; the colluder signs whatever helps, and in place of
        signatures that nobody made stands garbage. ``view_signers``: who signed this h."""
        machine = self.kit.machine(client)
        self._up_to_upload(machine, client)
        said = _tell(machine, self.upload_list(client, shown.uploaded))
        found = Answers(any(isinstance(m, Consistency) for m in said))
        if shown.consistent is None:
            return found
        signatures = self._signed(shown.consistent, Tag.CONSISTENCY, self.statement(shown.uploaded))
        said = _tell(machine, ConsistencyList(signatures))
        found = replace(found, randomness=any(isinstance(m, RandomnessShares) for m in said))
        if not shown.drawn:
            return found
        said = _tell(machine, self.randomness)
        found = replace(found, statistics=any(isinstance(m, MaskedStatistics) for m in said))
        if shown.accepted is None or not found.statistics:
            return found
        view = self.view(shown.uploaded)
        made = self._signed(view_signers, Tag.VIEW_SIGNATURE, view)
        signatures = {c: made[c] for c in sorted(shown.accepted)}
        said = _tell(machine, AcceptedSet(tuple(sorted(shown.accepted)), signatures))
        found = replace(found, signed=any(isinstance(m, Agreement) for m in said))
        if shown.signers is None or not found.signed:
            return found
        parts = agreement_parts(self.transcript, view, shown.accepted)
        agreed = self._signed(shown.signers, Tag.AGREEMENT, *parts)
        said = _tell(machine, AgreementList(agreed))
        total = next((m.shares for m in said if isinstance(m, UpdateShares)), None)
        if total is None:
            return found
        return replace(
            found,
            update_seeds=frozenset(total.self_seeds),
            update_keys=frozenset(total.mask_keys),
        )

    def _signed(self, by: Clients, tag: Tag, *parts: bytes) -> dict[ClientId, bytes]:
        return {
            c: self.kit.keys[c].sign(tag, *parts) if c in by else bytes(64)
            for c in sorted(self.everybody)
        }

    def _up_to_upload(self, machine: ClientMachine, client: ClientId) -> list[ClientMessage]:
        said: list[ClientMessage] = []
        for kind in (RoundStart, KeyList, ShareDelivery, DealerList):
            said += _tell(machine, self.told[client, kind])
            if kind is RoundStart:
                update = self.kit.updates()[client]
                said += _replies(machine.on_update(update, rounding(client), MEANS))
        return said

    # What follows from a profile ----------------------------------------------------------------

    def knowledge(self, profile: Mapping[ClientId, tuple[History, Answers]]) -> Knowledge:
        """What the server and the colluder hold after everybody's answers."""

        def restored(opened: list[Clients]) -> Clients:
            enough = self.threshold - 1  # the colluder is a holder too
            found = {c for c in self.everybody if sum(c in o for o in opened) >= enough}
            return frozenset(found | {self.colluder})

        said = [answers for _, answers in profile.values()]
        return Knowledge(
            frozenset(
                (c, self.group(c, shown.uploaded), self.view(shown.uploaded))
                for c, (shown, answers) in profile.items()
                if answers.statistics
            ),
            restored([a.update_seeds for a in said]),
            restored([a.update_keys for a in said]),
        )

    @cache  # noqa: B019 - a cohort lives as long as its test
    def derivable(self, known: Knowledge) -> tuple[Vector, ...]:
        """Combinations of plain statistics; uploads count through P."""
        rows = [masked_statistics(*sent) for sent in sorted(known.statistics)]
        rows += masks_of(frozenset({self.colluder}), rows)
        return tuple(without_masks([*rows, *self._update_rows(known)]))

    @cache  # noqa: B019
    def derivable_updates(self, known: Knowledge) -> tuple[Vector, ...]:
        """Combinations of whole updates."""
        return tuple(without_masks(self._update_rows(known)))

    def _update_rows(self, known: Knowledge) -> list[Vector]:
        rows = [masked_update(client, self.everybody) for client in self.honest]
        rows += [{("self", "x", c): 1} for c in sorted(known.update_seeds)]
        return [*rows, *masks_of(known.update_keys, rows)]

    def within(self, derived: Iterable[Vector], sums: Iterable[Clients]) -> bool:
        """Whether ``derived`` follows from ``sums`` and from what the colluder put in itself."""
        allowed: list[Vector] = [{("input", c): 1 for c in clients} for clients in sums]
        return spans([*allowed, {("input", self.colluder): 1}], list(derived))


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
