"""Record what every client would add to the statistics, once; replay the defence on it often.

While nobody is excluded, training does not depend on groups or verdicts. So one training per seed
serves every group size, grouping and verdict. What a replay leaves out: the recorded model does not
react when flagged clients go.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Container, Mapping
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
from auror.ids import ClientId, Digest, GroupIndex
from auror.params import RoundParams
from auror.round.arithmetic import quantiser
from auror.round.public import Groups, draw_groups
from auror.sim.seeded import rounding_seed
from auror.training.audits import drawn_by
from auror.training.campaign import Detector
from auror.training.observations import PlanChoice, build_plan, ledger_blocks
from auror.training.suspects import Inquiry, Suspects, Verdict

_FORMAT = 2
_ANCHOR = Digest(bytes(32))  # of the session sketch: no roster signs a recording
COLLUDERS_SHARE = 0.3
"""The part of the clients that parameters assume to collude."""
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
        plan = build_plan(choice, prepared.host, model, config.round_params, _ANCHOR)
        updates = trainer.train(model, cohort, index, prepared.known_matrix(model))
        offset = quantise.clip * plan.plan.row_sums()
        total = np.zeros(model.size, dtype=np.int64)
        rows = []
        for client in cohort:
            values = quantise.quantise(updates[client], rounding_seed(config.seed, index, client))
            total += values
            exact = plan.plan.apply(values).astype(np.int64) * quantise.step
            rows.append(plan.read(exact - offset))
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
    checks_failed: int = field(default=0)
    """Binding checks that failed."""

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


Lie = Callable[[int, NDArray[np.float64], list[list[int]]], NDArray[np.float64]]
"""From round, statistics (clients, columns) and groups (rows) to the statistics that are sent; the
sum over all groups should stay what it is."""

AUDITS = RoundParams().audit_probability


def replay(
    recording: Recording,
    group_size: int,
    seed: int,
    *,
    rounds: int | None = None,
    partitions: int = 1,
    detector: Detector | None = None,
    lie: Lie | None = None,
    audits: float | None = AUDITS,
) -> Replayed:
    """Group at random, open sums, judge after every round, leave the flagged out from then on.

    Args:
        partitions: T, overlapping partitions opened per round, each a round of evidence; with
            ``audits`` None only.
        detector: by default the calibrated verdict.
        lie: what malicious clients send; by default the truth.
        audits: chance of a random audit. Suspects are audited too, and flags fall, as in
            ``auror.training.campaign``. None: the verdict alone, whose flags fall at once.
    """
    rng = np.random.default_rng([seed, 0x7265])
    suspects = Suspects()
    inquiry = Inquiry(suspects, drawn_by(rng.bytes, 0.0 if audits is None else audits))
    params = RoundParams(group_size=group_size, colluders=int(COLLUDERS_SHARE * recording.clients))
    ledger = Ledger(recording.blocks)
    judging = detector or (lambda found, invited: judge(found, VerdictParams(), invited))
    everybody = tuple(ClientId(c) for c in range(recording.clients))
    flagged: dict[ClientId, int] = {}
    strength, opened, failed = 0.0, 0, 0
    last = min(rounds or recording.rounds, recording.rounds)

    def judged(opened_sums: Ledger) -> Verdict:
        return judging(opened_sums, tuple(c for c in everybody if c not in flagged))

    for at in range(last):
        present = tuple(c for c in everybody if c not in flagged)
        if len(present) < 2 * group_size and group_size > 1 and len(present) < len(everybody):
            break  # too few are left to form two groups
        for part in range(partitions):
            groups = draw_groups(rng.bytes(24) + number(at), present, group_size)
            opened += len(groups)
            sent = true = recording.statistics[at]
            if lie is not None:
                sent = lie(at, true.copy(), [list(group) for group in groups])
            out: Container[GroupIndex] = ()
            if audits is not None:
                numbered = {GroupIndex(k): group for k, group in enumerate(groups)}
                fewest = params.fewest_accepted(len(present), len(present))
                out = inquiry.left_out(numbered, len(present), params, fewest)
            kept = tuple(group for k, group in enumerate(groups) if k not in out)
            index = at * partitions + part
            if not _bound(sent, true, kept):
                inquiry.failed(index)  # and nothing of this round is evidence
                failed += 1
                continue
            observed = (GroupObservation(g, sent[list(g)].mean(axis=0)) for g in kept)
            ledger.append(RoundObservation(index, 0, tuple(observed)))
            flagged |= dict.fromkeys(inquiry.passed(), at + 1)
        if not ledger.rounds:
            continue
        verdict = judged(ledger)
        new = verdict.flagged - flagged.keys()
        if audits is None:
            flagged |= dict.fromkeys(sorted(new), at + 1)
        else:
            inquiry.begin(suspects.accused_in(ledger, verdict, judged, flagged), everybody)
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
        failed,
    )


def _bound(sent: NDArray[np.float64], true: NDArray[np.float64], groups: Groups) -> bool:
    """The binding check: do the sent statistics of these groups sum to those of the updates?"""
    rows = [client for group in groups for client in group]
    left, right = sent[rows].sum(axis=0), true[rows].sum(axis=0)
    return bool(np.allclose(left, right, rtol=1e-9, atol=1e-9))
