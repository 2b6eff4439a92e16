"""Record what every client would add to the statistics, once, in the whole numbers that are opened.

While nobody is excluded, training does not depend on groups or verdicts. So one training per seed
serves every group size, grouping and verdict (``auror.bench.replays``).
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auror.defence.features import FeatureBlock
from auror.defence.ledger import GroupObservation, Ledger, RoundObservation
from auror.experiments.config import ExperimentConfig
from auror.experiments.files import name_of
from auror.experiments.prepared import Prepared
from auror.ids import ClientId, Digest, GroupIndex
from auror.params import RoundParams
from auror.round.arithmetic import quantiser
from auror.round.label_rows import LabelRows, MeansSource
from auror.round.output import OutputShape
from auror.round.public import Groups
from auror.round.record import OpenedGroup
from auror.sim.population import basis_of
from auror.sim.seeded import rounding_seed
from auror.training.observations import (
    PlanChoice,
    RoundPlan,
    assemble_plan,
    ledger_blocks,
    observe,
    plan_labels,
)

_FORMAT = 5
_ANCHOR = Digest(bytes(32))  # of the session sketch: no roster signs a recording
_LABEL_DTYPE = np.dtype("<i4")
_COLLUDERS_SHARE = 0.3


def colluders_of(clients: int) -> int:
    """c, how many of ``clients`` a replayed round's parameters assume to collude."""
    return int(_COLLUDERS_SHARE * clients)


@dataclass(frozen=True, eq=False)
class RecordedTraining:
    """One training with everybody in it."""

    sums: NDArray[np.int64]
    """Every client's own P·q, exact, (rounds, clients, k)."""
    choice: PlanChoice
    """Which parts P has."""
    dim: int
    """d, entries of an update."""
    output: OutputShape | None
    labels: tuple[LabelRows, ...]
    """Part (d) of every round; () when P has none."""
    params: RoundParams
    """How updates became whole numbers."""
    malicious: tuple[ClientId, ...]
    changed: Mapping[ClientId, int]
    """Malicious client → labels that it changed."""
    metrics: Mapping[str, float | None]
    """Of the model at the end: accuracy, source recall, attack success."""

    @property
    def clients(self) -> int:
        return int(self.sums.shape[1])

    @property
    def rounds(self) -> int:
        return int(self.sums.shape[0])

    @functools.cached_property
    def blocks(self) -> tuple[FeatureBlock, ...]:
        """The columns of the ledger."""
        return ledger_blocks(self.choice, self.output)

    @functools.cached_property
    def plans(self) -> tuple[RoundPlan, ...]:
        """P of every round, and how its sums are read."""
        labels = self.labels or (None,) * self.rounds
        return tuple(
            assemble_plan(self.choice, self.dim, self.output, rows, _ANCHOR) for rows in labels
        )

    def observe(self, at: int, groups: Groups) -> tuple[GroupObservation, ...]:
        """What ``groups`` show in round ``at`` when everybody tells the truth."""
        opened = open_groups(self.sums[at], groups)
        return observe(self.plans[at], quantiser(self.params), opened)

    def observation(self, at: int, groups: Groups) -> RoundObservation:
        """Round ``at`` as the ledger keeps it, when ``groups`` are opened."""
        return RoundObservation(at, 0, self.observe(at, groups), self.plans[at].gram)

    def in_the_clear(self, rounds: int) -> Ledger:
        """The first ``rounds`` with every client in a group of its own."""
        ledger = Ledger(self.blocks)
        for at in range(rounds):
            ledger.append(self.observation(at, self._alone))
        return ledger

    @property
    def _alone(self) -> Groups:
        return tuple((ClientId(client),) for client in range(self.clients))

    @functools.cached_property
    def statistics(self) -> NDArray[np.float64]:
        """Every client's own statistics as the ledger's columns, (rounds, clients, columns)."""
        return np.array(
            [[entry.mean for entry in self.observe(at, self._alone)] for at in range(self.rounds)]
        )


def open_groups(sums: NDArray[np.int64], groups: Groups) -> tuple[OpenedGroup, ...]:
    """What a round opens of ``groups`` when its clients, by row, send ``sums`` (clients, k)."""
    return tuple(
        OpenedGroup(GroupIndex(k), members, sums[list(members)].sum(axis=0).astype(np.uint64))
        for k, members in enumerate(groups)
    )


def record(config: ExperimentConfig, choice: PlanChoice, cache: Path) -> RecordedTraining:
    """Train as ``config`` says without defence, or load what was trained before from ``cache``.

    Raises:
        UserError: the data or a setting cannot be used.
    """
    key = {"format": _FORMAT, "config": config.to_dict(), "choice": repr(choice)}
    path = cache / f"{name_of(key)}.npz"
    if not path.exists():
        _store(path, _train(config, choice))
    return _load(path, config.round_params, choice)


def _train(config: ExperimentConfig, choice: PlanChoice) -> RecordedTraining:
    prepared = Prepared.of(config)
    host, params = prepared.host, config.round_params
    quantise = quantiser(params)
    trainer = prepared.trainer(prepared.population)
    cohort = tuple(prepared.population.x)
    model = host.initial(0)
    seen, labels = [], []
    for index in range(config.rounds):
        rows = plan_labels(choice, host, model, params)
        plan = assemble_plan(choice, host.dim, host.output, rows, _ANCHOR).plan
        labels += [] if rows is None else [rows]
        updates = trainer.train(model, cohort, index, basis_of(plan))
        total = np.zeros(model.size, dtype=np.int64)
        sums = []
        for client in cohort:
            values = quantise.quantise(updates[client], rounding_seed(config.seed, index, client))
            total += values
            sums.append(plan.apply(values).astype(np.int64))
        seen.append(np.stack(sums))
        model = (model + quantise.mean(total, len(cohort))).astype(np.float32)
    return RecordedTraining(
        np.stack(seen),
        choice,
        host.dim,
        host.output,
        tuple(labels),
        params,
        prepared.population.malicious,
        dict(prepared.population.poisoned),
        dict(host.evaluate(model)),
    )


def _store(path: Path, made: RecordedTraining) -> None:
    """Whole or not at all: a recording that was cut off is made again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        "dim": made.dim,
        "output": None if made.output is None else astuple(made.output),
        "sources": [rows.source.value for rows in made.labels],
        "malicious": list(made.malicious),
        "changed": {str(client): count for client, count in made.changed.items()},
        "metrics": dict(made.metrics),
    }
    temporary = path.with_suffix(f".{os.getpid()}.npz")
    np.savez_compressed(
        temporary,
        sums=made.sums,
        labels=np.array([rows.matrix for rows in made.labels], dtype=_LABEL_DTYPE),
        exponents=np.array([rows.exponent for rows in made.labels], dtype=np.int64),
        facts=np.frombuffer(json.dumps(facts).encode(), "u1"),
    )
    temporary.replace(path)


def _load(path: Path, params: RoundParams, choice: PlanChoice) -> RecordedTraining:
    with np.load(path, allow_pickle=False) as file:
        facts = json.loads(file["facts"].tobytes())
        sums, matrices, exponents = file["sums"], file["labels"], file["exponents"]
    output = None if facts["output"] is None else OutputShape(*facts["output"])
    labels = tuple(
        LabelRows.from_matrix(output.offset, matrix, int(exponent), MeansSource(source))
        for matrix, exponent, source in zip(matrices, exponents, facts["sources"], strict=True)
        if output is not None
    )
    return RecordedTraining(
        sums,
        choice,
        facts["dim"],
        output,
        labels,
        params,
        tuple(ClientId(c) for c in facts["malicious"]),
        {ClientId(int(c)): count for c, count in facts["changed"].items()},
        facts["metrics"],
    )
