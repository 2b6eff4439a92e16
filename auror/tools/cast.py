"""Who plays in the round that ``auror protocol`` tells: policy, machines, inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from auror.crypto.signing import SigningKey
from auror.ids import ClientId, RoundId
from auror.params import Budget, OwnRules, PlanCaps, RoundParams
from auror.round.arithmetic import quantiser
from auror.round.client.machine import ClientMachine
from auror.round.client.memory import ClientMemory
from auror.round.description import RoundDescription, model_digest
from auror.round.messages import (
    AdvertisedKeys,
    Agreement,
    ClientMessage,
    Consistency,
    DealtShares,
    MaskedStatistics,
    RandomnessShares,
    Receipt,
    RoundStart,
    UpdateShares,
    Upload,
)
from auror.round.plan import OutputLayer, StatisticsPlan
from auror.round.policy import DEPLOYMENT_BYTES, NO_DIGEST, Policy, RosterEntry
from auror.sim.seeded import rounding_seed, seeded_bytes, seeded_entropy

DIM, STATISTICS = 6, 3
_Message = TypeVar(
    "_Message",
    Consistency,
    Agreement,
    AdvertisedKeys,
    DealtShares,
    Receipt,
    Upload,
    RandomnessShares,
    MaskedStatistics,
    UpdateShares,
)


class Cast:
    """Policy, machines, inputs, and every message that is sent."""

    def __init__(self, clients: int, group_size: int, seed: int) -> None:
        self.everybody = tuple(ClientId(i) for i in range(clients))
        keys = {c: SigningKey.draw(seeded_entropy(seed, "identity", c)) for c in self.everybody}
        self.params = RoundParams(
            group_size=group_size,
            colluders=0,
            quantisation_bits=8,
            quantisation_range=1.0,
            challenge_rows=0,
        )
        self.plan = StatisticsPlan(DIM, (OutputLayer(0, STATISTICS),))
        rng = np.random.default_rng(seed)
        self.model = rng.normal(size=DIM).astype(np.float32)
        self.updates = {c: rng.uniform(-1, 1, size=DIM).astype(np.float32) for c in self.everybody}
        self.seed = seed
        self.quantised: dict[ClientId, NDArray[np.int64]] = {
            c: quantiser(self.params)
            .quantise(self.updates[c], rounding_seed(seed, 0, c))
            .astype(np.int64)
            for c in self.everybody
        }
        self.policy = Policy(
            deployment=seeded_bytes(seed, "deployment", length=DEPLOYMENT_BYTES),
            version=1,
            expires=1,
            predecessor=NO_DIGEST,
            members={c: RosterEntry(c, key.verify_key, NO_DIGEST) for c, key in keys.items()},
            params=self.params,
            caps=PlanCaps(parts=("output-layer",)),
            task=b"{}",
            first_models=(model_digest(self.model),),
            budget=Budget.for_rounds(1, 1),
        ).signed(SigningKey.draw(seeded_entropy(seed, "operator")))
        self.sent: dict[tuple[ClientId, type[ClientMessage]], ClientMessage] = {}
        self.machines: Mapping[ClientId, ClientMachine] = {
            c: ClientMachine(
                c,
                keys[c],
                self.policy,
                OwnRules(),
                ClientMemory(),
                seeded_entropy(seed, "client", c),
                lambda: 0.0,
            )
            for c in self.everybody
        }

    def overhear(self, client: ClientId, message: ClientMessage) -> None:
        """Keep what reaches the server, for the story."""
        self.sent[client, type(message)] = message

    def said(self, client: ClientId, kind: type[_Message]) -> _Message:
        """The one message of ``kind`` that ``client`` sent."""
        return next(m for (who, _), m in self.sent.items() if who == client and isinstance(m, kind))

    def all_said(self, kind: type[_Message]) -> list[_Message]:
        """Everybody's message of ``kind``."""
        return [message for message in self.sent.values() if isinstance(message, kind)]

    def start(self) -> RoundStart:
        description = RoundDescription(
            deployment=self.policy.deployment,
            policy=self.policy.digest(),
            policy_version=self.policy.version,
            round_id=RoundId(0, seeded_bytes(self.seed, "round", length=16)),
            attempt=0,
            era=0,
            step=0,
            disputed=False,
            parent=NO_DIGEST,
            model=model_digest(self.model),
            plan=self.plan.digest(),
            cohort=self.everybody,
        )
        return RoundStart(description, self.plan, self.model)
