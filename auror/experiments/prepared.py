"""What an experiment starts from: data, task, host, and clients of whom some are malicious."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from auror.crypto.entropy import system_entropy
from auror.crypto.signing import SigningKey
from auror.defence.paper import calibrate_alpha
from auror.errors import ConfigError
from auror.experiments.config import NONE_VANISH, Dropout, ExperimentConfig, RunName
from auror.experiments.result import Metrics
from auror.ids import ClientId
from auror.learn.datasets import Dataset
from auror.learn.device import resolve_device
from auror.learn.host import TorchHost
from auror.learn.partition import Partition
from auror.learn.pinned import PinnedTask
from auror.learn.task import Task
from auror.learn.task_data import AsLoaded, TaskData, simulated
from auror.learn.training import client_seed, train_client
from auror.sim.population import LocalTrainer, Population
from auror.sim.simulate import (
    Aggregation,
    Observer,
    SimulationConfig,
    SimulationResult,
    signed_policy,
    simulate,
)
from auror.training.config import CampaignConfig
from auror.training.detectors import DetectorDials
from auror.training.observations import check_plan, label_rows, usable


@dataclass(frozen=True)
class Prepared:
    """Data, model and clients of one experiment."""

    config: ExperimentConfig
    data: Dataset
    pinned: PinnedTask
    device: torch.device
    host: TorchHost
    population: Population
    honest: Population
    """The same clients, all of them honest."""
    partition: Partition | AsLoaded
    """Who has which of the training samples."""

    @classmethod
    def of(cls, config: ExperimentConfig) -> Prepared:
        """Load, divide and poison the data.

        Raises:
            UserError: unknown data set, device, class or a partition that cannot be made.
        """
        torch.set_num_threads(1)  # models this small only wait for more; and results repeat
        device = resolve_device(config.device)
        found = simulated(
            config.task,
            config.source,
            config.seed,
            config.clean_per_class,
            config.clients,
            config.partition,
        )
        data, pinned = found.data, PinnedTask(found.task, config.training)
        _check_attack(config, found.task)
        host = TorchHost(pinned, data, device, config.seed, config.attack)
        host.try_metrics()
        return cls(
            config,
            data,
            pinned,
            device,
            host,
            _divide(config, found, config.malicious),
            _divide(config, found, 0),
            found.partition,
        )

    def metrics(self, model: NDArray[np.float32]) -> Metrics:
        return Metrics.of(self.host.evaluate(model))

    def trainer(self, population: Population) -> LocalTrainer:
        return LocalTrainer(population, self.pinned, self.config.seed, self.device)

    def known_matrix(self, model: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """M (C, h) as a defended round under ``model`` reads it, for attackers who hide from it;
        None where there is no output layer to read."""
        if self.host.output is None:
            return None
        return label_rows(self.host, model, self.config.round_params).matrix.astype(np.float64)

    def campaign_config(self) -> CampaignConfig:
        """The defended run as the server configures it."""
        config, kind = self.config, self.config.detector.kind
        alpha = (config.alpha or self._calibrated()) if kind.thresholds else 0.0
        return CampaignConfig(
            rounds=config.rounds,
            after_flag=config.after_flag,
            plan=kind.plan,
            detector=kind.make(DetectorDials(config.error_rate, alpha, config.tau)),
            flag_small_cohorts=config.flag_small_cohorts,
        )

    def check_statistics(self) -> None:
        """Raises ConfigError where the defended run would begin with statistics that no policy
        signs or that clients refuse: found out before anything is trained."""
        config, host = self.config, self.host
        if config.rule is not None or RunName.DEFENDED not in config.runs:
            return
        keys = {ClientId(i): SigningKey.draw(system_entropy) for i in range(config.clients)}
        policy = signed_policy(
            config.seed,
            keys,
            SigningKey.draw(system_entropy),
            CampaignConfig(rounds=config.rounds, plan=config.detector.kind.plan),
            config.round_params,
            host,
        )
        opened = usable(config.detector.kind.plan, host.dim, host.output, policy.caps)
        check_plan(opened, host, host.initial(0), policy)

    def root_update(self, model: NDArray[np.float32], index: int) -> NDArray[np.float32] | None:
        """What the server would send if it trained on its clean samples as a client does, (d,);
        None without such samples."""
        config, data = self.config, self.data
        if not len(data.clean_y):
            return None
        return train_client(
            self.pinned.task,
            model,
            data.clean_x,
            data.clean_y,
            params=config.training,
            seed=client_seed(config.seed, index, config.clients),
            device=self.device,
        )

    def simulate(
        self,
        campaign: CampaignConfig,
        population: Population,
        observe: Observer,
        aggregation: Aggregation,
        dropout: Dropout = NONE_VANISH,
    ) -> SimulationResult:
        """A training of ``population`` under this experiment's parameters and seed."""
        config = self.config
        return simulate(
            SimulationConfig(
                campaign=campaign,
                params=config.round_params,
                seed=config.seed,
                clients=config.clients,
                aggregation=aggregation,
                dropout_before=dropout.before,
                dropout_after=dropout.after,
            ),
            self.host,
            self.trainer(population),
            observe,
        )

    def _calibrated(self) -> float:
        """α of the published algorithm, from a run in which nobody lies."""
        config = self.config
        plan = config.detector.kind.plan
        honest = CampaignConfig(rounds=config.rounds, plan=plan, defend=False)
        result = self.simulate(honest, self.honest, lambda _: None, Aggregation.PLAIN)
        return calibrate_alpha(result.campaign.ledger)


def _check_attack(config: ExperimentConfig, task: Task) -> None:
    """Raises ConfigError where attack, detector and task cannot work together."""
    attack, plan = config.attack, config.detector.kind.plan
    if attack is not None and task.classes is not None:
        attack.check(task.classes)
    elif attack is not None and attack.aim is not None:
        raise ConfigError(
            f"attack = {attack} mislabels, and {task} has no labels: choose malicious = 0 with"
            " attack = none, or an attack on updates such as sign"
        )
    if not plan.confusion and plan.output_layer and task.layout.output is None:
        raise ConfigError(
            f"detector = {config.detector} reads the output layer, and {task} has none with a row"
            " per class: choose detector = decoded"
        )


def _divide(config: ExperimentConfig, found: TaskData, malicious: int) -> Population:
    return Population.divide(
        found.data, found.partition, config.clients, malicious, config.attack, config.seed
    )
