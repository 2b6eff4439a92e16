"""From a choice of statistics to a plan, and from opened sums to the defence's observations."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.defence.confusion import dual_of
from auror.defence.features import FeatureBlock, FeatureKind
from auror.defence.ledger import GroupObservation
from auror.errors import ConfigError, Refused
from auror.ids import Digest
from auror.params import SKETCH_PART, PlanCaps, RoundParams
from auror.round.label_rows import LabelRows, rows_of_means, rows_of_weights
from auror.round.output import OutputShape
from auror.round.plan import OutputLayer, PlanPart, StatisticsPlan, session_sketch
from auror.round.policy import Policy
from auror.round.record import OpenedGroup
from auror.secagg.quantise import Quantiser
from auror.training.host import ModelHost


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChoice:
    """Which parts of P are opened. The fewer, the less the server learns; the default was chosen
    by measuring (docs/defence.md)."""

    confusion: bool = True
    """(d): C × C label rows, read as label confusion."""
    output_layer: bool = False
    """(a): the output layer's weights and biases themselves."""
    sketch_rows: int = 0
    """(b): rows of the session sketch of the whole update."""

    def __post_init__(self) -> None:
        if self.sketch_rows < 0:
            raise ConfigError(f"sketch_rows = {self.sketch_rows}: choose 0 (off) or more")


WITHOUT_LABELS = 512
"""Rows of the sketch that stands in where a model has no label rows; never more than an eighth of
the model's entries, so that statistics stay few."""


def usable(choice: PlanChoice, dim: int, output: OutputShape | None, caps: PlanCaps) -> PlanChoice:
    """``choice``, or what it comes down to for a model without labels or a linear output layer:
    what reads that layer is off, and a sketch of the update (``dim`` entries) stands in for label
    rows where the policy allows one."""
    if output is not None:
        return choice
    rows = choice.sketch_rows
    if choice.confusion and not rows and SKETCH_PART in caps.parts:
        rows = min(WITHOUT_LABELS, dim // 8)
    return PlanChoice(confusion=False, output_layer=False, sketch_rows=rows)


def how_found(choice: PlanChoice) -> str | None:
    """A line on what the statistics of a usable ``choice`` are good for, where it is less than
    label rows are; None for those."""
    if choice.confusion:
        return None
    if choice.output_layer:
        seen = "the output layer's entries"
    elif choice.sketch_rows:
        seen = f"{choice.sketch_rows} entries of a sketch"
    else:
        return (
            "no statistics are opened, so nobody can be flagged: a model without labels needs"
            " `auror certs --parts count-sketch`, others `statistics.confusion = true`"
        )
    return (
        f"without label rows clients are told apart by {seen} along one direction: that takes more"
        " rounds, and of two different attacks at once it sees the larger"
    )


@dataclass(frozen=True)
class RoundPlan:
    """One round's P and what turns its opened sums into the columns of the ledger."""

    plan: StatisticsPlan
    gram: NDArray[np.float64] | None
    """MMᵀ (C, C) of the plan's label rows, which leads to Q; None when it has none."""

    @functools.cached_property
    def dual(self) -> NDArray[np.float64] | None:
        """(C, C): from the plan's label rows to Q, once for all groups."""
        return None if self.gram is None else dual_of(self.gram)

    def read(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """P·Δ (k,) in units of the update as ``ledger_blocks`` describes it, (k,)."""
        if self.dual is None:
            return sums
        columns = sums.copy()
        for part, rows in self.plan.slices():
            if isinstance(part, LabelRows):
                opened = sums[rows].reshape(part.classes, part.classes)
                columns[rows] = self._dual_rows(part, opened).reshape(-1)
        return columns

    def rows_of(self, step: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Q̄ (C, C), the label rows of a total's mean update ``step`` (d,), which is open to all;
        None where the plan has no such part."""
        for part in self.plan.parts:
            if isinstance(part, LabelRows):
                return self._dual_rows(part, part.output.weights(step) @ part.matrix.T)
        return None

    def _dual_rows(self, part: LabelRows, opened: NDArray[np.float64]) -> NDArray[np.float64]:
        """Q from ``opened`` (C, C), the whole-number rows of ``part``."""
        return np.asarray(np.ldexp(opened, -part.exponent) @ self.dual)


def ledger_blocks(choice: PlanChoice, output: OutputShape | None) -> tuple[FeatureBlock, ...]:
    """The columns that evidence accumulates in; the challenge part is not among them."""
    blocks: list[FeatureBlock] = []
    start = 0
    if choice.confusion and output is not None:
        shape: tuple[int, ...] = (output.classes, output.classes)
        blocks.append(FeatureBlock(FeatureKind.CONFUSION, 0, output.classes**2, shape))
        start = output.classes**2
    if choice.output_layer and output is not None:
        length = output.entries
        blocks.append(FeatureBlock(FeatureKind.OUTPUT, start, start + length, (length,)))
        start += length
    if choice.sketch_rows:
        rows = choice.sketch_rows
        blocks.append(FeatureBlock(FeatureKind.SKETCH, start, start + rows, (rows,)))
    return tuple(blocks)


def label_rows(host: ModelHost, model: NDArray[np.float32], params: RoundParams) -> LabelRows:
    """Part (d) under ``model``: from the host's class means, or from the model's output weights
    where it has none.

    Raises:
        ConfigError: a model without an output layer. DataError: it has collapsed.
    """
    output, bits = host.output, params.label_row_bits()
    if output is None:
        raise ConfigError("this model has no output layer to read: turn plan.confusion off")
    means = host.class_means(model)
    if means is None:
        return rows_of_weights(output, model, bits)
    return rows_of_means(output, means, bits)


def plan_labels(
    choice: PlanChoice, host: ModelHost, model: NDArray[np.float32], params: RoundParams
) -> LabelRows | None:
    """Part (d) under ``model``, None when ``choice`` or the host's model has none.

    Raises:
        DataError: the model has collapsed.
    """
    if not choice.confusion or host.output is None:
        return None
    return label_rows(host, model, params)


def build_plan(
    choice: PlanChoice,
    host: ModelHost,
    model: NDArray[np.float32],
    params: RoundParams,
    anchor: Digest,
) -> RoundPlan:
    """P for one round, its parts in the order of :func:`ledger_blocks`.

    ``anchor``: the digest that the session sketch's seed is drawn from.
    """
    rows = plan_labels(choice, host, model, params)
    return assemble_plan(choice, host.dim, host.output, rows, anchor)


def assemble_plan(
    choice: PlanChoice, dim: int, output: OutputShape | None, rows: LabelRows | None, anchor: Digest
) -> RoundPlan:
    """P (k, ``dim``) from its parts: ``rows`` as :func:`plan_labels` found them, the others follow
    from ``output`` and ``anchor``."""
    parts: list[PlanPart] = []
    gram = None
    if rows is not None:
        parts.append(rows)
        means = np.ldexp(rows.matrix.astype(np.float64), -rows.exponent)
        gram = means @ means.T
    if choice.output_layer and output is not None:
        parts.append(OutputLayer(output.offset, output.entries))
    if choice.sketch_rows:
        parts.append(session_sketch(anchor, choice.sketch_rows))
    return RoundPlan(StatisticsPlan(dim, tuple(parts)), gram)


def observe(
    plan: RoundPlan, quantiser: Quantiser, opened: Sequence[OpenedGroup]
) -> tuple[GroupObservation, ...]:
    """Group means of P·Δ as the ledger's columns, without the challenge rows.

    With q = (Δ + clip)/step: mean of P·Δ = step · (P·Σq)/|group| − clip · P·1.
    """
    rows = plan.plan.rows
    offset = quantiser.clip * plan.plan.row_sums()
    observations = []
    for group in opened:
        summed = group.total[:rows].astype(np.int64) * (quantiser.step / len(group.members))
        observations.append(GroupObservation(group.members, plan.read(summed - offset)))
    return tuple(observations)


def observe_challenge(
    full: StatisticsPlan, quantiser: Quantiser, opened: Sequence[OpenedGroup]
) -> tuple[tuple[GroupObservation, ...], FeatureBlock] | None:
    """The challenge rows alone, as the norm test wants them; None when the plan has none."""
    stable_rows = full.stable_rows
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


def check_plan(
    choice: PlanChoice, host: ModelHost, model: NDArray[np.float32], policy: Policy
) -> None:
    """Raises ConfigError when clients would refuse what ``choice`` opens of ``model`` (d,)."""
    anchor = policy.digest()
    plan = build_plan(choice, host, model, policy.params, anchor).plan
    try:
        plan.check(policy.caps, policy.params, anchor, model)
    except Refused as error:
        raise ConfigError(
            f"statistics: clients would refuse the plan ({error.detail}): choose what the signed"
            " policy allows, or enrol with `auror certs --parts`"
        ) from error
