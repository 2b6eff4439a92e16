"""What a lying server and its colluders know when every client was told something else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar, cast

from knowledge import Observer, spans
from rounds_kit import Played

from auror.ids import ClientId, Digest
from auror.round.lists import ShownKeys, digests_root
from auror.round.messages import (
    AdvertisedKeys,
    ClientMessage,
    DealerList,
    DealtShares,
    KeyList,
    MaskedStatistics,
    RandomnessList,
    ServerMessage,
    Upload,
    UploadList,
)
from auror.round.public import (
    Groups,
    draw_groups,
    protocol_seed,
    uploads_digest,
    view_digest,
)
from auror.round.server.p0_advertise import wire
from auror.secagg.graph import Graph

Clients = frozenset[ClientId]
M = TypeVar("M", bound=ClientMessage)
L = TypeVar("L", bound=ServerMessage)
VICTIM = ClientId(0)


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
        return wire(facts, keys).graph

    def dealt_to(self, owner: ClientId) -> Clients:
        dealing = self.heard(DealtShares).get(owner)
        return frozenset() if dealing is None else frozenset(dealing.share_commitments)

    def masked_against(self, client: ClientId) -> tuple[ClientId, ...]:
        return self.graph.among(client, frozenset(self.shown(client, DealerList).dealers))

    def company(self, client: ClientId) -> tuple[tuple[ClientId, ...], Digest]:
        return self.companies[client]

    def _company(self, client: ClientId) -> tuple[tuple[ClientId, ...], Digest]:
        facts, listed = self.context, self.shown(client, UploadList)
        keys = ShownKeys.of(self.shown(client, KeyList), facts.committee).digest
        root = digests_root(listed, client, self.heard(Upload)[client].digest)
        dealers = self.shown(client, DealerList).dealers
        statement = uploads_digest(facts.transcript, keys, dealers, listed.uploaded, root)
        told = self.shown(client, RandomnessList).randomness
        groups, view = self.draw(statement, frozenset(listed.uploaded), told)
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
