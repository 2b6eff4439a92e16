"""A server that tells every client whatever it likes, and colluders who sign whatever helps it.

``Told`` is what the server and the colluders know when clients were told different things: what was
said, and what the colluders hold. ``Hostile`` says those things to the real machines, phase by
phase. It obeys no server's machine, so nobody is dropped: a client that does not refuse goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from rounds_kit import Deployment, answer, rounding
from told import Clients, Told

from auror.crypto.tags import Tag
from auror.errors import Refusal
from auror.ids import ClientId, Digest
from auror.round.arithmetic import check_round
from auror.round.client.state import GaveUp, Reply
from auror.round.lists import AllDigests
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
    protocol_seed,
    uploads_digest,
)
from auror.round.server import p0_advertise
from auror.round.server.context import RoundContext
from auror.round.server.p0_advertise import Wired, wire
from auror.secagg.instance import SecretKind


@dataclass(frozen=True)
class Lists:
    """What one client is told up to U3, and so what it signs in phase 3a."""

    advertised: Clients
    dealers: Clients
    uploaded: Clients


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
            wired = wire(self.context, {c: advertised[c] for c in of})
            self.tell(client, p0_advertise.tell(wired, [client])[client])
        graph, dealt = self.graph, self.heard(DealtShares)
        for client in sorted(dealt):
            offered = frozenset(self.shown(client, KeyList).advertised) & frozenset(dealt)
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

    def upload_list(
        self, client: ClientId, uploaded: Clients, forged: Mapping[ClientId, Digest] | None = None
    ) -> UploadList:
        """For ``client``; ``forged``: digests that are not those of what was uploaded."""
        if client not in uploaded:
            return UploadList(tuple(sorted(uploaded)), ())
        return AllDigests({**self.digests(uploaded), **(forged or {})}).list_for(client)

    def digests(self, uploaded: Clients) -> dict[ClientId, Digest]:
        uploads = self.heard(Upload)
        return {c: uploads[c].digest for c in sorted(uploaded)}

    def lists(self, client: ClientId, uploaded: Clients) -> Lists:
        """``client``'s own lists, were it told this U3."""
        advertised = frozenset(self.shown(client, KeyList).advertised)
        return Lists(advertised, frozenset(self.shown(client, DealerList).dealers), uploaded)

    def signed(self, client: ClientId) -> Lists:
        """``client``'s own lists, with the U3 that it was told."""
        return self.lists(client, frozenset(self.shown(client, UploadList).uploaded))

    def _statement(self, lists: Lists) -> Digest:
        """What a client with these lists signs in phase 3a."""
        root = AllDigests(self.digests(lists.uploaded)).root
        keys = self.wired(lists.advertised).listed.digest
        return uploads_digest(self.transcript, keys, lists.dealers, lists.uploaded, root)

    def wired(self, advertised: Clients) -> Wired:
        """U1 with true keys, and its graph."""
        known = self.heard(AdvertisedKeys)
        return wire(self.context, {c: known[c] for c in advertised})

    def show_uploads(self, client: ClientId, uploaded: Clients) -> Consistency | None:
        """Tell ``client`` this U3."""
        reply = self.tell(client, self.upload_list(client, uploaded))
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
        of = self.committee & (self.everybody if dealers is None else dealers)
        return all(self.knows(dealer, SecretKind.RANDOMNESS) for dealer in of)

    def randomness(self, dealers: Clients) -> dict[ClientId, bytes]:
        return {c: self.secrets[c] for c in sorted(dealers & self.committee)}

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
        """Tell it every r that it expects, and keys of its group: both follow from its lists."""
        told = RandomnessList(self.randomness(frozenset(self.shown(client, DealerList).dealers)))
        if not self.graph.is_complete:
            lists, listed = self.signed(client), self.shown(client, KeyList)
            (group,) = (g for g in self.groups(lists) if client in g)
            keys, proof = self.wired(lists.advertised).listed.show({*group} - listed.keys.keys())
            told = RandomnessList(told.randomness, keys, proof)
        reply = self.tell(client, told)
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
