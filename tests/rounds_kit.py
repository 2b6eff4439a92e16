"""A small deployment in memory and a driver whose network may be hostile.

The machines are the real ones. ``Play`` carries messages as ``auror.round.run`` does, but a test
may rewrite what a client is told (a malicious server) or what the server gets (a malicious
client, a dropout).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import Entropy, Secret
from auror.crypto.merkle import proof_length
from auror.crypto.signing import SigningKey
from auror.errors import AbortReason, DropReason, Refusal
from auror.ids import ClientId, Digest, RoundId
from auror.params import PLAN_PARTS, Budget, OwnRules, PlanCaps, RoundParams
from auror.round.client.machine import ClientMachine
from auror.round.client.memory import ClientMemory
from auror.round.client.state import ClientEffect, GaveUp, Reply, Train
from auror.round.description import RoundDescription, model_digest
from auror.round.label_rows import ClassMeans, rows_of_means
from auror.round.messages import (
    AdvertisedKeys,
    ClientMessage,
    KeyList,
    RoundStart,
    ServerMessage,
    UploadList,
)
from auror.round.output import OutputShape
from auror.round.plan import OutputLayer, StatisticsPlan, session_sketch
from auror.round.policy import NO_DIGEST, Policy
from auror.round.public import PublicSeed, protocol_seed
from auror.round.roster import RosterEntry
from auror.round.run import Decide, accept_all
from auror.round.server.context import (
    Aborted,
    Dropped,
    Finished,
    Opened,
    RoundTotal,
    Send,
    ServerEffect,
)
from auror.round.server.machine import RoundServer
from auror.round.summary import RoundSummary
from auror.sim.seeded import seeded_bytes, seeded_entropy

TASK = b'{"task":"test"}'
DIM = 24
PARAMS = RoundParams(
    group_size=3,
    colluders=1,
    quantisation_bits=12,
    quantisation_range=1.0,
    challenge_rows=2,
    max_attempts=3,
    audit_probability=0.0,
)
CAPS = PlanCaps(parts=PLAN_PARTS)
BUDGET = Budget(
    max_openings=1000, max_totals=1000, max_steps=500, max_disputed=300, max_watched=400
)

ToClient = Callable[[ClientId, ServerMessage], "ServerMessage | Iterable[ServerMessage] | None"]
ToServer = Callable[[ClientId, ClientMessage], "ClientMessage | Iterable[ClientMessage] | None"]


MEANS = ClassMeans(OutputShape(1, 2, 1), np.array([[0.3], [-0.6]], dtype=np.float32))
"""As every client finds them: an output layer of two classes on one unit, entries 1 to 4."""
NO_ANCHOR = Digest(bytes(32))


def small_plan(
    dim: int = DIM, anchor: Digest = NO_ANCHOR, params: RoundParams = PARAMS
) -> StatisticsPlan:
    """All three parts that a server may choose: 4 + 3 + 4 rows, within every cap."""
    assert MEANS.means is not None
    labels = rows_of_means(MEANS.output, MEANS.means, params.label_row_bits())
    return StatisticsPlan(dim, (OutputLayer(1, 4), session_sketch(anchor, 3), labels))


@dataclass
class Deployment:
    """Identities, policy and invitations of ``count`` clients."""

    count: int
    seed: int = 0
    params: RoundParams = PARAMS
    plan: StatisticsPlan = field(default_factory=lambda: StatisticsPlan(0, ()))
    """By default ``small_plan`` under the policy."""
    task: bytes = TASK
    caps: PlanCaps = CAPS
    budget: Budget = BUDGET
    first_models: tuple[Digest, ...] = ()
    """By default the models 0 and 1."""
    keys: dict[ClientId, SigningKey] = field(init=False)
    policy: Policy = field(init=False)

    def __post_init__(self) -> None:
        self.keys = {
            ClientId(i): SigningKey.draw(seeded_entropy(self.seed, "identity", i))
            for i in range(self.count)
        }
        entries = {
            c: RosterEntry(c, key.verify_key, Digest(bytes(32))) for c, key in self.keys.items()
        }
        by_default = not self.plan.dim
        if by_default:
            self.plan = small_plan(params=self.params)
        self.policy = Policy(
            deployment=seeded_bytes(self.seed, "deployment", length=16),
            version=1,
            expires=2**40,
            predecessors=(),
            members=entries,
            params=self.params,
            caps=self.caps,
            task=self.task,
            first_models=self.first_models or tuple(model_digest(self.model(k)) for k in (0, 1)),
            budget=self.budget,
        ).signed(self.operator)
        if by_default:
            self.plan = small_plan(anchor=self.policy.digest(), params=self.params)

    @property
    def operator(self) -> SigningKey:
        return SigningKey.draw(seeded_entropy(self.seed, "operator"))

    @property
    def everybody(self) -> tuple[ClientId, ...]:
        return tuple(self.keys)

    def model(self, number: int = 0) -> NDArray[np.float32]:
        rng = np.random.default_rng([self.seed, number])
        return rng.normal(size=self.plan.dim).astype(np.float32)

    def start(
        self,
        counter: int = 0,
        step: int = 0,
        cohort: tuple[ClientId, ...] | None = None,
        attempt: int = 0,
        disputed: bool = False,
    ) -> RoundStart:
        """Step ``step`` of era 0, whose model is ``self.model(step)``."""
        flat = self.model(step)
        description = RoundDescription(
            deployment=self.policy.deployment,
            policy=self.policy.digest(),
            policy_version=self.policy.version,
            round_id=RoundId(counter, seeded_bytes(self.seed, "round", counter, length=16)),
            attempt=attempt,
            era=0,
            step=step,
            disputed=disputed,
            parent=model_digest(self.model(step - 1)) if step else NO_DIGEST,
            model=model_digest(flat),
            plan=self.plan.digest(),
            cohort=cohort or self.everybody,
        )
        return RoundStart(description, self.plan, flat)

    def machine(
        self,
        client: ClientId,
        memory: ClientMemory | None = None,
        public_seed: PublicSeed = protocol_seed,
        now: float = 0.0,
        **rules: int,
    ) -> ClientMachine:
        return ClientMachine(
            client,
            self.keys[client],
            self.policy,
            OwnRules(**rules),
            memory or ClientMemory(),
            seeded_entropy(self.seed, "client", client),
            lambda: now,
            public_seed,
        )

    def machines(self, **rules: int) -> dict[ClientId, ClientMachine]:
        return {client: self.machine(client, **rules) for client in self.everybody}

    def updates(self, number: int = 0) -> dict[ClientId, NDArray[np.float32]]:
        rng = np.random.default_rng([self.seed, 7, number])
        return {
            client: rng.uniform(-1.2, 1.2, size=self.plan.dim).astype(np.float32)
            for client in self.everybody
        }

    def entropy(self, *labels: str | int) -> Entropy:
        return seeded_entropy(self.seed, *labels)


def whole_list(keys: Mapping[ClientId, AdvertisedKeys]) -> KeyList:
    """As everybody is told it on the complete graph."""
    return KeyList(tuple(sorted(keys)), keys, {}, ())


def lacking(listed: UploadList, *missing: ClientId) -> UploadList:
    """U3 without some, under a root that nobody else has."""
    fewer = tuple(c for c in listed.uploaded if c not in missing)
    return UploadList(fewer, (Digest(bytes(32)),) * proof_length(len(fewer), [0]))


def rounding(client: ClientId, counter: int = 0) -> Secret:
    return Secret(seeded_bytes(0, "rounding", counter, client))


def answer(
    machine: ClientMachine, message: ServerMessage, update: NDArray[np.float32], rounding: Secret
) -> list[ClientEffect]:
    """What one client does with one message; asked to train, it has trained at once."""
    effects = machine.on_message(message)
    if any(isinstance(effect, Train) for effect in effects):
        effects = effects + machine.on_update(update, rounding, MEANS)
    return effects


def invite(
    deployment: Deployment,
    start: RoundStart,
    memory: ClientMemory | None = None,
    now: float = 0.0,
    **rules: int,
) -> GaveUp | None:
    """How client 0 refuses ``start``, None when it takes it."""
    effects = deployment.machine(ClientId(0), memory, now=now, **rules).on_message(start)
    found = next((effect for effect in effects if isinstance(effect, GaveUp)), None)
    if found is not None:  # nothing was signed or remembered, and it says so once
        assert [type(effect) for effect in effects] == [Reply, GaveUp]
    return found


def refused(found: GaveUp | None) -> Refusal | None:
    return None if found is None else found.refusal


@dataclass
class Played:
    """What happened in one round, as seen from outside."""

    server: RoundServer
    effects: list[ServerEffect] = field(default_factory=list)
    client_effects: dict[ClientId, list[ClientEffect]] = field(default_factory=dict)
    replies: list[tuple[ClientId, ClientMessage]] = field(default_factory=list)
    told: list[tuple[ClientId, ServerMessage]] = field(default_factory=list)

    @property
    def summary(self) -> RoundSummary:
        return self.server.summary

    @property
    def state(self) -> Any:
        """The server's, whichever a test has brought it to."""
        return self.server.state

    @property
    def total(self) -> RoundTotal | None:
        found = [e.total for e in self.effects if isinstance(e, Finished)]
        return found[0] if found else None

    @property
    def aborted(self) -> AbortReason | None:
        found = [e.reason for e in self.effects if isinstance(e, Aborted)]
        return found[0] if found else None

    @property
    def dropped(self) -> dict[ClientId, DropReason]:
        return {e.client: e.reason for e in self.effects if isinstance(e, Dropped)}

    @property
    def gave_up(self) -> dict[ClientId, GaveUp]:
        return {
            client: effect
            for client, effects in self.client_effects.items()
            for effect in effects
            if isinstance(effect, GaveUp)
        }

    def said(self, kind: type[ClientMessage]) -> dict[ClientId, list[ClientMessage]]:
        found: dict[ClientId, list[ClientMessage]] = {}
        for client, message in self.replies:
            if isinstance(message, kind):
                found.setdefault(client, []).append(message)
        return found


def play(
    deployment: Deployment,
    *,
    start: RoundStart | None = None,
    machines: Mapping[ClientId, ClientMachine] | None = None,
    updates: Mapping[ClientId, NDArray[np.float32]] | None = None,
    to_client: ToClient | None = None,
    to_server: ToServer | None = None,
    decide: Decide = accept_all,
    public_seed: PublicSeed = protocol_seed,
) -> Played:
    """Play one round to its end over a network that obeys the two hooks."""
    start = start or deployment.start()
    machines = machines if machines is not None else deployment.machines()
    updates = updates or deployment.updates()
    counter = start.description.round_id.counter
    played = Played(RoundServer(start, deployment.policy, {}, public_seed))
    server, queue = played.server, played.server.start()
    while queue or not server.over:
        if not queue:
            queue = server.on_deadline()
        effect = queue.pop(0)
        played.effects.append(effect)
        if isinstance(effect, Opened):
            queue += server.on_decision(decide(effect.groups, effect.plan))
        if not isinstance(effect, Send):
            continue
        for client in effect.to:
            told = to_client(client, effect.message) if to_client else effect.message
            for message in _many(told):
                played.told.append((client, message))
                effects = answer(
                    machines[client], message, updates[client], rounding(client, counter)
                )
                played.client_effects.setdefault(client, []).extend(effects)
                for reply in (e.message for e in effects if isinstance(e, Reply)):
                    played.replies.append((client, reply))
                    for sent in _many(to_server(client, reply) if to_server else reply):
                        queue += server.on_message(client, sent)
    return played


def _many(told):  # type: ignore[no-untyped-def]
    if told is None:
        return []
    return list(told) if isinstance(told, list | tuple) else [told]
