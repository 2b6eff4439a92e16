"""A server that tells every client whatever it likes, and colluders who sign whatever helps it.

``Told`` is what the server and the colluders know when clients were told different things: what was
said, and what the colluders hold. ``Hostile`` says those things to the real machines, phase by
phase. It obeys no server's machine, so nobody is dropped: a client that does not refuse goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar, cast

from knowledge import Observer, spans
from rounds_kit import Deployment, Played, answer, rounding

from auror.crypto.tags import Tag
from auror.errors import Refusal
from auror.ids import ClientId, Digest
from auror.round.arithmetic import check_round
from auror.round.client.state import GaveUp, Reply
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
    draw_graph,
    draw_groups,
    protocol_seed,
    uploads_digest,
    view_digest,
)
from auror.round.server.context import RoundContext
from auror.secagg.graph import Graph
from auror.secagg.instance import SecretKind

Clients = frozenset[ClientId]
M = TypeVar("M", bound=ClientMessage)
L = TypeVar("L", bound=ServerMessage)
VICTIM = ClientId(0)


@dataclass(frozen=True)
class Lists:
    """What one client is told up to U3, and so what it signs in phase 3a."""

    advertised: Clients
    dealers: Clients
    uploaded: Clients


@dataclass
class Told(Observer):
    """What they know when every client masked against the lists that it was told itself.

    Uploads and statistics of colluders are left out: these hold nothing new but themselves.
    """

    told: dict[tuple[ClientId, type[ServerMessage]], ServerMessage] = field(default_factory=dict)
    """The last message of a kind to each client."""
    said: dict[tuple[ClientId, type[ClientMessage]], ClientMessage] = field(default_factory=dict)
    """The last message of a kind from each client."""
    companies: dict[ClientId, tuple[tuple[ClientId, ...], Digest]] = field(default_factory=dict)
    """Of whoever sent statistics: the group that it drew itself, and its h."""

    @classmethod
    def after(cls, played: Played, colluders: Clients = frozenset()) -> Told:
        """After a round with a server that is real, whatever the network made of its messages."""
        seen = cls(played.server.context, colluders)
        seen.add(played.told, played.replies)
        return seen

    def add(
        self,
        told: Iterable[tuple[ClientId, ServerMessage]],
        replies: Iterable[tuple[ClientId, ClientMessage]],
    ) -> None:
        """More of the same round."""
        self.told |= {(client, type(message)): message for client, message in told}
        for client, said in replies:
            self.hear(client, said)

    def hear(self, sender: ClientId, message: ClientMessage) -> None:
        self.said[sender, type(message)] = message
        if sender in self.colluders and isinstance(message, Upload | MaskedStatistics):
            return
        super().hear(sender, message)
        if sender in self.sent and sender not in self.companies:
            self.companies[sender] = self._company(sender)

    def heard(self, kind: type[M]) -> dict[ClientId, M]:
        """Everybody's last message of this kind."""
        return {c: cast(M, m) for (c, said), m in sorted(self.said.items(), key=lambda x: x[0][0])
                if said is kind}  # fmt: skip

    def shown(self, client: ClientId, kind: type[L]) -> L:
        """The list of this kind that it was told."""
        return cast(L, self.told[client, kind])

    @property
    def graph(self) -> Graph:
        facts = self.context
        keys = self.heard(AdvertisedKeys)
        return draw_graph(facts.topology, facts.transcript, facts.description.cohort, keys)

    def dealt_to(self, owner: ClientId) -> Clients:
        dealing = self.heard(DealtShares).get(owner)
        return frozenset() if dealing is None else frozenset(dealing.share_commitments)

    def masked_against(self, client: ClientId) -> tuple[ClientId, ...]:
        return self.graph.among(client, frozenset(self.shown(client, DealerList).dealers))

    def company(self, client: ClientId) -> tuple[tuple[ClientId, ...], Digest]:
        return self.companies[client]

    def _company(self, client: ClientId) -> tuple[tuple[ClientId, ...], Digest]:
        keys, digests = self.shown(client, KeyList).keys, self.shown(client, UploadList).digests
        dealers = self.shown(client, DealerList).dealers
        statement = uploads_digest(self.context.transcript, keys, dealers, digests)
        told = self.shown(client, RandomnessList).randomness
        groups, view = self.draw(statement, frozenset(digests), told)
        (own,) = (group for group in groups if client in group)
        return own, view

    def draw(
        self, statement: Digest, uploaded: Clients, randomness: Mapping[ClientId, bytes]
    ) -> tuple[Groups, Digest]:
        """The groups, and h, for whoever signed ``statement`` and knows every r."""
        facts, ordered = self.context, tuple(sorted(uploaded))
        seed = protocol_seed(facts.transcript, ordered, randomness)
        groups = draw_groups(seed, ordered, facts.params.group_size)
        plan = facts.plan.with_challenge(seed, facts.params.challenge_rows)
        return groups, view_digest(statement, randomness, groups, plan.digest())

    def whole_groups(self) -> list[tuple[ClientId, ...]]:
        """Groups all of whose honest members sent statistics in this very company."""
        return sorted(
            {
                group
                for group, view in self.companies.values()
                if all(c in self.colluders or self.companies.get(c) == (group, view) for c in group)
            }
        )

    def stands_alone(self, client: ClientId) -> bool:
        """Whether its update or its statistics can be derived."""
        alone = [{("input", client): 1}]
        return spans(self.about_updates(), alone) or spans(self.about_statistics(), alone)


class Hostile(Told):
    """One round of ``kit`` in which the server lies; nothing is sent but by ``tell``."""

    def __init__(self, kit: Deployment, colluders: Clients = frozenset()) -> None:
        start = kit.start()
        description = start.description
        self.topology = check_round(kit.params, len(description.cohort))
        super().__init__(
            RoundContext.open(
                description, kit.policy, start.plan, self.topology, {}, protocol_seed
            ),
            colluders,
        )
        self.everybody: Clients = frozenset(description.cohort)
        self.honest = tuple(sorted(self.everybody - colluders))
        self.transcript, self.committee = self.context.transcript, self.context.committee
        self.kit, self.start = kit, start
        self.machines, self.updates = kit.machines(), kit.updates()
        self.refused: dict[ClientId, Refusal] = {}
        self.agreed: dict[ClientId, Clients] = {}
        """Who took which A."""
        self.secrets: dict[ClientId, bytes] = {}
        """Everybody's r, from the machines themselves; ``knows_draw`` says if the server could."""
        self.statement = cache(self._statement)
        self.drawn = cache(self._drawn)

    # Carrying messages --------------------------------------------------------------------------

    def tell(self, client: ClientId, message: ServerMessage) -> ClientMessage | None:
        """What ``client`` answers; None: nothing, or it refuses."""
        self.told[client, type(message)] = message
        machine, update = self.machines[client], self.updates[client]
        effects = answer(machine, message, update, rounding(client))
        for effect in effects:
            if isinstance(effect, GaveUp):
                self.refused.setdefault(client, effect.refusal)
        replies = [e.message for e in effects if isinstance(e, Reply)]
        refused = any(isinstance(e, GaveUp) for e in effects)
        for reply in replies:
            self.hear(client, reply)
        return replies[-1] if replies and not refused else None

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
            self.tell(client, KeyList({c: advertised[c] for c in sorted(of)}))
        graph, dealt = self.graph, self.heard(DealtShares)
        for client in sorted(dealt):
            offered = frozenset(self.shown(client, KeyList).keys) & frozenset(dealt)
            envelopes = {
                dealer: Envelope(
                    dealt[dealer].ciphertexts[client], dealt[dealer].share_commitments[client]
                )
                for dealer in graph.among(client, offered)
                if client in dealt[dealer].ciphertexts
            }
            self.tell(client, ShareDelivery(tuple(sorted(offered)), envelopes))
        for client in sorted(self.heard(Receipt)):
            offered = frozenset(self.shown(client, ShareDelivery).dealers)
            final = offered if dealers is None else offered & dealers(client)
            self.tell(client, DealerList(tuple(sorted(final))))

    # Phases 3a and 3b ---------------------------------------------------------------------------

    def upload_list(self, uploaded: Clients) -> UploadList:
        uploads = self.heard(Upload)
        return UploadList({c: uploads[c].digest for c in sorted(uploaded)})

    def lists(self, client: ClientId, uploaded: Clients) -> Lists:
        """``client``'s own lists, were it told this U3."""
        advertised = frozenset(self.shown(client, KeyList).keys)
        return Lists(advertised, frozenset(self.shown(client, DealerList).dealers), uploaded)

    def signed(self, client: ClientId) -> Lists:
        """``client``'s own lists, with the U3 that it was told."""
        return self.lists(client, frozenset(self.shown(client, UploadList).digests))

    def _statement(self, lists: Lists) -> Digest:
        """What a client with these lists signs in phase 3a."""
        digests = self.upload_list(lists.uploaded).digests
        advertised = self.heard(AdvertisedKeys)
        keys = {c: advertised[c] for c in lists.advertised}
        return uploads_digest(self.transcript, keys, tuple(sorted(lists.dealers)), digests)

    def show_uploads(self, client: ClientId, uploaded: Clients) -> Consistency | None:
        """Tell ``client`` this U3."""
        reply = self.tell(client, self.upload_list(uploaded))
        return reply if isinstance(reply, Consistency) else None

    def signed_uploads(self, lists: Lists) -> dict[ClientId, bytes]:
        """Every signature on ``lists`` that exists or that a colluder makes."""
        statement = self.statement(lists)
        found = {
            c: said.signature
            for c, said in self.heard(Consistency).items()
            if self.statement(self.signed(c)) == statement
        }
        return {**found, **self.by_colluders(Tag.CONSISTENCY, statement)}

    def by_colluders(self, tag: Tag, *parts: bytes) -> dict[ClientId, bytes]:
        return {c: self.kit.keys[c].sign(tag, *parts) for c in sorted(self.colluders)}

    def show_signatures(
        self, client: ClientId, signatures: Mapping[ClientId, bytes] | None = None
    ) -> RandomnessShares | None:
        """By default the best that the server has on this client's own U3."""
        if signatures is None:
            signatures = self.signed_uploads(self.signed(client))
        reply = self.tell(client, ConsistencyList(signatures))
        return reply if isinstance(reply, RandomnessShares) else None

    def knows_draw(self, dealers: Clients | None = None) -> bool:
        """Whether the shares of r in the server's and the colluders' hands restore them all."""
        of = self.everybody if dealers is None else dealers
        return all(self.knows(dealer, SecretKind.RANDOMNESS) for dealer in of)

    def randomness(self, dealers: Clients) -> dict[ClientId, bytes]:
        return {c: self.secrets[c] for c in sorted(dealers)}

    def groups(self, lists: Lists) -> Groups:
        """The groups that a client with these lists draws once it knows every r."""
        return self.drawn(lists)[0]

    def view(self, lists: Lists) -> Digest:
        """Its h."""
        return self.drawn(lists)[1]

    def _drawn(self, lists: Lists) -> tuple[Groups, Digest]:
        return self.draw(self.statement(lists), lists.uploaded, self.randomness(lists.dealers))

    # Phases 4 to 6 ------------------------------------------------------------------------------

    def show_draw(self, client: ClientId) -> MaskedStatistics | None:
        """Tell it every r that it expects: the groups follow from its own lists."""
        dealers = frozenset(self.shown(client, DealerList).dealers)
        reply = self.tell(client, RandomnessList(self.randomness(dealers)))
        return reply if isinstance(reply, MaskedStatistics) else None

    def show_accepted(self, client: ClientId, accepted: Clients) -> Agreement | None:
        """With every signature on this client's h that exists or that a colluder makes, and
        garbage for the rest."""
        view = self.view(self.signed(client))
        signatures = self.by_colluders(Tag.VIEW_SIGNATURE, view)
        for peer, said in self.heard(MaskedStatistics).items():
            if self.company(peer)[1] == view:
                signatures[peer] = said.signature
        filled = {c: signatures.get(c, bytes(64)) for c in sorted(accepted)}
        reply = self.tell(client, AcceptedSet(tuple(sorted(accepted)), filled))
        if isinstance(reply, Agreement) or client not in self.refused:
            self.agreed[client] = accepted
        return reply if isinstance(reply, Agreement) else None

    def show_agreement(self, client: ClientId) -> UpdateShares | None:
        """With every signature on this client's (h, A) that exists or that a colluder makes."""
        view, accepted = self.view(self.signed(client)), self.agreed[client]
        parts = agreement_parts(self.transcript, view, accepted)
        signatures = self.by_colluders(Tag.AGREEMENT, *parts)
        for peer, said in self.heard(Agreement).items():
            if self.agreed.get(peer) == accepted and self.company(peer)[1] == view:
                signatures[peer] = said.signature
        reply = self.tell(client, AgreementList(signatures))
        return reply if isinstance(reply, UpdateShares) else None
