"""What the phases of one client share: its own standing facts, and what a round told it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import Entropy, Secret
from auror.crypto.kex import KeyPair
from auror.crypto.signing import SigningKey
from auror.errors import Refusal
from auror.ids import ClientId, Digest
from auror.params import ClientPolicy, RoundParams
from auror.round.arithmetic import quantiser, sum_context
from auror.round.client.memory import ClientMemory
from auror.round.description import Roster
from auror.round.messages import ClientMessage, KeyList, RoundEnd, RoundStart
from auror.round.plan import StatisticsPlan
from auror.round.public import Groups, PublicSeed
from auror.secagg.client.advertise import InstanceSecrets
from auror.secagg.client.unmask import OpeningGuard
from auror.secagg.graph import Graph
from auror.secagg.instance import Instance, SecretKind, SumContext
from auror.secagg.quantize import Quantiser
from auror.secagg.sharing import Share
from auror.secagg.topology import Topology


@dataclass(frozen=True)
class Identity:
    """One client: who it is, whom it trusts, and its own rules."""

    me: ClientId
    signing_key: SigningKey
    roster: Roster
    policy: ClientPolicy
    entropy: Entropy
    public_seed: PublicSeed


@dataclass(frozen=True)
class Invitation:
    """A round description that passed this client's checks."""

    start: RoundStart
    transcript: Digest
    topology: Topology
    wiring: Graph | None = None
    """The graph, once U1 is known."""

    @property
    def graph(self) -> Graph:
        if self.wiring is None:
            raise ValueError("the graph is drawn when U1 is known")
        return self.wiring

    @property
    def params(self) -> RoundParams:
        return self.start.params

    @property
    def model(self) -> Digest:
        return self.start.description.model

    def sum_context(self, instance: Instance, length: int) -> SumContext:
        return sum_context(self.transcript, self.params, self.topology.cohort, instance, length)

    def quantiser(self) -> Quantiser:
        return quantiser(self.params)


@dataclass(frozen=True)
class RoundSecrets:
    """Everything secret that a client draws in phase 0."""

    encryption: KeyPair
    update: InstanceSecrets
    statistics: InstanceSecrets
    randomness: Secret
    """r_i, until the uploads are in."""

    @classmethod
    def draw(cls, entropy: Entropy) -> RoundSecrets:
        # r first: a simulated plain run repeats the draw without drawing any keys.
        randomness = Secret.draw(entropy)
        return cls(
            KeyPair.draw(entropy),
            InstanceSecrets.draw(Instance.UPDATE, entropy),
            InstanceSecrets.draw(Instance.STATISTICS, entropy),
            randomness,
        )

    def to_share(self) -> dict[SecretKind, Secret]:
        return {
            **self.update.to_share(),
            **self.statistics.to_share(),
            SecretKind.RANDOMNESS: self.randomness,
        }


@dataclass(frozen=True)
class Dealt:
    """After phase 1: U2 and the shares this client holds of each of its dealers' secrets."""

    dealers: frozenset[ClientId]
    held: Mapping[ClientId, Mapping[SecretKind, Share]]


@dataclass(frozen=True)
class View:
    """After phase 2: what h covers, and h."""

    keys: KeyList
    dealt: Dealt
    uploaded: frozenset[ClientId]
    groups: Groups
    committee: frozenset[ClientId]
    """Who signs A."""
    plan: StatisticsPlan
    digest: Digest
    update_mask: KeyPair = field(repr=False)
    """Kept for phase 7, when the binding check failed."""
    statistics_guard: OpeningGuard
    update_guard: OpeningGuard


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
