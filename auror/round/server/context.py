"""What the server's phases share, and the effects they ask a driver to carry out."""

from __future__ import annotations

import enum
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auror.errors import AbortReason, DropReason
from auror.ids import ClientId, Digest, GroupIndex
from auror.params import RoundParams
from auror.round.arithmetic import sum_context
from auror.round.description import Roster, RoundDescription
from auror.round.messages import SHARED_KINDS, AdvertisedKeys, ServerMessage
from auror.round.plan import StatisticsPlan
from auror.round.public import Groups, PublicSeed
from auror.round.record import Mark, OpenedGroup
from auror.secagg.graph import Graph
from auror.secagg.instance import Instance, SumContext
from auror.secagg.server.collect_shares import ShareCollector
from auror.secagg.topology import Topology

_NO_VIEW = Digest(b"")


class Phase(enum.Enum):
    """The phases of a round, in order."""

    ADVERTISE = 0
    SHARE_KEYS = 1
    UPLOAD = 2
    STATISTICS = 3
    OPEN_STATISTICS = 4
    AGREE = 5
    UNMASK = 6
    LOCALISE = 7
    """Only after a failed binding check."""


@dataclass
class Progress:
    """The sets of one round as they become known; the only mutable thing of the server's phases.

    U1 = ``keys``, U2 = ``dealt``, U3 = ``digests``, S = ``signatures``, A = ``accepted``.
    """

    keys: dict[ClientId, AdvertisedKeys] = field(default_factory=dict)
    graph: Graph | None = None
    dealt: tuple[ClientId, ...] = ()
    digests: dict[ClientId, Digest] = field(default_factory=dict)
    public_seed: bytes = b""
    groups: Groups = ()
    plan: StatisticsPlan | None = None
    view: Digest = _NO_VIEW
    statistics: dict[ClientId, bytes] = field(default_factory=dict)
    signatures: dict[ClientId, bytes] = field(default_factory=dict)
    opened: tuple[OpenedGroup, ...] = ()
    accepted_groups: tuple[GroupIndex, ...] = ()
    accepted: tuple[ClientId, ...] = ()
    committee: frozenset[ClientId] = frozenset()
    """Who signs A."""
    left_out: dict[GroupIndex, str] = field(default_factory=dict)
    agreed: dict[ClientId, bytes] = field(default_factory=dict)
    unmasking: bool = False
    """The agreement went out: from here on clients help to open a total for this model."""
    total_opened: bool = False
    dropped: dict[ClientId, DropReason] = field(default_factory=dict)
    cross_masks: dict[ClientId, Mapping[ClientId, bytes]] = field(default_factory=dict)
    """P·PRG(s_ij) as i opened it, by i and j."""
    marks: list[Mark] = field(default_factory=list)


@dataclass(frozen=True)
class RoundContext:
    """The fixed facts of one round at the server."""

    description: RoundDescription
    transcript: Digest
    params: RoundParams
    plan: StatisticsPlan
    roster: Roster
    topology: Topology
    uploads: MutableMapping[ClientId, bytes]
    """Where masked inputs wait until the accepted set is known (a spool on disk, or a dict)."""
    collector: ShareCollector
    public_seed: PublicSeed
    progress: Progress

    @classmethod
    def open(
        cls,
        description: RoundDescription,
        params: RoundParams,
        plan: StatisticsPlan,
        roster: Roster,
        topology: Topology,
        uploads: MutableMapping[ClientId, bytes],
        public_seed: PublicSeed,
    ) -> RoundContext:
        transcript = description.transcript()
        return cls(
            description,
            transcript,
            params,
            plan,
            roster,
            topology,
            uploads,
            ShareCollector(transcript, topology.shares, SHARED_KINDS),
            public_seed,
            Progress(),
        )

    @property
    def graph(self) -> Graph:
        """Known once U1 is fixed."""
        if self.progress.graph is None:
            raise ValueError("the graph is drawn at the end of phase 0")
        return self.progress.graph

    def sum_context(self, instance: Instance, length: int) -> SumContext:
        return sum_context(self.transcript, self.params, self.topology.cohort, instance, length)

    def open_groups(self) -> dict[GroupIndex, tuple[ClientId, ...]]:
        """Groups with enough members in S, with these members (docs/protocol.md step 4.1)."""
        sent = self.progress.signatures.keys()
        members = {
            GroupIndex(k): tuple(client for client in group if client in sent)
            for k, group in enumerate(self.progress.groups)
        }
        floor = self.params.smallest_group()
        return {k: present for k, present in members.items() if len(present) >= floor}


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
