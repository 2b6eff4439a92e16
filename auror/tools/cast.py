"""Who plays in the round that ``auror protocol`` tells: policy, machines, inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from auror.crypto.signing import SigningKey
from auror.ids import ROUND_NONCE_BYTES, ClientId
from auror.params import Budget, OwnRules, PlanCaps, RoundParams
from auror.round.arithmetic import quantiser
from auror.round.client.machine import ClientMachine
from auror.round.client.memory import ClientMemory
from auror.round.messages import (
    ClientMessage,
    RoundStart,
)
from auror.round.plan import OutputLayer, StatisticsPlan
from auror.round.policy import DEPLOYMENT_BYTES
from auror.sim.local import first_round, local_policy
from auror.sim.seeded import rounding_seed, seeded_bytes, seeded_entropy

DIM, STATISTICS = 6, 3
_Message = TypeVar("_Message", bound=ClientMessage)


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
        self.policy = local_policy(
            keys,
            SigningKey.draw(seeded_entropy(seed, "operator")),
            self.params,
            Budget.for_rounds(1, 1),
            [self.model],
            deployment=seeded_bytes(seed, "deployment", length=DEPLOYMENT_BYTES),
            caps=PlanCaps(parts=("output-layer",)),
            expires=1,
        )
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
        nonce = seeded_bytes(self.seed, "round", length=ROUND_NONCE_BYTES)
        return first_round(self.policy, self.plan, self.model, self.everybody, nonce)
