"""What a client asks of the plan's output rows, once it knows its own class means.

docs/protocol.md step 2.0: before the upload leaves. The rest of the plan is checked with the
invitation (``StatisticsPlan.check``); this needs the model and the samples, hence the trainer.
"""

from __future__ import annotations

import numpy as np

from auror.errors import Refusal, Refused
from auror.params import PlanCaps
from auror.round.label_rows import ClassMeans, LabelRows, MeansSource
from auror.round.plan import OutputLayer, StatisticsPlan


def check_output_rows(plan: StatisticsPlan, own: ClassMeans | None, caps: PlanCaps) -> None:
    """Whether the plan reads the output layer, along what the classes look like to this client.

    ``own``: None for a client whose trainer knows no classes (load tests); it opens no label rows.

    Caught are rows that read something else than their class: single entries, which pass every cap
    on coefficients (a class's mean had at most .71 of its length in one entry), noise, and
    directions chosen freely. Not caught: rows within ``caps.min_cosine``, and rows of classes
    that no member of a group has ``caps.min_class_samples`` of.

    Raises:
        Refused: FORGED_MEANS, or WRONG_CONFIGURATION for rows that lie elsewhere.
    """
    for part in plan.parts:
        if isinstance(part, LabelRows):
            if own is None:
                raise Refused(Refusal.FORGED_MEANS, "no class means of its own to compare with")
            if part.output != own.output:
                raise Refused(Refusal.WRONG_CONFIGURATION, "label rows outside the output layer")
            if part.source is MeansSource.CLEAN_SAMPLES:
                _compare(part, own, caps)
        elif isinstance(part, OutputLayer) and own is not None:
            where = own.output
            if (part.offset, part.length) != (where.offset, where.entries):
                raise Refused(Refusal.WRONG_CONFIGURATION, "entries outside the output layer")


def _compare(part: LabelRows, own: ClassMeans, caps: PlanCaps) -> None:
    published, means = part.matrix.astype(np.float64), own.means.astype(np.float64)
    lengths = np.linalg.norm(published, axis=1) * np.linalg.norm(means, axis=1)
    alike = np.sum(published * means, axis=1) / np.where(lengths > 0, lengths, 1.0)
    opens = np.any(published != 0, axis=1)  # a row of zeros tells nothing
    known = own.counts >= caps.min_class_samples
    # not (… >= …): an activation that is not finite compares as false, and is refused.
    forged = np.flatnonzero(known & opens & ~(alike >= caps.min_cosine))
    if len(forged):
        label = int(forged[0])
        raise Refused(
            Refusal.FORGED_MEANS,
            f"class {label}: cosine {alike[label]:.2f} with this client's own mean of"
            f" {own.counts[label]} samples, at least {caps.min_cosine} asked for",
        )
