"""What models that a server crafts show of single clients, with the real local training.

Groups come from the project's own draw, sums are computed directly: the secure round gives the
same ones bit for bit (``auror.sim.plain``). ``scripts/budget_attacks.py`` prints the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from auror.errors import ConfigError
from auror.experiments.prepared import Prepared
from auror.ids import ClientId
from auror.learn.architectures import Network
from auror.learn.models import build, load_flat
from auror.privacy.account import account_of
from auror.privacy.overlap import Company, records_of, truth_of
from auror.privacy.recovery import OpenedSet, estimate, fit
from auror.privacy.truth import TruthRecorder
from auror.privacy.whose import attribution_auc
from auror.round.label_rows import LabelRows
from auror.round.plan import StatisticsPlan
from auror.round.record import RoundRecord
from auror.sim.population import Updates
from auror.sim.simulate import SimulatedRound
from auror.training.config import CampaignConfig
from auror.training.observations import label_rows

Model = NDArray[np.float32]
Follow = Callable[[int, Model, Updates], Model]
"""From the round's index, its model and everybody's updates to the next model."""

PIXEL_MOVE = 0.2
"""Of the model's norm: how far weights of constant pixels are moved."""


@dataclass(frozen=True)
class Recovered:
    """R² of the best linear estimates, per client in the order of their numbers, (clients,)."""

    statistics: NDArray[np.float64]
    updates: NDArray[np.float64]


@dataclass
class WatchedRun:
    """A defended run by the real campaign, and what only a simulation sees of it."""

    prepared: Prepared
    records: list[RoundRecord] = field(default_factory=list)
    truth: TruthRecorder = field(default_factory=TruthRecorder)
    models: list[Model] = field(default_factory=list)
    """That each round started from."""
    plans: list[StatisticsPlan] = field(default_factory=list)

    @classmethod
    def of(cls, prepared: Prepared) -> WatchedRun:
        """``prepared.config.rounds`` rounds, audits, verdicts and a second training included."""
        run, config = cls(prepared), prepared.config
        run.models.append(prepared.host.initial(0))
        prepared.simulate(
            CampaignConfig(rounds=config.rounds),
            prepared.population,
            run._observe,
            config.aggregation,
        )
        return run

    def _observe(self, seen: SimulatedRound) -> None:
        self.truth.observe(seen.record.index, seen.plan, seen.updates)
        self.records.append(seen.record)
        self.models.append(seen.model)
        self.plans.append(seen.plan)


def members_of(prepared: Prepared) -> tuple[ClientId, ...]:
    return tuple(sorted(prepared.honest.x))


def train_rounds(prepared: Prepared, first: Model, follow: Follow, rounds: int) -> TruthRecorder:
    """Everybody trains in every round, with fresh batches, on what ``follow`` gives."""
    truth, trainer = TruthRecorder(), prepared.trainer(prepared.honest)
    model = first
    for index in range(rounds):
        updates = trainer.train(model, members_of(prepared), index)
        rows = label_rows(prepared.host, model, prepared.config.round_params)
        truth.observe(index, StatisticsPlan(prepared.host.dim, (rows,)), updates)
        model = follow(index, model, updates)
    return truth


def frozen(_index: int, model: Model, _updates: Updates) -> Model:
    """The same weights under every step's name."""
    return model


def averaging(played: Sequence[Company]) -> Follow:
    """Federated averaging over the total of each round."""

    def follow(index: int, model: Model, updates: Updates) -> Model:
        stacked = np.stack([updates[client] for client in played[index].accepted])
        mean: Model = stacked.mean(axis=0, dtype=np.float64).astype(np.float32)
        return model + mean

    return follow


def moving_pixels(prepared: Prepared, base: Model, seed: int) -> Follow:
    """``base`` and, anew in every round, a move of ``PIXEL_MOVE`` of its norm in the weights of
    pixels that never light up: along directions that sum to zero for every hidden unit, as such
    pixels are one constant. No activation changes, hence no update."""
    still = constant_pixels(prepared)
    hidden = prepared.pinned.task.layout.slices[0]
    rng = np.random.default_rng([seed, 0x717])

    def follow(_index: int, _model: Model, _updates: Updates) -> Model:
        move = np.zeros(hidden.shape)
        drawn = rng.normal(size=(hidden.shape[0], len(still)))
        move[:, still] = drawn - drawn.mean(axis=1, keepdims=True)
        move *= PIXEL_MOVE * np.linalg.norm(base) / np.linalg.norm(move)
        moved = base.copy()
        moved[hidden.offset : hidden.stop] += move.reshape(-1).astype(np.float32)
        return moved

    return follow


def constant_pixels(prepared: Prepared) -> NDArray[np.intp]:
    """Pixels that are dark in every sample that the server has: clean ones and test ones."""
    public = public_samples(prepared)
    flat = public.reshape(len(public), -1)
    return np.flatnonzero((flat == flat.min()).all(axis=0))


def update_change(prepared: Prepared, one: Model, other: Model) -> float:
    """‖difference of all updates‖ / ‖updates‖ between two models, batches being equal."""
    trainer = prepared.trainer(prepared.honest)
    first, second = (
        np.stack(list(trainer.train(model, members_of(prepared), 0).values()))
        for model in (one, other)
    )
    return float(np.linalg.norm(first - second) / np.linalg.norm(first))


def recovered(
    prepared: Prepared, records: Sequence[RoundRecord], truth: TruthRecorder
) -> Recovered:
    """As the account of a run finds it, ``truth`` being of everybody in these rounds at least."""
    found = account_of(records, prepared.config.round_params, truth=truth_of(records, truth))
    members = members_of(prepared)
    statistics, updates = found.statistic_recovery_of or {}, found.update_recovery_of or {}
    return Recovered(
        np.array([statistics.get(client, 0.0) for client in members]),
        np.array([updates.get(client, 0.0) for client in members]),
    )


def recovered_by(prepared: Prepared, played: Sequence[Company], truth: TruthRecorder) -> Recovered:
    """The same for rounds of a server's choice, each of which the policy must allow."""
    for company in played:
        company.check(len(members_of(prepared)), prepared.config.round_params)
    return recovered(prepared, records_of(played), truth)


def attribution(run: WatchedRun, rounds: int, telling: float) -> tuple[float, float]:
    """AUC of telling whose a training sample is, from the opened sums and from everybody's own
    statistics in the clear, after ``rounds`` rounds of a run in which nobody lies."""
    vectors = {key: v for key, v in run.truth.statistics.items() if key[0] < rounds}
    opened = [
        OpenedSet(record.index, members)
        for record in run.records[:rounds]
        for members in (
            *(group.members for group in record.opened),
            *([record.accepted] if record.total_opened else []),
        )
    ]
    fitted = fit(vectors)
    scale = 1 / np.maximum(np.sqrt((fitted.own**2).mean(axis=0)), 1e-12)
    from_sums = estimate(opened, vectors, fitted, scale)
    data = run.prepared.data
    adds, reference = (
        _additions(run, rounds, x, y) * scale
        for x, y in (
            (data.train_x, data.train_y),
            (public_samples(run.prepared), np.r_[data.clean_y, data.test_y]),
        )
    )
    owners = _owners(run.prepared)
    in_the_clear = fitted.own * scale
    return (
        attribution_auc(from_sums, adds, owners, reference, telling),
        attribution_auc(in_the_clear, adds, owners, reference, telling),
    )


def _additions(
    run: WatchedRun, rounds: int, x: NDArray[np.float32], y: NDArray[np.int64]
) -> NDArray[np.float64]:
    """What each sample adds to its owner's statistics by one small step, mean over rounds, (N, k):
    −∂loss/∂W · Mᵀ = (y − p)(M h)ᵀ, over ‖M‖ as in ``TruthRecorder``."""
    task = run.prepared.pinned.task
    classes = task.layout.need_output().classes
    total = np.zeros((len(y), classes**2))
    module = build(task, seed=0)
    if not isinstance(module, Network):
        raise ConfigError(f"an attribution needs a module of features and output, not {task}")
    samples, labels = torch.as_tensor(x), torch.as_tensor(y)
    for model, plan in zip(run.models[:rounds], run.plans[:rounds], strict=True):
        rows = next(part for part in plan.parts if isinstance(part, LabelRows))
        means = rows.matrix / max(float(np.linalg.norm(rows.matrix)), 1.0)
        load_flat(module, model)
        with torch.inference_mode():
            hidden = module.features(samples)
            wrong = functional.one_hot(labels, classes) - module.output(hidden).softmax(1)
        looks = hidden.numpy().astype(np.float64) @ means.T
        total += (wrong.numpy().astype(np.float64)[:, :, None] * looks[:, None]).reshape(len(y), -1)
    return total / rounds


def _owners(prepared: Prepared) -> NDArray[np.int64]:
    """Client of every training sample, (N,)."""
    config, data = prepared.config, prepared.data
    owners = np.empty(len(data.train_y), dtype=np.int64)
    for client, share in enumerate(
        prepared.partition.split(data.train_y, config.clients, config.seed, data.train_tracks)
    ):
        owners[share] = client
    return owners


def public_samples(prepared: Prepared) -> NDArray[np.float32]:
    """Samples that are no client's."""
    return np.concatenate([prepared.data.clean_x, prepared.data.test_x])
