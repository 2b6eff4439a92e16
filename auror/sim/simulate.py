"""A whole defended run in one process: the campaign, the machines, seeded randomness, dropouts."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import Secret
from auror.crypto.signing import SigningKey
from auror.errors import ConfigError
from auror.ids import ClientId, Digest
from auror.params import ClientPolicy
from auror.round.campaign import Campaign, CampaignConfig
from auror.round.client.machine import ClientMachine
from auror.round.client.memory import ClientMemory
from auror.round.description import Roster, RosterEntry
from auror.round.host import ModelHost
from auror.round.messages import RoundStart
from auror.round.plan import LabelConfusion, StatisticsPlan
from auror.round.record import RoundRecord
from auror.round.run import RoundOutcome, run_round
from auror.round.server.context import Phase
from auror.sim.plain import plain_round
from auror.sim.population import LocalTrainer, Updates
from auror.sim.seeded import rounding_seed, seeded_entropy, seeded_public_seed

_AFTER_UPLOAD = (Phase.STATISTICS, Phase.OPEN_STATISTICS, Phase.AGREE, Phase.UNMASK)


class Aggregation(enum.Enum):
    """``secure`` runs the whole protocol; ``plain`` computes the same sums directly."""

    SECURE = "secure"
    PLAIN = "plain"


@dataclass(frozen=True, kw_only=True)
class SimulationConfig:
    """One simulated run."""

    campaign: CampaignConfig
    seed: int
    clients: int
    aggregation: Aggregation = Aggregation.SECURE
    dropout_before: float = 0.0
    """Fraction of the cohort, drawn anew every round, that vanishes before its upload."""
    dropout_after: float = 0.0
    """Fraction that vanishes after it, before some later phase."""

    def __post_init__(self) -> None:
        for name in ("dropout_before", "dropout_after"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)}: choose 0 … 1, below 1")


@dataclass(frozen=True)
class SimulatedRound:
    """What an observer of the simulation sees after each round; a server sees ``record`` only."""

    record: RoundRecord
    plan: StatisticsPlan
    updates: Updates
    """Of everybody who uploaded."""
    model: NDArray[np.float32]
    campaign: Campaign


Observer = Callable[[SimulatedRound], None]


@dataclass(frozen=True)
class SimulationResult:
    model: NDArray[np.float32]
    records: tuple[RoundRecord, ...]
    campaign: Campaign


def simulate(
    config: SimulationConfig, host: ModelHost, trainer: LocalTrainer, observe: Observer
) -> SimulationResult:
    """Run the campaign to its end.

    Raises:
        ConfigError: the parameters cannot work, or too few clients are left.
    """
    keys = {
        ClientId(i): SigningKey.draw(seeded_entropy(config.seed, "identity", i))
        for i in range(config.clients)
    }
    roster = _roster(config.seed, keys)
    campaign = Campaign(config.campaign, host, roster, seeded_entropy(config.seed, "campaign"))
    clients = _machines(config, keys, roster)
    records: list[RoundRecord] = []
    while (start := campaign.next_round()) is not None:
        counter, cohort = start.description.round_id.counter, start.description.cohort
        updates = trainer.train(start.model, cohort, counter, _basis(start.plan))
        lost = _draw_lost(config, start)
        outcome = _play(config, start, roster, clients, updates, campaign, lost)
        _end, record = campaign.finish(outcome.progress, outcome.total, outcome.aborted)
        records.append(record)
        sent_up = {client: updates[client] for client in record.uploaded}
        observe(SimulatedRound(record, start.plan, sent_up, campaign.state.model, campaign))
    return SimulationResult(campaign.state.model, tuple(records), campaign)


def _basis(plan: StatisticsPlan) -> NDArray[np.float64] | None:
    """What a client reads in the plan it is sent: attackers may hide from it."""
    found = (part.matrix for part in plan.parts if isinstance(part, LabelConfusion))
    return next((matrix.astype(np.float64) for matrix in found), None)


def _play(
    config: SimulationConfig,
    start: RoundStart,
    roster: Roster,
    clients: dict[ClientId, ClientMachine],
    updates: Updates,
    campaign: Campaign,
    lost: dict[ClientId, Phase],
) -> RoundOutcome:
    counter = start.description.round_id.counter
    public_seed = seeded_public_seed(config.seed)

    def rounding(client: ClientId) -> Secret:
        return rounding_seed(config.seed, counter, client)

    if config.aggregation is Aggregation.PLAIN:
        return plain_round(start, roster, updates, rounding, campaign.decide, lost, public_seed)
    return run_round(start, roster, clients, updates, rounding, campaign.decide, lost, public_seed)


def _machines(
    config: SimulationConfig, keys: dict[ClientId, SigningKey], roster: Roster
) -> dict[ClientId, ClientMachine]:
    if config.aggregation is Aggregation.PLAIN:
        return {}
    params = config.campaign.params
    policy = ClientPolicy(min_group=1, colluders=params.colluders)
    return {
        client: ClientMachine(
            client,
            key,
            roster,
            policy,
            ClientMemory(),
            seeded_entropy(config.seed, "client", client),
            seeded_public_seed(config.seed),
        )
        for client, key in keys.items()
    }


def _roster(seed: int, keys: dict[ClientId, SigningKey]) -> Roster:
    no_certificate = Digest(bytes(32))  # nothing connects anywhere in a simulation
    entries = {c: RosterEntry(c, key.verify_key, no_certificate) for c, key in keys.items()}
    operator = SigningKey.draw(seeded_entropy(seed, "operator"))
    return Roster.signed(f"simulation-{seed}", entries, operator)


def _draw_lost(config: SimulationConfig, start: RoundStart) -> dict[ClientId, Phase]:
    """Who vanishes in this round, and just before which answer."""
    counter, cohort = start.description.round_id.counter, start.description.cohort
    rng = np.random.default_rng([config.seed, 2, counter])
    order = [cohort[i] for i in rng.permutation(len(cohort))]
    before = round(config.dropout_before * len(cohort))
    after = round(config.dropout_after * len(cohort))
    lost = dict.fromkeys(order[:before], Phase.UPLOAD)
    for client in order[before : before + after]:
        lost[client] = _AFTER_UPLOAD[int(rng.integers(len(_AFTER_UPLOAD)))]
    return lost
