"""A server that tells every client whatever it likes, and colluders who sign whatever helps it.

The honest clients are the real machines. Nothing here obeys the server's machine, so nobody is
dropped: a client that does not refuse goes on. What a test may use as the server's knowledge is
what was said (``said``) and what the colluders hold; ``Seen`` is the linear algebra of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar, cast

from knowledge import Vector, masked_statistics, masked_update, masks_of, without_masks
from rounds_kit import MEANS, Deployment, rounding

from auror.crypto.tags import Tag
from auror.errors import Refusal
from auror.ids import ClientId, Digest
from auror.round.arithmetic import check_round
from auror.round.client.state import GaveUp, Reply, Train
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
    Envelope,
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
from auror.round.public import (
    Groups,
    agreement_parts,
    draw_committee,
    draw_graph,
    draw_groups,
    protocol_seed,
    uploads_digest,
    view_digest,
)
from auror.secagg.graph import Graph
from auror.secagg.instance import SecretKind

Clients = frozenset[ClientId]
M = TypeVar("M", bound=ClientMessage)


@dataclass(frozen=True)
class Lists:
    """What one client is told up to U3, and so what it signs in phase 3a."""

    advertised: Clients
    dealers: Clients
    uploaded: Clients


@dataclass
class Hostile:
    """One round of ``kit`` in which the server lies; nothing is sent but by ``tell``."""

    kit: Deployment
    colluders: Clients = frozenset()
    said: dict[tuple[ClientId, type[ClientMessage]], ClientMessage] = field(default_factory=dict)
    """The last message of a kind from each client."""
    refused: dict[ClientId, Refusal] = field(default_factory=dict)
    shown: dict[ClientId, Lists] = field(default_factory=dict)
    """What the honest were told before their upload; ``uploaded`` once they were told U3."""
    company: dict[ClientId, tuple[tuple[ClientId, ...], Digest]] = field(default_factory=dict)
    """Of whoever sent statistics: the group that it drew itself, and its h."""
    agreed: dict[ClientId, Clients] = field(default_factory=dict)
    """Who took which A."""
    secrets: dict[ClientId, bytes] = field(default_factory=dict)
    """Everybody's r, from the machines themselves; ``knows_draw`` says if the server could."""

    def __post_init__(self) -> None:
        start = self.kit.start()
        self.everybody: Clients = frozenset(start.description.cohort)
        self.honest = tuple(sorted(self.everybody - self.colluders))
        self.transcript = start.description.transcript()
        self.topology = check_round(self.kit.params, len(self.everybody))
        self.committee = draw_committee(self.transcript, start.description.cohort, self.topology)
        self.start, self.machines, self.updates = start, self.kit.machines(), self.kit.updates()
        self.graph: Graph | None = None
        self.statement = cache(self._statement)
        self.groups = cache(self._groups)
        self.view = cache(self._view)

    # Carrying messages --------------------------------------------------------------------------

    def tell(self, client: ClientId, message: ServerMessage) -> ClientMessage | None:
        """What ``client`` answers; None: nothing, or it refuses."""
        machine = self.machines[client]
        effects = machine.on_message(message)
        if any(isinstance(e, Train) for e in effects):
            effects = effects + machine.on_update(self.updates[client], rounding(client), MEANS)
        for effect in effects:
            if isinstance(effect, GaveUp):
                self.refused.setdefault(client, effect.refusal)
        replies = [e.message for e in effects if isinstance(e, Reply)]
        refused = any(isinstance(e, GaveUp) for e in effects)
        for reply in replies:
            self.said[client, type(reply)] = reply
        return replies[-1] if replies and not refused else None

    def heard(self, kind: type[M]) -> dict[ClientId, M]:
        """Everybody's last message of this kind."""
        return {c: cast(M, m) for (c, said), m in sorted(self.said.items(), key=lambda x: x[0][0])
                if said is kind}  # fmt: skip

    # Phases 0 to 2 ------------------------------------------------------------------------------

    def upload(
        self,
        keys: Callable[[ClientId], Clients] | None = None,
        dealers: Callable[[ClientId], Clients] | None = None,
    ) -> None:
        """Up to the uploads. ``keys``, ``dealers``: the U1 and U2 that each client is told."""
        for client in sorted(self.everybody):
            self.tell(client, self.start)
            state: Any = self.machines[client]._state
            self.secrets[client] = state.secrets.randomness.reveal()
        advertised = self.heard(AdvertisedKeys)
        for client in sorted(self.everybody):
            of = self.everybody if keys is None else keys(client)
            self.shown[client] = Lists(of, of, of)
            self.tell(client, KeyList({c: advertised[c] for c in sorted(of)}))
        self.graph = draw_graph(
            self.topology, self.transcript, self.start.description.cohort, advertised
        )
        dealt = self.heard(DealtShares)
        for client in sorted(dealt):
            offered = self.shown[client].advertised & frozenset(dealt)
            envelopes = {
                dealer: Envelope(
                    dealt[dealer].ciphertexts[client], dealt[dealer].share_commitments[client]
                )
                for dealer in self.graph.among(client, offered)
                if client in dealt[dealer].ciphertexts
            }
            self.tell(client, ShareDelivery(tuple(sorted(offered)), envelopes))
        for client in sorted(self.heard(Receipt)):
            offered = self.shown[client].advertised & frozenset(dealt)
            final = offered if dealers is None else offered & dealers(client)
            self.shown[client] = Lists(self.shown[client].advertised, final, final)
            self.tell(client, DealerList(tuple(sorted(final))))

    # Phases 3a and 3b ---------------------------------------------------------------------------

    def upload_list(self, uploaded: Clients) -> UploadList:
        uploads = self.heard(Upload)
        return UploadList({c: uploads[c].digest for c in sorted(uploaded)})

    def lists(self, client: ClientId, uploaded: Clients) -> Lists:
        """``client``'s own lists, were it told this U3."""
        before = self.shown[client]
        return Lists(before.advertised, before.dealers, uploaded)

    def _statement(self, lists: Lists) -> Digest:
        """What a client with these lists signs in phase 3a."""
        digests = self.upload_list(lists.uploaded).digests
        advertised = self.heard(AdvertisedKeys)
        keys = {c: advertised[c] for c in lists.advertised}
        return uploads_digest(self.transcript, keys, tuple(sorted(lists.dealers)), digests)

    def show_uploads(self, client: ClientId, uploaded: Clients) -> Consistency | None:
        """Tell ``client`` this U3."""
        self.shown[client] = self.lists(client, uploaded)
        reply = self.tell(client, self.upload_list(uploaded))
        return reply if isinstance(reply, Consistency) else None

    def signed_uploads(self, lists: Lists) -> dict[ClientId, bytes]:
        """Every signature on ``lists`` that exists or that a colluder makes."""
        statement = self.statement(lists)
        found = {
            c: said.signature
            for c, said in self.heard(Consistency).items()
            if self.statement(self.shown[c]) == statement
        }
        return {**found, **self.by_colluders(Tag.CONSISTENCY, statement)}

    def by_colluders(self, tag: Tag, *parts: bytes) -> dict[ClientId, bytes]:
        return {c: self.kit.keys[c].sign(tag, *parts) for c in sorted(self.colluders)}

    def show_signatures(
        self, client: ClientId, signatures: Mapping[ClientId, bytes] | None = None
    ) -> RandomnessShares | None:
        """By default the best that the server has on this client's own U3."""
        if signatures is None:
            signatures = self.signed_uploads(self.shown[client])
        reply = self.tell(client, ConsistencyList(signatures))
        return reply if isinstance(reply, RandomnessShares) else None

    def knows_draw(self, dealers: Clients | None = None) -> bool:
        """Whether the shares of r in the server's and the colluders' hands restore them all."""
        of = self.everybody if dealers is None else dealers
        return all(self.knows(dealer, SecretKind.RANDOMNESS) for dealer in of)

    def knows(self, owner: ClientId, kind: SecretKind) -> bool:
        """Whether its owner colludes, or t of its holders gave their shares or collude."""
        if owner in self.colluders:
            return True
        dealing = self.heard(DealtShares).get(owner)
        if dealing is None:
            return False
        holders = self.colluders & dealing.share_commitments.keys()
        return len(holders | self._given(owner, kind)) >= self.topology.shares

    def _given(self, owner: ClientId, kind: SecretKind) -> Clients:
        if kind is SecretKind.RANDOMNESS:
            return frozenset(
                c for c, m in self.heard(RandomnessShares).items() if owner in m.shares
            )
        return frozenset(
            c
            for c, m in self.heard(UpdateShares).items()
            if owner
            in (m.shares.self_seeds if kind is SecretKind.SELF_SEED else m.shares.mask_keys)
        )

    def randomness(self, dealers: Clients) -> dict[ClientId, bytes]:
        return {c: self.secrets[c] for c in sorted(dealers)}

    def _groups(self, lists: Lists) -> Groups:
        """The groups that a client with these lists draws once it knows every r."""
        seed = protocol_seed(
            self.transcript, tuple(sorted(lists.uploaded)), self.randomness(lists.dealers)
        )
        return draw_groups(seed, tuple(sorted(lists.uploaded)), self.kit.params.group_size)

    def _view(self, lists: Lists) -> Digest:
        """Its h."""
        uploaded, randomness = tuple(sorted(lists.uploaded)), self.randomness(lists.dealers)
        seed = protocol_seed(self.transcript, uploaded, randomness)
        plan = self.start.plan.with_challenge(seed, self.kit.params.challenge_rows)
        return view_digest(self.statement(lists), randomness, self.groups(lists), plan.digest())

    # Phases 4 to 6 ------------------------------------------------------------------------------

    def show_draw(self, client: ClientId) -> MaskedStatistics | None:
        """Tell it every r that it expects: the groups follow from its own lists."""
        lists = self.shown[client]
        reply = self.tell(client, RandomnessList(self.randomness(lists.dealers)))
        if not isinstance(reply, MaskedStatistics):
            return None
        (group,) = (g for g in self.groups(lists) if client in g)
        self.company[client] = group, self.view(lists)
        return reply

    def show_accepted(self, client: ClientId, accepted: Clients) -> Agreement | None:
        """With every signature on this client's h that exists or that a colluder makes, and
        garbage for the rest."""
        view = self.view(self.shown[client])
        signatures = self.by_colluders(Tag.VIEW_SIGNATURE, view)
        for peer, said in self.heard(MaskedStatistics).items():
            if peer in self.company and self.company[peer][1] == view:
                signatures[peer] = said.signature
        filled = {c: signatures.get(c, bytes(64)) for c in sorted(accepted)}
        reply = self.tell(client, AcceptedSet(tuple(sorted(accepted)), filled))
        if isinstance(reply, Agreement) or client not in self.refused:
            self.agreed[client] = accepted
        return reply if isinstance(reply, Agreement) else None

    def show_agreement(self, client: ClientId) -> UpdateShares | None:
        """With every signature on this client's (h, A) that exists or that a colluder makes."""
        view, accepted = self.view(self.shown[client]), self.agreed[client]
        parts = agreement_parts(self.transcript, view, accepted)
        signatures = self.by_colluders(Tag.AGREEMENT, *parts)
        for peer, said in self.heard(Agreement).items():
            if self.agreed.get(peer) == accepted and self.company[peer][1] == view:
                signatures[peer] = said.signature
        reply = self.tell(client, AgreementList(signatures))
        return reply if isinstance(reply, UpdateShares) else None

    # What follows -------------------------------------------------------------------------------

    def update_rows(self) -> list[Vector]:
        """Masked uploads of the honest, each against the U2 it was told, and known masks."""
        graph, rows = self.graph, list[Vector]()
        assert graph is not None
        for client in self.heard(Upload):
            if client not in self.colluders:
                peers = graph.among(client, self.shown[client].dealers)
                rows.append(masked_update(client, peers))
        rows += [{("self", "x", c): 1} for c in self.honest if self.knows(c, SecretKind.SELF_SEED)]
        keys = {c for c in self.everybody if self.knows(c, SecretKind.MASK_KEY)}
        return [*rows, *masks_of(frozenset(keys), rows)]

    def statistics_rows(self) -> list[Vector]:
        """Masked statistics of the honest, each in the company that it saw itself."""
        rows = [
            masked_statistics(c, *self.company[c]) for c in self.company if c not in self.colluders
        ]
        return [*rows, *masks_of(self.colluders, rows)]

    def about_updates(self) -> list[Vector]:
        return without_masks(self.update_rows())

    def about_statistics(self) -> list[Vector]:
        """Uploads count through P as well."""
        return without_masks([*self.update_rows(), *self.statistics_rows()])

    def allowed(self, sums: Iterable[Iterable[ClientId]]) -> list[Vector]:
        """Sums over clients, and what colluders put in themselves."""
        rows: list[Vector] = [{("input", c): 1 for c in members} for members in sums]
        return rows + [{("input", c): 1} for c in sorted(self.colluders)]

    def whole_groups(self) -> list[tuple[ClientId, ...]]:
        """Groups all of whose honest members sent statistics in this very company."""
        return sorted(
            {
                group
                for group, view in self.company.values()
                if all(c in self.colluders or self.company.get(c) == (group, view) for c in group)
            }
        )
