"""The clients of a simulated run: their samples, who of them is malicious, how they train."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from auror.errors import ConfigError
from auror.ids import ClientId
from auror.learn.attack import Attack, Knowledge, changed_samples, poisoned_samples
from auror.learn.attacks import draw_malicious
from auror.learn.cohort_training import train_clients
from auror.learn.datasets import Dataset
from auror.learn.partition import Partition
from auror.learn.pinned import PinnedTask
from auror.learn.task_data import AsLoaded
from auror.learn.training import client_seed, train_client
from auror.round.label_rows import LabelRows
from auror.round.plan import StatisticsPlan

Updates = dict[ClientId, NDArray[np.float32]]


@dataclass(frozen=True)
class Population:
    """Everybody's training samples. Nothing but the attack code knows who is malicious."""

    x: Mapping[ClientId, NDArray[np.float32]]
    y: Mapping[ClientId, NDArray[np.int64]]
    malicious: tuple[ClientId, ...]
    poisoned: Mapping[ClientId, int]
    """Malicious client → samples that it really changed; all of them when it forges updates."""
    forged: Attack | None = None
    """What forges the malicious clients' updates, None when they send what they trained."""
    truth: Mapping[ClientId, tuple[NDArray[np.float32], NDArray[np.int64]]] = field(
        default_factory=dict
    )
    """Malicious client → its samples and labels before it touched them."""

    @classmethod
    def divide(
        cls,
        data: Dataset,
        partition: Partition | AsLoaded,
        clients: int,
        malicious: int,
        attack: Attack | None,
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
        shares = partition.split(data.train_y, clients, seed, data.train_tracks)
        chosen = draw_malicious(clients, malicious, seed)
        x = {ClientId(i): data.train_x[index] for i, index in enumerate(shares)}
        y = {ClientId(i): data.train_y[index] for i, index in enumerate(shares)}
        poisoned: dict[ClientId, int] = {}
        truth = {client: (x[client], y[client]) for client in chosen}
        for client in chosen:
            if attack is None:
                break
            rng = np.random.default_rng([seed, 1, client])
            x[client], y[client] = poisoned_samples(attack, *truth[client], rng, data.spec.classes)
            count = changed_samples(truth[client], (x[client], y[client]))
            poisoned[client] = count if attack.poisons else len(y[client])
        forged = attack if attack is not None and attack.forges else None
        return cls(x, y, chosen, poisoned, forged, truth)

    def honest(self) -> tuple[ClientId, ...]:
        return tuple(client for client in self.x if client not in self.malicious)


def basis_of(plan: StatisticsPlan) -> NDArray[np.float64] | None:
    """M (C, h) that a client reads in the plan it is sent: attackers may hide from it."""
    found = (part.matrix for part in plan.parts if isinstance(part, LabelRows))
    return next((matrix.astype(np.float64) for matrix in found), None)


@dataclass(frozen=True)
class LocalTrainer:
    """Trains a cohort's clients. ``vmap`` trains all at once; without it each one as the client
    program does, in its own loop: slower, and bit for bit what the program computes."""

    population: Population
    pinned: PinnedTask
    seed: int
    device: torch.device
    vmap: bool = True

    def train(
        self,
        model: NDArray[np.float32],
        cohort: tuple[ClientId, ...],
        counter: int,
        basis: NDArray[np.float64] | None = None,
    ) -> Updates:
        """Updates (new − old), float32 (d,), of every client of ``cohort`` in round ``counter``.

        ``basis`` (C, h): what the round's statistics read of the output layer, for attackers who
        hide from it; None: they read all of it.
        """
        population = self.population
        updates = self._train(model, cohort, counter, population.x, population.y)
        forgers = tuple(client for client in cohort if client in population.malicious)
        if population.forged is None or not forgers:
            return updates
        true_x = {client: population.truth[client][0] for client in forgers}
        true_y = {client: population.truth[client][1] for client in forgers}
        found = self.pinned.task.layout
        honest = [update for client, update in updates.items() if client not in forgers]
        known = Knowledge(
            attacking={client: updates[client] for client in forgers},
            own=self._train(model, forgers, counter, true_x, true_y),
            honest=np.stack(honest) if honest else np.zeros((1, found.dim), dtype=np.float32),
            counter=counter,
            output=found.output,
            basis=basis,
        )
        return {**updates, **population.forged.forge(known)}

    def _train(
        self,
        model: NDArray[np.float32],
        cohort: tuple[ClientId, ...],
        counter: int,
        x: Mapping[ClientId, NDArray[np.float32]],
        y: Mapping[ClientId, NDArray[np.int64]],
    ) -> Updates:
        seeds = [client_seed(self.seed, counter, client) for client in cohort]
        if self.vmap:
            stacked = train_clients(
                self.pinned.task,
                model,
                [x[client] for client in cohort],
                [y[client] for client in cohort],
                params=self.pinned.training,
                seeds=seeds,
                device=self.device,
            )
            return dict(zip(cohort, stacked, strict=True))
        return {
            client: train_client(
                self.pinned.task,
                model,
                x[client],
                y[client],
                params=self.pinned.training,
                seed=seed,
                device=self.device,
            )
            for client, seed in zip(cohort, seeds, strict=True)
        }
