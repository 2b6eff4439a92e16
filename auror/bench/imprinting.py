"""What a model that imprints images gives away in sums of many clients, and what can be done.

The real local training and the real quantisation; sums are computed directly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.bench.crafted import members_of, public_samples
from auror.errors import ConfigError
from auror.experiments.prepared import Prepared
from auror.learn.cohort_training import train_clients
from auror.learn.imprint import RECOVERED_DB, Imprint, imprint_model, matches, read_images
from auror.learn.training import TrainingParams, client_seed
from auror.round.arithmetic import quantiser
from auror.sim.seeded import rounding_seed

Model = NDArray[np.float32]


@dataclass(frozen=True)
class Imprinted:
    """What crafted totals showed."""

    images: int
    """Different training images recovered, at ``RECOVERED_DB`` or better."""
    median_psnr: float | None
    """Of those, dB; None: there is none."""
    largest: float
    """Largest entry of any update."""


def imprint(
    prepared: Prepared,
    training: TrainingParams,
    hows: Sequence[Imprint],
    *,
    samples: int,
    noise: float = 0.0,
) -> Imprinted:
    """Send one imprint model after the other to everybody: one total each.

    Args:
        training: what clients do; ``prepared.pinned.training`` is the pinned task.
        samples: used by each client at most.
        noise: standard deviation of normal noise that every client adds to each entry of its
            update, in units of the update.
    """
    task, params = prepared.pinned.task, prepared.config.round_params
    members = members_of(prepared)
    xs = [prepared.honest.x[client][:samples] for client in members]
    ys = [prepared.honest.y[client][:samples] for client in members]
    images = np.concatenate(xs)
    seed = prepared.config.seed
    rng = np.random.default_rng([seed, 0x1337])
    coded = quantiser(params)
    best: dict[int, float] = {}
    largest = 0.0
    for index, how in enumerate(hows):
        model = imprint_model(task, public_samples(prepared), len(images), how)
        seeds = [client_seed(seed, index, client) for client in members]
        updates = train_clients(
            task, model, xs, ys, params=training, seeds=seeds, device=prepared.device
        )
        largest = max(largest, float(np.abs(updates).max()))
        total = np.zeros(updates.shape[1], dtype=np.int64)
        for client, update in zip(members, updates, strict=True):
            sent = update + noise * rng.normal(size=update.shape)
            total += coded.quantise(sent.astype(np.float32), rounding_seed(seed, index, client))
        psnr, nearest = matches(
            read_images(task, coded.mean(total, len(members))),
            images,
            prepared.data.standardisation,
        )
        for level, image in zip(psnr, nearest, strict=True):
            if level >= RECOVERED_DB:
                best[int(image)] = max(best.get(int(image), 0.0), float(level))
    median = float(np.median(list(best.values()))) if best else None
    return Imprinted(len(best), median, largest)


def accuracy_under_noise(prepared: Prepared, noise: float, rounds: int) -> float:
    """Test accuracy after ``rounds`` of plain averaging when every client adds such noise."""
    trainer, members = prepared.trainer(prepared.honest), members_of(prepared)
    rng = np.random.default_rng([prepared.config.seed, 0x401])
    model = prepared.host.initial(0)
    for index in range(rounds):
        sent = np.stack(list(trainer.train(model, members, index).values()))
        mean = sent.mean(axis=0, dtype=np.float64)
        model = (model + mean + noise / len(members) ** 0.5 * rng.normal(size=mean.shape)).astype(
            np.float32
        )
    accuracy = prepared.metrics(model).accuracy
    if accuracy is None:
        raise ConfigError(f"{prepared.pinned.task} measures no accuracy")
    return accuracy
