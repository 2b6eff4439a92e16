"""A whole round from invitation to bound total, in memory: both machines, no network, no clock.

The driver below is all that a program adds to the machines: it carries messages and says when a
phase's time is up. ``auror.sim`` adds faults to it, ``auror_server`` and ``auror_client`` TLS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import Secret
from auror.errors import AbortReason
from auror.ids import ClientId
from auror.round.client.machine import ClientMachine
from auror.round.client.state import Reply, Train
from auror.round.label_rows import ClassMeans
from auror.round.messages import ClientMessage, RoundStart, ServerMessage
from auror.round.plan import StatisticsPlan
from auror.round.policy import Policy
from auror.round.public import PublicSeed, protocol_seed
from auror.round.record import OpenedGroup
from auror.round.server.context import (
    Aborted,
    Decision,
    Finished,
    Opened,
    Phase,
    RoundTotal,
    Send,
    ServerEffect,
)
from auror.round.server.machine import RoundServer
from auror.round.server.state import ORDER
from auror.round.summary import RoundSummary

PHASE_OF = dict(zip(ORDER, Phase, strict=True))
"""The phase that each message of a client belongs to."""


@dataclass(frozen=True)
class RoundOutcome:
    """How a round ended; ``total`` is None exactly when ``aborted`` is set."""

    total: RoundTotal | None
    aborted: AbortReason | None
    detail: str
    summary: RoundSummary
    """How far it got, whatever became of it."""


Decide = Callable[[tuple[OpenedGroup, ...], StatisticsPlan], Decision]
"""The defence: from opened group sums, and the plan they follow, to the accepted groups."""


def accept_all(groups: tuple[OpenedGroup, ...], plan: StatisticsPlan) -> Decision:
    """The verdict of a server that defends against nobody."""
    return Decision(tuple(group.index for group in groups), {})


def run_round(
    start: RoundStart,
    policy: Policy,
    clients: Mapping[ClientId, ClientMachine],
    updates: Mapping[ClientId, NDArray[np.float32]],
    rounding: Callable[[ClientId], Secret],
    decide: Decide = accept_all,
    lost: Mapping[ClientId, Phase] | None = None,
    public_seed: PublicSeed = protocol_seed,
    overhear: Callable[[ClientId, ClientMessage], None] = lambda client, message: None,
    *,
    class_means: ClassMeans | None = None,
) -> RoundOutcome:
    """Play one round.

    Args:
        clients: one machine per client of the cohort.
        updates: what each of them trained, float32 (d,).
        rounding: the seed of a client's stochastic rounding; fresh in every round.
        lost: clients that vanish just before they would answer the named phase.
        class_means: what each of them finds the signed clean samples to look like; needed when the
            plan has label rows.
    """
    lost = lost or {}
    server = RoundServer(start, policy, {}, public_seed)
    outcome: RoundOutcome | None = None
    queue: list[ServerEffect] = server.start()
    while outcome is None:
        if not queue:  # everybody who is still there has answered
            queue = server.on_deadline()
        effect = queue.pop(0)
        match effect:
            case Send(to, message):
                for client in to:
                    for reply in _answers(
                        clients[client],
                        message,
                        updates[client],
                        rounding(client),
                        class_means,
                    ):
                        if not _lost_before(reply, lost.get(client)):
                            overhear(client, reply)
                            queue += server.on_message(client, reply)
            case Opened(groups, plan):
                queue += server.on_decision(decide(groups, plan))
            case Finished(total):
                outcome = RoundOutcome(total, None, "", server.summary)
            case Aborted(reason, detail):
                outcome = RoundOutcome(None, reason, detail, server.summary)
            case _:
                pass  # nothing is durable in memory, and drops stand in the summary
    return outcome


def _answers(
    machine: ClientMachine,
    message: ServerMessage,
    update: NDArray[np.float32],
    rounding: Secret,
    class_means: ClassMeans | None,
) -> list[ClientMessage]:
    """Replies to one message; training takes no time here, so the update follows at once."""
    effects = machine.on_message(message)
    if any(isinstance(effect, Train) for effect in effects):
        effects = effects + machine.on_update(update, rounding, class_means)
    return [effect.message for effect in effects if isinstance(effect, Reply)]


def _lost_before(reply: ClientMessage, lost: Phase | None) -> bool:
    phase = PHASE_OF.get(type(reply))
    return lost is not None and phase is not None and phase.value >= lost.value
