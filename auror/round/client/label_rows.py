"""What a client asks of the plan's output rows, once it knows what the clean samples look like.

docs/protocol.md step 2.0: before the upload leaves. The rest of the plan is checked with the
invitation (``StatisticsPlan.check``); this needs the model and the samples, hence the trainer.
"""

from __future__ import annotations

from auror.errors import Refusal, Refused
from auror.round.label_rows import ClassMeans, LabelRows, MeansSource
from auror.round.plan import OutputLayer, StatisticsPlan


def check_output_rows(
    plan: StatisticsPlan, own: ClassMeans | None, bits: int, signed: bool = False
) -> None:
    """Whether the plan reads the output layer, along the clean samples that the policy signs, or
    along the model's own weights where it signs none.

    Nothing of it is the server's choice: not the rows, and not which of the two they are. Not
    prevented: a server that crafts the model, under which samples then look as it likes.

    Args:
        own: None for a client whose trainer knows no classes (load tests); it opens no label rows.
        bits: of a coefficient (``RoundParams.label_row_bits``).
        signed: the policy signs clean samples, so ``own`` without means has no excuse. Where it
            does not, they may follow from the task (load tests).

    Raises:
        Refused: FORGED_MEANS, or WRONG_CONFIGURATION for rows that lie elsewhere.
    """
    for part in plan.parts:
        if isinstance(part, LabelRows):
            if own is None:
                raise Refused(Refusal.FORGED_MEANS, "no class means of its own to compare with")
            if part.output != own.output:
                raise Refused(Refusal.WRONG_CONFIGURATION, "label rows outside the output layer")
            _check_rows(part, own, bits, signed or own.means is not None)
        elif isinstance(part, OutputLayer) and own is not None:
            where = own.output
            if (part.offset, part.length) != (where.offset, where.entries):
                raise Refused(Refusal.WRONG_CONFIGURATION, "entries outside the output layer")


def _check_rows(part: LabelRows, own: ClassMeans, bits: int, sampled: bool) -> None:
    if part.source is not (MeansSource.CLEAN_SAMPLES if sampled else MeansSource.OUTPUT_WEIGHTS):
        signs = "clean samples" if sampled else "no clean samples"
        raise Refused(
            Refusal.FORGED_MEANS, f"the policy signs {signs}, the plan reads {part.source.value}"
        )
    # output weights were recomputed with the invitation
    if sampled and (own.means is None or not part.reads(own.means, bits)):
        raise Refused(
            Refusal.FORGED_MEANS, "not what the signed clean samples look like under this model"
        )
