"""What one client knows: its own standing facts, what a round told it, and its states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import Entropy, Secret
from auror.crypto.kex import KeyPair
from auror.crypto.signing import SigningKey
from auror.errors import Refusal
from auror.ids import ClientId, Digest
from auror.params import Floors, OwnRules, RoundParams
from auror.round.arithmetic import quantiser, update_context
from auror.round.client.memory import ClientMemory
from auror.round.messages import AdvertisedKeys, ClientMessage, KeyList, RoundEnd, RoundStart
from auror.round.plan import StatisticsPlan
from auror.round.policy import Policy
from auror.round.public import Groups, PublicSeed
from auror.secagg.client.advertise import MaskSecrets
from auror.secagg.client.unmask import OpeningGuard
from auror.secagg.graph import Graph
from auror.secagg.instance import SecretKind, SumContext
from auror.secagg.quantize import Quantiser
from auror.secagg.sharing import Share
from auror.secagg.topology import Topology


@dataclass(frozen=True)
class Identity:
    """One client: who it is, whom it trusts, and its own rules."""

    me: ClientId
    signing_key: SigningKey
    policy: Policy
    rules: OwnRules
    entropy: Entropy
    now: Callable[[], float]
    """Unix seconds: the clock is a driver's."""
    public_seed: PublicSeed

    def spent(self, memory: ClientMemory) -> str | None:
        """Which limit of this client's data is used up; None while there is something left."""
        budget = self.policy.budget
        openings = budget.max_openings
        name = "max_openings"
        if self.rules.max_openings is not None and self.rules.max_openings < openings:
            openings, name = self.rules.max_openings, "rules.max_openings"
        for used, allowed, what in (
            (memory.all_attempts, openings, f"attempts, {name}"),
            (memory.totals, budget.max_totals, "totals, max_totals"),
        ):
            if used >= allowed:
                return f"{used} {what} {allowed}"
        return None


@dataclass(frozen=True)
class Invitation:
    """A round description that passed this client's checks."""

    start: RoundStart
    params: RoundParams
    """The policy's: an invitation brings none."""
    transcript: Digest
    topology: Topology
    floors: Floors
    """The strictest of policy, thresholds and this client's own rules."""
    committee: frozenset[ClientId]
    """Who signs U3 and A."""
    wiring: Graph | None = None
    """The graph, once U1 is known."""

    @property
    def graph(self) -> Graph:
        if self.wiring is None:
            raise ValueError("the graph is drawn when U1 is known")
        return self.wiring

    def update_context(self) -> SumContext:
        """What the masks of this round's update are bound to."""
        return update_context(
            self.transcript, self.params, self.topology.cohort, self.start.plan.dim
        )

    def quantiser(self) -> Quantiser:
        return quantiser(self.params)


@dataclass(frozen=True)
class RoundSecrets:
    """Everything secret that a client draws in phase 0."""

    encryption: KeyPair
    update: MaskSecrets
    statistics_mask: KeyPair
    """Agrees the masks inside the group; never shared with anybody."""
    randomness: Secret
    """r_i, until a quorum has signed U3."""

    @classmethod
    def draw(cls, entropy: Entropy) -> RoundSecrets:
        # r first: a simulated plain run repeats the draw without drawing any keys.
        randomness = Secret.draw(entropy)
        return cls(
            KeyPair.draw(entropy),
            MaskSecrets.draw(entropy),
            KeyPair.draw(entropy),
            randomness,
        )

    def to_share(self) -> dict[SecretKind, Secret]:
        return {**self.update.to_share(), SecretKind.RANDOMNESS: self.randomness}


HeldShares = Mapping[ClientId, Mapping[SecretKind, Share]]
"""By dealer: the shares of its secrets that this client could read, its own among them."""


@dataclass(frozen=True)
class Uploads:
    """After phase 3a began: U3, and the digest that names all this client was told so far."""

    keys: KeyList
    dealers: frozenset[ClientId]
    """U2"""
    uploaded: frozenset[ClientId]
    """U3"""
    digest: Digest


@dataclass(frozen=True)
class View:
    """After phase 3b: what h covers, and h."""

    uploads: Uploads
    groups: Groups
    plan: StatisticsPlan
    digest: Digest
    """h"""

    def group_of(self, member: ClientId) -> tuple[ClientId, ...]:
        """The group that ``member`` of U3 is in."""
        return next(group for group in self.groups if member in group)


# States: what a client holds between two messages -------------------------------------------------


@dataclass(frozen=True)
class Idle:
    """No round, or one that this client has left."""


@dataclass(frozen=True)
class Advertised:
    invitation: Invitation
    secrets: RoundSecrets
    own: AdvertisedKeys


@dataclass(frozen=True)
class Shared:
    invitation: Invitation
    secrets: RoundSecrets
    keys: KeyList
    own_shares: Mapping[SecretKind, Share]


@dataclass(frozen=True)
class Receipted:
    """It has said whose envelopes it can read; U2 is not final yet."""

    invitation: Invitation
    secrets: RoundSecrets
    keys: KeyList
    offered: tuple[ClientId, ...]
    held: HeldShares


@dataclass(frozen=True)
class Training:
    """U2 is known, the update is not yet."""

    invitation: Invitation
    secrets: RoundSecrets
    keys: KeyList
    held: HeldShares
    dealers: frozenset[ClientId]


@dataclass(frozen=True)
class Uploaded:
    invitation: Invitation
    secrets: RoundSecrets
    keys: KeyList
    held: HeldShares
    dealers: frozenset[ClientId]
    quantised: NDArray[np.uint32] = field(repr=False)
    digest: Digest


@dataclass(frozen=True)
class _FixedUploads:
    invitation: Invitation
    secrets: RoundSecrets
    held: HeldShares
    uploads: Uploads
    quantised: NDArray[np.uint32] = field(repr=False)


@dataclass(frozen=True)
class SignedUploads(_FixedUploads):
    """U3 is fixed for this client; whether for the others too, a quorum must say."""


@dataclass(frozen=True)
class Drawing(_FixedUploads):
    """Its shares of everybody's r are given."""


@dataclass(frozen=True)
class SentStatistics:
    invitation: Invitation
    view: View
    update_mask: KeyPair = field(repr=False)
    """Kept for phase 7, when the binding check failed."""
    guard: OpeningGuard


@dataclass(frozen=True)
class Agreed:
    invitation: Invitation
    view: View
    update_mask: KeyPair = field(repr=False)
    guard: OpeningGuard
    accepted: frozenset[ClientId]


@dataclass(frozen=True)
class Unmasked:
    invitation: Invitation
    view: View
    update_mask: KeyPair = field(repr=False)
    accepted: frozenset[ClientId]


State = (
    Idle
    | Advertised
    | Shared
    | Receipted
    | Training
    | Uploaded
    | SignedUploads
    | Drawing
    | SentStatistics
    | Agreed
    | Unmasked
)


# Effects: what a driver must do, in order -------------------------------------------------------


@dataclass(frozen=True)
class Remember:
    """Make this durable before the next ``Reply`` leaves."""

    memory: ClientMemory


@dataclass(frozen=True)
class Reply:
    message: ClientMessage


@dataclass(frozen=True)
class Train:
    """Train ``model`` as ``task`` says and hand the update to ``on_update``."""

    task: bytes
    model: NDArray[np.float32]


@dataclass(frozen=True)
class Ended:
    end: RoundEnd


@dataclass(frozen=True)
class GaveUp:
    """This client left the round by a rule of its own."""

    refusal: Refusal
    detail: str


ClientEffect = Remember | Reply | Train | Ended | GaveUp
