"""The defended run under a rule that sees every client's update, in AUROR's place."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from auror.experiments.config import RunName
from auror.experiments.progress import Progress, Reporter
from auror.experiments.result import HistoryPoint, RunOutcome, UnderRule
from auror.privacy.account import plaintext_account
from auror.rules.choice import ChosenRule

if TYPE_CHECKING:
    from auror.experiments.prepared import Prepared


def ruled_run(
    prepared: Prepared, rule: ChosenRule, report: Reporter
) -> tuple[RunOutcome, UnderRule]:
    """Train with everybody present; in every round ``rule`` makes one change of all updates.

    Raises:
        ConfigError: a rule of one's own returned something else than a change of the model.
    """
    started = time.perf_counter()
    config, population = prepared.config, prepared.population
    trainer, everybody = prepared.trainer(population), tuple(population.x)
    aggregate = rule.begin(config.round_params.colluders)
    model = prepared.host.initial(0)
    history, rejected = [], []
    for index in range(config.rounds):
        basis = prepared.known_matrix(model) if population.forged else None
        updates = trainer.train(model, everybody, index, basis)
        root = prepared.root_update(model, index) if rule.kind.rooted else None
        found = aggregate(np.stack([updates[client] for client in everybody]), root)
        if found.rejected is not None:
            rejected.append(found.rejected)
        model = (model + found.change).astype(np.float32)
        metrics = prepared.metrics(model)
        history.append(HistoryPoint(index, 0, metrics))
        report(
            Progress(
                stage=RunName.DEFENDED,
                round=index + 1,
                rounds=config.rounds,
                accuracy=metrics.accuracy,
                attack_success=metrics.attack_success,
                note=f"rule {rule}, every update in the clear",
            )
        )
    shares = np.mean(rejected, axis=0) if rejected else None
    under = UnderRule(
        left_out=None
        if shares is None
        else {client: float(share) for client, share in zip(everybody, shares, strict=True)},
        privacy=plaintext_account(everybody, config.rounds).to_dict(),
    )
    return RunOutcome(tuple(history), time.perf_counter() - started, model), under
