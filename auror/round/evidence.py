"""From a choice of statistics to a plan, and from opened sums to the defence's observations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import SECRET_BYTES, Secret
from auror.defense.features import FeatureBlock, FeatureKind
from auror.defense.ledger import GroupObservation
from auror.errors import ConfigError
from auror.round.host import ModelHost
from auror.round.plan import (
    LabelConfusion,
    OutputLayer,
    PlanPart,
    StatisticsPlan,
    session_sketch,
)
from auror.round.record import OpenedGroup
from auror.secagg.quantize import Quantiser

BASIS_BITS = 16
"""Bits of the largest coefficient of the quantised confusion basis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChoice:
    """Which parts of P are opened. The fewer, the less the server learns; the default was chosen
    by measuring (docs/defence.md)."""

    confusion: bool = True
    """(d): C × C label-confusion statistics."""
    output_layer: bool = False
    """(a): the output layer's weights and biases themselves."""
    sketch_rows: int = 0
    """(b): rows of the session sketch of the whole update."""
    sketch_seed: bytes = bytes(SECRET_BYTES)
    """Public seed of (b), 32 bytes, fixed for the session."""

    def __post_init__(self) -> None:
        if self.sketch_rows < 0:
            raise ConfigError(f"sketch_rows = {self.sketch_rows}: choose 0 (off) or more")
        if len(self.sketch_seed) != SECRET_BYTES:
            raise ConfigError(f"sketch_seed must have {SECRET_BYTES} bytes")


@dataclass(frozen=True)
class RoundPlan:
    """One round's P and what turns its integers back into units of the update."""

    plan: StatisticsPlan
    scales: NDArray[np.float64]
    """Per row of ``plan``: real coefficient = integer coefficient / scale, (k,)."""


def ledger_blocks(choice: PlanChoice, host: ModelHost) -> tuple[FeatureBlock, ...]:
    """The columns that evidence accumulates in; the challenge part is not among them."""
    blocks: list[FeatureBlock] = []
    start = 0
    output = host.output
    if choice.confusion and output is not None:
        shape: tuple[int, ...] = (output.classes, output.classes)
        blocks.append(FeatureBlock(FeatureKind.CONFUSION, 0, output.classes**2, shape))
        start = output.classes**2
    if choice.output_layer and output is not None:
        length = output.classes * (output.hidden + 1)
        blocks.append(FeatureBlock(FeatureKind.OUTPUT, start, start + length, (length,)))
        start += length
    if choice.sketch_rows:
        rows = choice.sketch_rows
        blocks.append(FeatureBlock(FeatureKind.SKETCH, start, start + rows, (rows,)))
    return tuple(blocks)


def build_plan(choice: PlanChoice, host: ModelHost, model: NDArray[np.float32]) -> RoundPlan:
    """P for one round, its parts in the order of :func:`ledger_blocks`."""
    parts: list[PlanPart] = []
    scales: list[NDArray[np.float64]] = []
    output = host.output
    if choice.confusion and output is not None:
        basis = host.confusion_basis(model)
        if basis is None or basis.shape != (output.classes, output.hidden):
            raise ConfigError("this model has no label-confusion basis: turn plan.confusion off")
        largest = float(np.abs(basis).max(initial=0.0))
        scale = ((1 << BASIS_BITS) - 1) / largest if largest > 0 else 1.0
        matrix = np.rint(basis * scale).astype(np.int64)
        parts.append(LabelConfusion.from_matrix(output.offset, matrix))
        scales.append(np.full(output.classes**2, scale))
    if choice.output_layer and output is not None:
        length = output.classes * (output.hidden + 1)
        parts.append(OutputLayer(output.offset, length))
        scales.append(np.ones(length))
    if choice.sketch_rows:
        parts.append(session_sketch(Secret(choice.sketch_seed), choice.sketch_rows))
        scales.append(np.ones(choice.sketch_rows))
    stacked = np.concatenate(scales) if scales else np.zeros(0)
    return RoundPlan(StatisticsPlan(host.dim, tuple(parts)), stacked)


def observe(
    plan: RoundPlan, quantiser: Quantiser, opened: Sequence[OpenedGroup]
) -> tuple[GroupObservation, ...]:
    """Group means of P·Δ in units of the update, without the challenge rows.

    With q = (Δ + clip)/step: mean of P·Δ = step · (P·Σq)/|group| − clip · P·1.
    """
    rows = plan.plan.rows
    offset = quantiser.clip * plan.plan.row_sums()
    observations = []
    for group in opened:
        summed = group.total[:rows].astype(np.int64) * (quantiser.step / len(group.members))
        observations.append(GroupObservation(group.members, (summed - offset) / plan.scales))
    return tuple(observations)


def observe_challenge(
    full: StatisticsPlan, stable_rows: int, quantiser: Quantiser, opened: Sequence[OpenedGroup]
) -> tuple[tuple[GroupObservation, ...], FeatureBlock] | None:
    """The challenge rows alone, as the norm test wants them; None when the plan has none."""
    rows = full.rows - stable_rows
    if not rows:
        return None
    offset = quantiser.clip * full.row_sums()[stable_rows:]
    observations = tuple(
        GroupObservation(
            group.members,
            group.total[stable_rows:].astype(np.int64) * (quantiser.step / len(group.members))
            - offset,
        )
        for group in opened
    )
    return observations, FeatureBlock(FeatureKind.CHALLENGE, 0, rows, (rows,))
