"""One whole round on one's own updates: groups, statistics, agreement, the accepted total."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auror.crypto.entropy import Entropy, Secret, system_entropy
from auror.crypto.signing import SigningKey
from auror.defence.ledger import GroupObservation
from auror.errors import ConfigError
from auror.ids import ROUND_NONCE_BYTES, ClientId
from auror.library.sums import by_client
from auror.params import Budget, OwnRules, RoundParams
from auror.round.arithmetic import check_round, quantiser
from auror.round.client.machine import ClientMachine
from auror.round.client.memory import ClientMemory
from auror.round.plan import OutputLayer, PlanPart, StatisticsPlan, session_sketch
from auror.round.policy import DEPLOYMENT_BYTES, Policy
from auror.round.record import OpenedGroup
from auror.round.run import run_round as play
from auror.round.server.context import Decision, Phase
from auror.sim.local import first_round, local_policy
from auror.training.observations import RoundPlan, observe

Accept = Callable[[tuple[GroupObservation, ...]], Collection[int]]
"""From the opened groups to the positions of those that the total may hold."""


@dataclass(frozen=True, slots=True, eq=False)
class RoundResult:
    """What the server of one round holds at its end."""

    total: NDArray[np.float64] | None
    """Sum of the accepted clients' quantised updates (d,); None when the round was aborted."""
    accepted: tuple[ClientId, ...]
    """Whose updates are in the total."""
    opened: tuple[GroupObservation, ...]
    """The groups whose statistics were opened: members, and their mean (k,) in units of the
    update."""
    aborted: str | None
    """Why there is no total."""

    @property
    def mean(self) -> NDArray[np.float64] | None:
        """Mean update of the accepted clients, (d,)."""
        return None if self.total is None else self.total / len(self.accepted)


def run_round(
    updates: Mapping[int, ArrayLike] | Sequence[ArrayLike],
    *,
    group_size: int = 5,
    colluders: int = 0,
    clip: float = 0.5,
    bits: int = 16,
    sketch_rows: int = 8,
    entries: tuple[int, int] | None = None,
    accept: Accept | None = None,
    lost: Mapping[int, str] | None = None,
) -> RoundResult:
    """Play the whole protocol (docs/protocol.md) between real machines in this process.

    Args:
        updates: (d,) of every client.
        group_size: g, clients whose statistics are opened as one sum.
        colluders: c, clients that are assumed to collude: it decides thresholds.
        clip: entries are clipped to ± this, in units of the update.
        bits: of one quantised entry, 2 … 24; rounding is stochastic and unbiased.
        sketch_rows: statistics opened per group, rows of a random sketch of the update.
        entries: first and number of entries that are opened per group themselves, if any.
        accept: the defence; by default every group is accepted.
        lost: client → name of the phase ("upload", "statistics", …) before which it vanishes.

    Raises:
        ConfigError: parameters that cannot work for so many clients. DataError: unlike updates.
    """
    vectors = {c: np.asarray(v, np.float32).ravel() for c, v in by_client(updates).items()}
    dim = next(iter(vectors.values())).size
    params = RoundParams(
        group_size=group_size,
        colluders=colluders,
        quantisation_bits=bits,
        quantisation_range=clip,
        challenge_rows=0,
    )
    check_round(params, len(vectors), dim)  # a sketch's row adds up d entries at most
    vanish = {ClientId(int(client)): _phase(name) for client, name in (lost or {}).items()}
    if unknown := sorted(vanish.keys() - vectors.keys()):
        raise ConfigError(f"client {unknown[0]} cannot be lost: it has no update")
    keys = {client: SigningKey.draw(system_entropy) for client in vectors}
    model = np.zeros(dim, dtype=np.float32)
    policy = local_policy(
        keys,
        SigningKey.draw(system_entropy),
        params,
        Budget.for_rounds(1, 1),
        [model],
        deployment=system_entropy(DEPLOYMENT_BYTES),
    )
    plan = _plan(policy, dim, sketch_rows, entries)
    shown = RoundPlan(plan, None)

    def decide(groups: tuple[OpenedGroup, ...], _plan: StatisticsPlan) -> Decision:
        if accept is None:
            return Decision(tuple(group.index for group in groups), {})
        chosen = set(accept(observe(shown, quantiser(params), groups)))
        kept = tuple(group.index for at, group in enumerate(groups) if at in chosen)
        return Decision(kept, {g.index: "not accepted" for g in groups if g.index not in kept})

    outcome = play(
        first_round(policy, plan, model, tuple(vectors), system_entropy(ROUND_NONCE_BYTES)),
        policy,
        {client: _machine(client, key, policy) for client, key in keys.items()},
        vectors,
        _rounding(system_entropy, vectors).__getitem__,
        decide,
        vanish,
    )
    opened = observe(shown, quantiser(params), outcome.summary.opened)
    if outcome.total is None:
        reason = outcome.aborted.value if outcome.aborted is not None else "no total"
        detail = f" ({outcome.detail})" if outcome.detail else ""
        return RoundResult(None, (), opened, reason + detail)
    accepted = outcome.total.accepted
    total = quantiser(params).mean(outcome.total.total, len(accepted)) * len(accepted)
    return RoundResult(total, accepted, opened, None)


def _phase(name: str) -> Phase:
    try:
        return Phase[name.upper().replace(" ", "_").replace("-", "_")]
    except KeyError as error:
        known = ", ".join(phase.name.lower() for phase in Phase)
        raise ConfigError(f"there is no phase {name!r}: choose of {known}") from error


def _plan(
    policy: Policy, dim: int, sketch_rows: int, entries: tuple[int, int] | None
) -> StatisticsPlan:
    parts: list[PlanPart] = []
    if entries is not None:
        part = OutputLayer(*entries)
        if not part.fits(dim):
            raise ConfigError(f"entries = {entries}: first and number must lie in 0 … {dim}")
        parts.append(part)
    if sketch_rows:
        if not 0 < sketch_rows <= dim:
            raise ConfigError(f"sketch_rows = {sketch_rows}: choose 0 … {dim}")
        parts.append(session_sketch(policy.digest(), sketch_rows))
    return StatisticsPlan(dim, tuple(parts))


def _machine(client: ClientId, key: SigningKey, policy: Policy) -> ClientMachine:
    return ClientMachine(
        client, key, policy, OwnRules(), ClientMemory(), system_entropy, lambda: 0.0
    )


def _rounding(entropy: Entropy, clients: Collection[ClientId]) -> dict[ClientId, Secret]:
    """Drawn once per round: a machine may ask again for the very same rounding."""
    return {client: Secret.draw(entropy) for client in clients}
