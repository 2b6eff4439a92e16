"""A whole defended run in one process: the campaign, the machines, seeded randomness, dropouts."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import Secret
from auror.crypto.kex import agreed_once
from auror.crypto.signing import SigningKey, verified_once
from auror.errors import ConfigError
from auror.ids import ClientId
from auror.params import (
    LABEL_PART,
    LAYER_PART,
    PLAN_PARTS,
    Budget,
    OwnRules,
    PlanCaps,
    RoundParams,
)
from auror.round.client.machine import ClientMachine
from auror.round.client.memory import ClientMemory
from auror.round.label_rows import ClassMeans
from auror.round.messages import RoundStart
from auror.round.plan import StatisticsPlan
from auror.round.policy import DEPLOYMENT_BYTES, Policy
from auror.round.record import RoundRecord
from auror.round.run import RoundOutcome, run_round
from auror.round.server.context import Phase
from auror.sim.local import NEVER, local_policy
from auror.sim.plain import plain_round
from auror.sim.population import LocalTrainer, Updates, basis_of
from auror.sim.seeded import rounding_seed, seeded_bytes, seeded_entropy, seeded_public_seed
from auror.training.campaign import Campaign
from auror.training.config import CampaignConfig
from auror.training.host import ModelHost

_AFTER_UPLOAD = (Phase.CONSISTENCY, Phase.DRAW, Phase.STATISTICS, Phase.AGREE, Phase.UNMASK)


_SIGNATURES = 8
"""More than a client makes in a round."""
_AGREEMENTS = 2
"""More than a client makes in a round with each of the others, counted once for both."""


class Aggregation(enum.Enum):
    """``secure`` runs the whole protocol; ``plain`` computes the same sums directly."""

    SECURE = "secure"
    PLAIN = "plain"


@dataclass(frozen=True, kw_only=True)
class SimulationConfig:
    """One simulated run."""

    campaign: CampaignConfig
    params: RoundParams
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
    n = config.clients
    with verified_once(_SIGNATURES * n), agreed_once(_AGREEMENTS * n * n):
        return _simulate(config, host, trainer, observe)


def _simulate(
    config: SimulationConfig, host: ModelHost, trainer: LocalTrainer, observe: Observer
) -> SimulationResult:
    operator = _Operator.enrol(config, host)
    campaign = Campaign(
        config.campaign, host, operator.policy, seeded_entropy(config.seed, "campaign")
    )
    clients = operator.clients({})
    records: list[RoundRecord] = []
    while True:
        if _cramped(config, campaign):
            operator.exclude(campaign.uninvited)
            campaign.adopt(operator.policy)
            clients = operator.clients(clients)
        start = campaign.next_round()
        if start is None:
            break
        counter, cohort = start.description.round_id.counter, start.description.cohort
        updates = trainer.train(start.model, cohort, counter, basis_of(start.plan))
        lost = _draw_lost(config, start)
        means = _means_of(host, start.model) if clients else None
        outcome = _play(config, start, clients, updates, means, campaign, lost)
        _end, record = campaign.finish(outcome.summary, outcome.total, outcome.aborted)
        records.append(record)
        sent_up = {client: updates[client] for client in record.uploaded}
        observe(SimulatedRound(record, start.plan, sent_up, campaign.state.models.model, campaign))
    return SimulationResult(campaign.state.models.model, tuple(records), campaign)


def _means_of(host: ModelHost, model: NDArray[np.float32]) -> ClassMeans | None:
    """What every client finds, once for all of them: they have the host's own samples."""
    output = host.output
    return None if output is None else ClassMeans(output, host.class_means(model))


def signed_policy(
    seed: int,
    keys: Mapping[ClientId, SigningKey],
    operator: SigningKey,
    campaign: CampaignConfig,
    params: RoundParams,
    host: ModelHost,
) -> Policy:
    """What an operator would sign for this campaign: version 1, without an end.

    Raises:
        ConfigError: the parameters cannot work for so many clients or classes.
    """
    eras = 2 if campaign.restarts else 1
    read, output = campaign.plan, host.output
    parts = {LABEL_PART: read.confusion, LAYER_PART: read.output_layer}
    caps = PlanCaps.reading(
        [part for part, opened in parts.items() if opened and output is not None],
        0 if output is None else output.classes,
        0 if output is None else output.entries,
        params.challenge_rows,
        PLAN_PARTS,
    )
    return local_policy(
        keys,
        operator,
        params,
        Budget.for_rounds(campaign.rounds, eras, params.rounds_of_doubt(len(keys))),
        [host.initial(era) for era in range(eras)],
        deployment=seeded_bytes(seed, "deployment", length=DEPLOYMENT_BYTES),
        task=host.task,
        caps=caps,
    )


@dataclass
class _Operator:
    """Enrols everybody, and issues the next version of the policy when exclusions ask for it."""

    config: SimulationConfig
    key: SigningKey
    identities: Mapping[ClientId, SigningKey]
    policy: Policy

    @classmethod
    def enrol(cls, config: SimulationConfig, host: ModelHost) -> _Operator:
        seed = config.seed
        keys = {
            ClientId(i): SigningKey.draw(seeded_entropy(seed, "identity", i))
            for i in range(config.clients)
        }
        key = SigningKey.draw(seeded_entropy(seed, "operator"))
        policy = signed_policy(seed, keys, key, config.campaign, config.params, host)
        return cls(config, key, keys, policy)

    def exclude(self, gone: frozenset[ClientId]) -> None:
        members = self.policy.members.keys()
        self.policy = self.policy.successor(self.key, gone & members, NEVER)

    def clients(self, before: Mapping[ClientId, ClientMachine]) -> dict[ClientId, ClientMachine]:
        """A machine per member under the present policy, with the memory it had ``before``."""
        if self.config.aggregation is Aggregation.PLAIN:
            return {}
        seed, policy = self.config.seed, self.policy
        return {
            client: ClientMachine(
                client,
                self.identities[client],
                policy,
                OwnRules(),
                before[client].memory if client in before else ClientMemory(),
                seeded_entropy(seed, "client", client, "policy", policy.version),
                lambda: 0.0,
                seeded_public_seed(seed),
            )
            for client in policy.members
        }


def _cramped(config: SimulationConfig, campaign: Campaign) -> bool:
    """Whether those who may still be invited, less the dropouts, fall below the floor."""
    left = len(campaign.invitable)
    lost = round(config.dropout_before * left)
    return len(campaign.uninvited & campaign.policy.members.keys()) > 0 and (
        left - lost < campaign.policy.fewest_present(False)
    )


def _play(
    config: SimulationConfig,
    start: RoundStart,
    clients: Mapping[ClientId, ClientMachine],
    updates: Updates,
    means: ClassMeans | None,
    campaign: Campaign,
    lost: dict[ClientId, Phase],
) -> RoundOutcome:
    counter, policy = start.description.round_id.counter, campaign.policy
    public_seed = seeded_public_seed(config.seed)

    def rounding(client: ClientId) -> Secret:
        return rounding_seed(config.seed, counter, client)

    if config.aggregation is Aggregation.PLAIN:
        return plain_round(start, policy, updates, rounding, campaign.decide, lost, public_seed)
    return run_round(
        start,
        policy,
        clients,
        updates,
        rounding,
        campaign.decide,
        lost,
        public_seed,
        class_means=means,
    )


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
