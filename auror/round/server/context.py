"""What the server's phases share, and the effects they ask a driver to carry out."""

from __future__ import annotations

import enum
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auror.errors import AbortReason, DropReason
from auror.ids import ClientId, Digest, GroupIndex
from auror.params import Floors, RoundParams
from auror.round.arithmetic import update_context
from auror.round.description import RoundDescription
from auror.round.messages import SHARED_KINDS, AdvertisedKeys, ServerMessage
from auror.round.plan import StatisticsPlan
from auror.round.policy import Policy
from auror.round.public import Groups, PublicSeed, draw_committee
from auror.round.record import Mark, OpenedGroup
from auror.round.summary import RoundSummary
from auror.secagg.graph import Graph
from auror.secagg.instance import SumContext
from auror.secagg.server.collect_shares import ShareCollector
from auror.secagg.topology import Topology

_NO_VIEW = Digest(b"")


class Phase(enum.Enum):
    """The phases of a round, in order."""

    ADVERTISE = 0
    SHARE_KEYS = 1
    RECEIPTS = 2
    UPLOAD = 3
    CONSISTENCY = 4
    DRAW = 5
    STATISTICS = 6
    AGREE = 7
    UNMASK = 8
    LOCALISE = 9
    """Only after a failed binding check."""


@dataclass
class Progress:
    """The sets of one round as they become known; the only mutable thing of the server's phases.

    U1 = ``keys``, U2 = ``dealt``, U3 = ``digests``, A = ``accepted``.
    """

    keys: dict[ClientId, AdvertisedKeys] = field(default_factory=dict)
    graph: Graph | None = None
    offered: tuple[ClientId, ...] = ()
    """Who dealt, before the receipts."""
    unreadable: dict[ClientId, frozenset[ClientId]] = field(default_factory=dict)
    """By holder: the dealers whose envelopes it cannot read, by its signed receipt."""
    dealt: tuple[ClientId, ...] = ()
    uploading: bool = False
    """U2 went out: from here on clients count an attempt at this model."""
    digests: dict[ClientId, Digest] = field(default_factory=dict)
    uploads: Digest = _NO_VIEW
    """What clients sign in phase 3a."""
    consistent: dict[ClientId, bytes] = field(default_factory=dict)
    """Signatures under U3."""
    public_seed: bytes = b""
    groups: Groups = ()
    plan: StatisticsPlan | None = None
    view: Digest = _NO_VIEW
    statistics: dict[ClientId, bytes] = field(default_factory=dict)
    signatures: dict[ClientId, bytes] = field(default_factory=dict)
    """Signatures over h, of everybody who sent statistics."""
    opened: tuple[OpenedGroup, ...] = ()
    accepted_groups: tuple[GroupIndex, ...] = ()
    accepted: tuple[ClientId, ...] = ()
    left_out: dict[GroupIndex, str] = field(default_factory=dict)
    agreed: dict[ClientId, bytes] = field(default_factory=dict)
    unmasking: bool = False
    """The agreement went out: from here on clients help to open a total for this model."""
    total_opened: bool = False
    dropped: dict[ClientId, DropReason] = field(default_factory=dict)
    cross_masks: dict[ClientId, Mapping[ClientId, bytes]] = field(default_factory=dict)
    """P·PRG(s_ij) as i opened it, by i and j."""
    asked: frozenset[ClientId] = frozenset()
    """Who was asked to open its masks across groups."""
    withheld: frozenset[ClientId] = frozenset()
    """Who did not, in a group of which nothing else shows whether somebody lied."""
    marks: list[Mark] = field(default_factory=list)

    def summary(self) -> RoundSummary:
        return RoundSummary(
            self.uploading,
            self.dealt,
            tuple(self.digests),
            self.public_seed,
            self.groups,
            tuple(sorted(self.signatures)),
            self.opened,
            self.accepted_groups,
            self.accepted,
            dict(self.left_out),
            self.unmasking,
            self.total_opened,
            dict(self.dropped),
            tuple(self.marks),
            self.withheld,
        )


@dataclass(frozen=True)
class RoundContext:
    """The fixed facts of one round at the server."""

    description: RoundDescription
    transcript: Digest
    policy: Policy
    plan: StatisticsPlan
    topology: Topology
    floors: Floors
    """What no client goes below."""
    committee: frozenset[ClientId]
    """Who signs U3 and A."""
    uploads: MutableMapping[ClientId, bytes]
    """Where masked inputs wait until the accepted set is known (a spool on disk, or a dict)."""
    collector: ShareCollector
    public_seed: PublicSeed
    progress: Progress

    @classmethod
    def open(
        cls,
        description: RoundDescription,
        policy: Policy,
        plan: StatisticsPlan,
        topology: Topology,
        uploads: MutableMapping[ClientId, bytes],
        public_seed: PublicSeed,
    ) -> RoundContext:
        transcript = description.transcript()
        return cls(
            description,
            transcript,
            policy,
            plan,
            topology,
            policy.floors(topology, description.disputed),
            draw_committee(transcript, description.cohort, topology),
            uploads,
            ShareCollector(transcript, topology.shares, SHARED_KINDS),
            public_seed,
            Progress(),
        )

    @property
    def params(self) -> RoundParams:
        return self.policy.params

    @property
    def graph(self) -> Graph:
        """Known once U1 is fixed."""
        if self.progress.graph is None:
            raise ValueError("the graph is drawn at the end of phase 0")
        return self.progress.graph

    def update_context(self) -> SumContext:
        """What the masks of this round's updates are bound to."""
        return update_context(self.transcript, self.params, self.topology.cohort, self.plan.dim)

    def whole_groups(self) -> dict[GroupIndex, tuple[ClientId, ...]]:
        """Groups all of whose members sent statistics: the only ones whose sum appears."""
        sent = self.progress.signatures.keys()
        return {
            GroupIndex(k): group
            for k, group in enumerate(self.progress.groups)
            if sent >= set(group)
        }


@dataclass(frozen=True)
class Decision:
    """What the defence makes of the opened groups."""

    accepted: tuple[GroupIndex, ...]
    left_out: Mapping[GroupIndex, str]
    """Reason per opened group that is not accepted."""


@dataclass(frozen=True)
class RoundTotal:
    """The end of a round: the lifted, bound total of the accepted clients' quantised updates."""

    total: NDArray[np.int64]
    accepted: tuple[ClientId, ...]


# Effects, to be carried out in order ------------------------------------------------------------

JsonValue = int | str | bool | None | list["JsonValue"] | dict[str, "JsonValue"]


@dataclass(frozen=True)
class Persist:
    """Make this fact durable before the next ``Send`` leaves (rule 4)."""

    kind: str
    fields: Mapping[str, JsonValue]


@dataclass(frozen=True)
class Send:
    to: tuple[ClientId, ...]
    message: ServerMessage


@dataclass(frozen=True)
class PhaseStarted:
    """A new deadline begins; the phase ends early when all of ``waiting_for`` have answered."""

    phase: Phase
    waiting_for: frozenset[ClientId]


@dataclass(frozen=True)
class Dropped:
    client: ClientId
    reason: DropReason
    detail: str


@dataclass(frozen=True)
class Opened:
    """Run the defence on these group sums and answer with ``on_decision``."""

    groups: tuple[OpenedGroup, ...]
    plan: StatisticsPlan
    """P with the round's challenge part: what the sums are sums of."""


@dataclass(frozen=True)
class Finished:
    total: RoundTotal


@dataclass(frozen=True)
class Aborted:
    reason: AbortReason
    detail: str


ServerEffect = Persist | Send | PhaseStarted | Dropped | Opened | Finished | Aborted
