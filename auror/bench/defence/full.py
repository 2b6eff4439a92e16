"""One recording for both readers: the verdict on label confusion, and AUROR as published on the
output layer; and a training once more without those who were flagged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from auror.bench.defence.cells import Cell, configured, recorded
from auror.bench.defence.frontier import Alone, opened_alone
from auror.bench.recordings import RecordedTraining
from auror.defence.features import FeatureKind
from auror.errors import DataError
from auror.experiments.files import name_of, read_json, write_json
from auror.experiments.prepared import Prepared
from auror.ids import ClientId
from auror.learn.attacks import draw_malicious, parse_attack
from auror.learn.host import TorchHost
from auror.round.arithmetic import quantiser
from auror.sim.seeded import rounding_seed
from auror.training.observations import PlanChoice

IN_FULL = PlanChoice(confusion=True, output_layer=True)


def recorded_in_full(cell: Cell, cache: Path, seed: int) -> RecordedTraining:
    """The training of ``cell`` with label confusion and output layer."""
    return recorded(cell, cache, seed, IN_FULL)


def decoded_view(made: RecordedTraining) -> RecordedTraining:
    """As if label confusion alone had been opened."""
    return _view(made, Alone.CONFUSION, FeatureKind.CONFUSION)


def published_view(made: RecordedTraining) -> RecordedTraining:
    """As if the output layer alone had been opened."""
    return _view(made, Alone.OUTPUT, FeatureKind.OUTPUT)


def _view(made: RecordedTraining, plan: Alone, kind: FeatureKind) -> RecordedTraining:
    (width,) = [block.width for block in made.blocks if block.kind is kind]
    return opened_alone(made, plan, width)


def without(
    flagged: Sequence[ClientId], cell: Cell, aims: Sequence[str], cache: Path, seed: int
) -> dict[str, Any]:
    """Metrics by attack of ``aims`` (as ``parse_attack`` reads it) of the model that the clients of
    ``cell`` but for ``flagged`` train from the start. Where none of them is malicious the model is
    the same under every attack, and is trained once.

    Raises:
        UserError: the data or a setting cannot be used.
    """
    gone = sorted(int(client) for client in flagged)
    attacked = not set(draw_malicious(cell.clients, cell.malicious, seed)) <= set(gone)
    key = {
        "dataset": cell.dataset, "partition": cell.partition, "rounds": cell.recorded,
        "seed": seed, "clients": cell.clients, "gone": gone, "aims": list(aims),
        "attack": cell.attack(seed) if attacked else "none", "device": cell.device,
    }  # fmt: skip
    path = cache / "retrained" / f"{name_of(key)}.json"
    try:
        saved: dict[str, Any] = read_json(path)
        return saved
    except DataError:
        pass
    config = configured(cell, seed)
    prepared = Prepared.of(config)
    host, quantise = prepared.host, quantiser(config.round_params)
    trainer = prepared.trainer(prepared.population)
    cohort = tuple(c for c in prepared.population.x if int(c) not in gone)
    model = host.initial(0)
    for index in range(cell.recorded):
        updates = trainer.train(model, cohort, index, prepared.known_matrix(model))
        total = np.zeros(model.size, dtype=np.int64)
        for client in cohort:
            total += quantise.quantise(updates[client], rounding_seed(seed, index, client))
        model = (model + quantise.mean(total, len(cohort))).astype(np.float32)
    found = {
        aim: dict(
            TorchHost(
                prepared.pinned, prepared.data, prepared.device, seed, parse_attack(aim)
            ).evaluate(model)
        )
        for aim in aims
    }
    write_json(path, found)
    return found
