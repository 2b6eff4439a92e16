"""The clients of a simulated run: their samples, who of them is malicious, how they train."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from auror.errors import ConfigError
from auror.ids import ClientId
from auror.learn.attacks import LabelFlip, draw_malicious, poison
from auror.learn.datasets import Dataset
from auror.learn.partition import Partition
from auror.learn.task import Task
from auror.learn.training import client_seed, train_client, train_clients

Updates = dict[ClientId, NDArray[np.float32]]


@dataclass(frozen=True)
class Population:
    """Everybody's training samples. Nothing but the attack code knows who is malicious."""

    x: Mapping[ClientId, NDArray[np.float32]]
    y: Mapping[ClientId, NDArray[np.int64]]
    malicious: tuple[ClientId, ...]
    poisoned: Mapping[ClientId, int]
    """Malicious client → labels that it really changed."""

    @classmethod
    def divide(
        cls,
        data: Dataset,
        partition: Partition,
        clients: int,
        malicious: int,
        attack: LabelFlip | None,
        seed: int,
    ) -> Population:
        """Deal the training samples to the clients and let the malicious ones poison theirs.

        Raises:
            ConfigError: more malicious clients than clients, or malicious ones without an attack.
        """
        if not 0 <= malicious <= clients:
            raise ConfigError(f"malicious = {malicious}: choose 0 … {clients}")
        if malicious and attack is None:
            raise ConfigError(
                f"malicious = {malicious} with attack none: name an attack (flip:4:9) or choose 0"
            )
        shares = partition.split(data.train_y, clients, seed)
        chosen = draw_malicious(clients, malicious, seed)
        x = {ClientId(i): data.train_x[index] for i, index in enumerate(shares)}
        y = {ClientId(i): data.train_y[index] for i, index in enumerate(shares)}
        poisoned: dict[ClientId, int] = {}
        for client in chosen:
            if attack is not None:
                rng = np.random.default_rng([seed, 1, client])
                y[client], poisoned[client] = poison(y[client], attack, rng)
        return cls(x, y, chosen, poisoned)

    def honest(self) -> tuple[ClientId, ...]:
        return tuple(client for client in self.x if client not in self.malicious)


@dataclass(frozen=True)
class LocalTrainer:
    """Trains a cohort's clients. ``vmap`` trains all at once; without it each one as the client
    program does, in its own loop: slower, and bit for bit what the program computes."""

    population: Population
    task: Task
    seed: int
    device: torch.device
    vmap: bool = True

    def train(
        self, model: NDArray[np.float32], cohort: tuple[ClientId, ...], counter: int
    ) -> Updates:
        """Updates (new − old), float32 (d,), of every client of ``cohort`` in round ``counter``."""
        seeds = [client_seed(self.seed, counter, client) for client in cohort]
        x, y = self.population.x, self.population.y
        if self.vmap:
            stacked = train_clients(
                self.task.model,
                model,
                [x[client] for client in cohort],
                [y[client] for client in cohort],
                params=self.task.training,
                seeds=seeds,
                device=self.device,
            )
            return dict(zip(cohort, stacked, strict=True))
        return {
            client: train_client(
                self.task.model,
                model,
                x[client],
                y[client],
                params=self.task.training,
                seed=seed,
                device=self.device,
            )
            for client, seed in zip(cohort, seeds, strict=True)
        }
