"""A whole round with real clients, of which everything that the server hears is kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auror.bench.speed.cast import some_update
from auror.bench.speed.playing import FramedServer, Frames, PhaseCosts, SentFrames, clocks
from auror.bench.speed.rows import SumSize
from auror.crypto.entropy import Secret, system_entropy
from auror.crypto.signing import SigningKey
from auror.experiments.progress import Progress, Reporter
from auror.ids import ROUND_NONCE_BYTES, ClientId
from auror.params import Budget, OwnRules, PlanCaps, RoundParams
from auror.round.arithmetic import quantiser
from auror.round.client.machine import ClientMachine
from auror.round.client.memory import ClientMemory
from auror.round.client.state import Reply, Train
from auror.round.messages import ClientMessage, Exclusion, FinalModel, NewPolicy, RoundStart
from auror.round.plan import OutputLayer, StatisticsPlan
from auror.round.policy import DEPLOYMENT_BYTES, Policy
from auror.round.run import PHASE_OF
from auror.round.server.context import Phase
from auror.sim.local import first_round, local_policy
from auror.wire import codec
from auror.wire.frames import client_frames
from auror.wire.limits import Limits

STATISTICS, GROUP_SIZE = 100, 5
_ROUNDING = Secret(bytes(32))
"""Nothing here is anybody's update."""


@dataclass(frozen=True)
class Tape:
    """What a server hears in one round, and what the clients spent on saying it."""

    start: RoundStart
    policy: Policy
    heard: tuple[tuple[ClientId, Frames] | None, ...]
    """None: the phase's time is up."""
    clients: PhaseCosts
    """Of all together; a phase is that of their answer."""
    lost: frozenset[ClientId]
    """They dealt shares and sent no masked input."""

    def played(self) -> PhaseCosts:
        """What a server spends that hears all of it.

        Raises:
            AssertionError: its total is not the sum of the clients' quantised updates.
        """
        server, costs = FramedServer(self.start, self.policy), PhaseCosts()
        phase, began, size = server.phase, clocks(), 0
        server.start()
        for heard in self.heard:
            if server.phase is not phase:
                costs.spend(phase, began, size)
                phase, began, size = server.phase, clocks(), 0
            if heard is None:
                server.time_up()
            else:
                server.hear(*heard)
                size += sum(map(len, heard[1]))
        costs.spend(phase, began, size)
        update = some_update(self.start.plan.dim)
        quantised = quantiser(self.policy.params).quantise(update, _ROUNDING)
        count = len(self.start.description.cohort) - len(self.lost)
        if server.total is None or not np.array_equal(
            server.total, count * quantised.astype(np.int64)
        ):
            raise AssertionError("the round's total is not the plain sum")
        return costs


def record(size: SumSize, dropout: float, report: Reporter) -> Tape:
    """Play a round in which a share ``dropout`` of the clients vanishes before its upload."""
    cohort = tuple(ClientId(client) for client in range(size.n))
    keys = {client: SigningKey.draw(system_entropy) for client in cohort}
    model = np.zeros(size.d, dtype=np.float32)
    plan = StatisticsPlan(size.d, (OutputLayer(0, min(STATISTICS, size.d)),))
    params = RoundParams(group_size=GROUP_SIZE, colluders=0, challenge_rows=0)
    policy = local_policy(
        keys, SigningKey.draw(system_entropy), params, Budget.for_rounds(1, 1), [model],
        deployment=system_entropy(DEPLOYMENT_BYTES), caps=PlanCaps(parts=("output-layer",)),
    )  # fmt: skip
    start = first_round(policy, plan, model, cohort, system_entropy(ROUND_NONCE_BYTES))
    count = round(dropout * size.n)
    lost = frozenset(cohort[at * size.n // count] for at in range(count))
    machines = {
        client: ClientMachine(
            client, key, policy, OwnRules(), ClientMemory(), system_entropy, lambda: 0.0
        )
        for client, key in keys.items()
    }
    costs, server = PhaseCosts(), FramedServer(start, policy)
    people = _People(machines, start, lost, costs)
    heard: list[tuple[ClientId, Frames] | None] = []
    queue = server.start()
    while not server.machine.over:
        if not queue:
            heard.append(None)
            queue = server.time_up()
            continue
        report(Progress(stage="round", note=f"{size.name} {server.phase.name.lower()}"))
        answers = people.answers(queue.pop(0))
        heard += answers
        for client, frames in answers:
            queue += server.hear(client, frames)
    return Tape(start, policy, tuple(heard), costs, lost)


@dataclass(frozen=True)
class _People:
    machines: dict[ClientId, ClientMachine]
    start: RoundStart
    lost: frozenset[ClientId]
    costs: PhaseCosts

    def answers(self, sent: SentFrames) -> list[tuple[ClientId, Frames]]:
        """Of everybody who is asked and not lost; together they count as one piece of work."""
        began, found, phase = clocks(), [], Phase.ADVERTISE
        for client in sent.to:
            for reply in self._replies(client, sent):
                phase = PHASE_OF[type(reply)]
                if client in self.lost and phase.value >= Phase.UPLOAD.value:
                    continue
                kind, body = codec.kind_of(reply), codec.encode_client(reply)
                frames = client_frames(self.start.description.round_id, kind, body)
                found.append((client, tuple(frames)))
        size = sum(len(frame) for _, frames in found for frame in frames)
        self.costs.spend(phase, began, size)
        return found

    def _replies(self, client: ClientId, sent: SentFrames) -> list[ClientMessage]:
        machine, plan = self.machines[client], self.start.plan
        limits = Limits(len(self.machines), plan.dim, plan.rows)
        message = codec.decode_server(sent.kind, sent.body, limits)
        if isinstance(message, FinalModel | Exclusion | NewPolicy):
            raise TypeError("of no round")
        effects = machine.on_message(message)
        if any(isinstance(effect, Train) for effect in effects):
            effects = effects + machine.on_update(some_update(plan.dim), _ROUNDING, None)
        return [effect.message for effect in effects if isinstance(effect, Reply)]
