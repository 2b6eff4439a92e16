"""What the phases of one client share: its standing facts, an invitation, secrets, effects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import Entropy, Secret
from auror.crypto.kex import KeyPair
from auror.crypto.signing import SigningKey
from auror.errors import Refusal
from auror.ids import ClientId, Digest
from auror.params import Budget, Floors, OwnRules, RoundParams
from auror.round.arithmetic import quantiser, update_context
from auror.round.client.memory import ClientMemory
from auror.round.messages import ClientMessage, RoundEnd, RoundStart
from auror.round.policy import Policy
from auror.round.public import PublicSeed
from auror.secagg.client.advertise import MaskSecrets
from auror.secagg.graph import Graph
from auror.secagg.instance import SecretKind, SumContext
from auror.secagg.quantise import Quantiser
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
        return spent(self.policy.budget, self.rules, memory)


def spent(budget: Budget, rules: OwnRules, memory: ClientMemory) -> str | None:
    """Which limit of a client's data is used up; None while there is something left."""
    openings = budget.max_openings
    name = "max_openings"
    if rules.max_openings is not None and rules.max_openings < openings:
        openings, name = rules.max_openings, "rules.max_openings"
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

    def update_context(self) -> SumContext:
        """What the masks of this round's update are bound to."""
        return update_context(
            self.transcript, self.params, self.topology.cohort, self.start.plan.dim
        )

    def quantiser(self) -> Quantiser:
        return quantiser(self.params)


@dataclass(frozen=True)
class WiredInvitation(Invitation):
    """… of whose round U1 is known."""

    graph: Graph
    """Who holds whose shares and shares masks with whom."""

    @classmethod
    def of(cls, invitation: Invitation, graph: Graph) -> WiredInvitation:
        return cls(
            invitation.start,
            invitation.params,
            invitation.transcript,
            invitation.topology,
            invitation.floors,
            invitation.committee,
            graph,
        )


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
class Idle:
    """No round, or one that this client has left."""


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
