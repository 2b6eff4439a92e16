"""What the server's phases share, and the effects they ask a driver to carry out."""

from __future__ import annotations

import enum
import weakref
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auror.crypto.signing import verify
from auror.crypto.tags import Tag
from auror.errors import (
    AbortReason,
    AuthenticationFailed,
    DropReason,
    PeerMisbehaved,
    Refusal,
    RoundAborted,
)
from auror.ids import ClientId, Digest, GroupIndex
from auror.params import Floors, RoundParams
from auror.round.arithmetic import update_context
from auror.round.description import RoundDescription
from auror.round.facts import ServerFact
from auror.round.messages import SHARED_KINDS, ServerMessage, Upload
from auror.round.plan import StatisticsPlan
from auror.round.policy import Policy
from auror.round.public import PublicSeed, draw_committee
from auror.round.record import OpenedGroup
from auror.secagg.instance import SumContext
from auror.secagg.server.collect_shares import ShareCollector
from auror.secagg.server.spread import Spread
from auror.secagg.topology import Topology


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


@dataclass(frozen=True)
class RoundContext:
    """The fixed facts of one round at the server, and what piles up: uploads, shares, keys."""

    description: RoundDescription
    transcript: Digest
    policy: Policy
    plan: StatisticsPlan
    """P without its challenge part."""
    topology: Topology
    floors: Floors
    """What no client goes below."""
    committee: frozenset[ClientId]
    """Who signs U3 and A."""
    uploads: MutableMapping[ClientId, bytes]
    """Where masked inputs wait until the accepted set is known (a spool on disk, or a dict)."""
    collector: ShareCollector
    public_seed: PublicSeed
    spread: Spread = map
    """Puts adding up and unmasking on several cores."""
    hashed: dict[ClientId, tuple[weakref.ReferenceType[Upload], Digest]] = field(
        default_factory=dict
    )
    """By sender, an upload whose turn has not come, and what its digest should be."""
    owners: dict[bytes, ClientId] = field(default_factory=dict)
    """Of every public key so far; it grows, for a copy with every message costs n² of them."""

    @classmethod
    def open(
        cls,
        description: RoundDescription,
        policy: Policy,
        plan: StatisticsPlan,
        topology: Topology,
        uploads: MutableMapping[ClientId, bytes],
        public_seed: PublicSeed,
        spread: Spread = map,
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
            spread,
        )

    @property
    def params(self) -> RoundParams:
        return self.policy.params

    def update_context(self) -> SumContext:
        """What the masks of this round's updates are bound to."""
        return update_context(self.transcript, self.params, self.topology.cohort, self.plan.dim)

    def require_present(self, count: int, reason: AbortReason) -> None:
        """Raises RoundAborted when U1, U2 or U3 has fewer clients than any client takes part in."""
        if count < self.floors.present:
            raise RoundAborted(reason, f"{count} of {self.floors.present}")

    def require_quorum(self, count: int, reason: AbortReason) -> None:
        """Raises RoundAborted when fewer than Q of the committee have signed."""
        if count < self.topology.quorum:
            raise RoundAborted(reason, f"{count} of {self.topology.quorum}")

    def require_signed(
        self, sender: ClientId, signature: bytes, what: str, tag: Tag, *parts: bytes
    ) -> None:
        """Raises PeerMisbehaved, which names ``what``, when ``signature`` is not ``sender``'s over
        the tagged ``parts``."""
        try:
            verify(self.policy.verify_key(sender), signature, tag, *parts)
        except AuthenticationFailed as error:
            raise PeerMisbehaved(sender, DropReason.BAD_SIGNATURE, what) from error


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


@dataclass(frozen=True)
class Persist:
    """Make this fact durable before the next ``Send`` leaves (rule 4)."""

    fact: ServerFact


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
    refusal: Refusal | None = None
    """What a client said that will not go on."""


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
