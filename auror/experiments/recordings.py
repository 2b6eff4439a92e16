"""Record what every client would add to the statistics, once; replay the defence on it often.

While nobody is excluded, training does not depend on groups or verdicts. So one training per seed
serves every group size, grouping and verdict. What a replay leaves out: the recorded model does not
react when flagged clients go.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auror.crypto.tags import number
from auror.defense.features import FeatureBlock
from auror.defense.ledger import GroupObservation, Ledger, RoundObservation
from auror.defense.verdict import VerdictParams, judge
from auror.experiments.config import ExperimentConfig
from auror.experiments.experiment import Prepared
from auror.experiments.files import name_of
from auror.ids import ClientId, GroupIndex
from auror.params import RoundParams
from auror.round.arithmetic import quantiser
from auror.round.audits import drawn_by, spared
from auror.round.campaign import Detector
from auror.round.evidence import PlanChoice, build_plan, ledger_blocks
from auror.round.public import draw_groups
from auror.round.suspects import Suspects
from auror.sim.seeded import rounding_seed

_FORMAT = 1
CHANGED = 3
"""A malicious client counts for detection once it changed so many labels."""


@dataclass(frozen=True)
class Recording:
    """One training with everybody in it."""

    statistics: NDArray[np.float64]
    """Every client's own statistics in units of the update, (rounds, clients, columns)."""
    malicious: tuple[ClientId, ...]
    changed: Mapping[ClientId, int]
    """Malicious client → labels that it changed."""
    blocks: tuple[FeatureBlock, ...]
    metrics: Mapping[str, float | None]
    """Of the model at the end: accuracy, source recall, attack success."""

    @property
    def clients(self) -> int:
        return int(self.statistics.shape[1])

    @property
    def rounds(self) -> int:
        return int(self.statistics.shape[0])


def record(config: ExperimentConfig, choice: PlanChoice, cache: Path) -> Recording:
    """Train as ``config`` says without defence, or load what was trained before from ``cache``.

    Raises:
        UserError: the data or a setting cannot be used.
    """
    key = {"format": _FORMAT, "config": config.to_dict(), "choice": repr(choice)}
    path = cache / f"{name_of(key)}.npz"
    if not path.exists():
        _store(path, _train(config, choice))
    return _load(path)


def _train(config: ExperimentConfig, choice: PlanChoice) -> Recording:
    prepared = Prepared.of(config)
    quantise = quantiser(config.round_params)
    trainer = prepared.trainer(prepared.population)
    cohort = tuple(prepared.population.x)
    model = prepared.host.initial(0)
    seen = []
    for index in range(config.rounds):
        plan = build_plan(choice, prepared.host, model)
        updates = trainer.train(model, cohort, index, prepared.host.confusion_basis(model))
        offset = quantise.clip * plan.plan.row_sums()
        total = np.zeros(model.size, dtype=np.int64)
        rows = []
        for client in cohort:
            values = quantise.quantise(updates[client], rounding_seed(config.seed, index, client))
            total += values
            exact = plan.plan.apply(values).astype(np.int64) * quantise.step
            rows.append((exact - offset) / plan.scales)
        seen.append(np.stack(rows))
        model = (model + quantise.mean(total, len(cohort))).astype(np.float32)
    return Recording(
        np.stack(seen),
        prepared.population.malicious,
        dict(prepared.population.poisoned),
        ledger_blocks(choice, prepared.host),
        dict(prepared.host.evaluate(model)),
    )


def _store(path: Path, made: Recording) -> None:
    """Whole or not at all: a recording that was cut off is made again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        "malicious": list(made.malicious),
        "changed": {str(client): count for client, count in made.changed.items()},
        "blocks": [block.to_dict() for block in made.blocks],
        "metrics": dict(made.metrics),
    }
    temporary = path.with_suffix(f".{os.getpid()}.npz")
    np.savez_compressed(
        temporary, statistics=made.statistics, facts=np.frombuffer(json.dumps(facts).encode(), "u1")
    )
    temporary.replace(path)


def _load(path: Path) -> Recording:
    with np.load(path, allow_pickle=False) as file:
        facts = json.loads(file["facts"].tobytes())
        statistics = file["statistics"]
    return Recording(
        statistics,
        tuple(ClientId(c) for c in facts["malicious"]),
        {ClientId(int(c)): count for c, count in facts["changed"].items()},
        tuple(FeatureBlock.from_dict(block) for block in facts["blocks"]),
        facts["metrics"],
    )


@dataclass(frozen=True)
class Replayed:
    """What the defence made of one recording under one grouping."""

    flagged: Mapping[ClientId, int]
    """Client → round after which its flag fell, from 1."""
    malicious: frozenset[ClientId]
    """Those that count: they changed at least ``CHANGED`` labels."""
    slight: frozenset[ClientId]
    """Malicious clients that changed fewer."""
    honest: frozenset[ClientId]
    strength: float
    """Largest log-evidence against a set that was not flagged, over all rounds."""
    rounds: int
    group_sums: int = field(default=0)
    """Opened group sums, over all rounds and partitions."""

    @property
    def tpr(self) -> float | None:
        """Found part of the malicious clients that count; None when there are none."""
        return (
            len(self.malicious & self.flagged.keys()) / len(self.malicious)
            if (self.malicious)
            else None
        )

    @property
    def fpr(self) -> float:
        return len(self.honest & self.flagged.keys()) / max(1, len(self.honest))

    @property
    def first(self) -> int | None:
        """Round of the first flag."""
        return min(self.flagged.values(), default=None)


def replay(
    recording: Recording,
    group_size: int,
    seed: int,
    *,
    rounds: int | None = None,
    partitions: int = 1,
    detector: Detector | None = None,
    lie: Callable[[int, NDArray[np.float64], list[list[int]]], NDArray[np.float64]] | None = None,
    audit_probability: float = 0.0,
) -> Replayed:
    """Group at random, open sums, judge after every round, leave the flagged out from then on.

    Args:
        partitions: T, overlapping partitions opened per round, each a round of evidence.
        detector: by default the calibrated verdict.
        lie: from round, statistics (clients, columns) and groups (rows) to the statistics that
            are sent; the sum over all groups should stay what it is. Then rounds are audited
            and flags fall as in ``auror.round.campaign``; else every check would pass.
        audit_probability: of a random audit, when ``lie`` is given.
    """
    rng = np.random.default_rng([seed, 0x7265])
    draw = drawn_by(rng.bytes, audit_probability)
    params = RoundParams(group_size=group_size, colluders=len(recording.malicious))
    ledger = Ledger(recording.blocks)
    judging = detector or (lambda found, roster: judge(found, VerdictParams(), roster))
    everybody = tuple(ClientId(c) for c in range(recording.clients))
    flagged: dict[ClientId, int] = {}
    suspects, accused = Suspects(), dict[ClientId, int]()
    tested: frozenset[ClientId] = frozenset()
    strength, opened, index = 0.0, 0, 0
    last = min(rounds or recording.rounds, recording.rounds)
    for at in range(last):
        present = tuple(c for c in everybody if c not in flagged)
        if len(present) < 2 * group_size and group_size > 1 and len(present) < len(everybody):
            break  # too few are left to form two groups
        for _ in range(partitions):
            groups = draw_groups(rng.bytes(24) + number(at), present, group_size)
            opened += len(groups)
            sent = true = recording.statistics[at]
            out: tuple[GroupIndex, ...] = ()
            if lie is not None:
                sent = lie(at, true.copy(), [list(g) for g in groups])
                sizes = {GroupIndex(k): len(group) for k, group in enumerate(groups)}
                holding = tuple(k for k in sizes if tested.intersection(groups[k]))
                out = spared(draw(tuple(sizes), holding), sizes, len(present), params)
            kept = [group for k, group in enumerate(groups) if k not in out]
            rows = [list(map(int, group)) for group in kept]
            index += 1
            accepted = [row for group in rows for row in group]
            if lie is not None and not np.allclose(
                sent[accepted].sum(axis=0), true[accepted].sum(axis=0), rtol=1e-9, atol=1e-9
            ):
                # The binding check fails: nothing of this round is evidence.
                if tested:
                    suspects.dispute(index)
                continue
            observed = tuple(
                GroupObservation(tuple(group), sent[row].mean(axis=0))
                for group, row in zip(kept, rows, strict=True)
            )
            ledger.append(RoundObservation(index, 0, observed))
            flagged.update(dict.fromkeys(suspects.confirm(tested, accused), at + 1))
        if not ledger.rounds:
            continue
        invited = tuple(c for c in everybody if c not in flagged)
        verdict = judging(ledger, invited)
        new = verdict.flagged - flagged.keys()
        if lie is None:
            flagged.update(dict.fromkeys(sorted(new), at + 1))
        else:
            later = ledger.since(suspects.disputed)
            since = judging(later, invited) if suspects.disputed >= 0 and later.rounds else None
            accused = suspects.accused(verdict, since)
            accused = {c: needed for c, needed in accused.items() if c not in flagged}
            tested = suspects.tested(accused)
        if not new:
            strength = max(strength, float(getattr(verdict, "strength", 0.0)))
    bad = {c for c in recording.malicious if recording.changed.get(c, 0) >= CHANGED}
    return Replayed(
        flagged,
        frozenset(bad),
        frozenset(set(recording.malicious) - bad),
        frozenset(set(everybody) - set(recording.malicious)),
        strength,
        last,
        opened,
    )
