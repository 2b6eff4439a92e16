"""The rings and the quantiser that follow from the round's parameters: one place for both sides,
because masks of two different rings would not cancel."""

from __future__ import annotations

from auror.ids import Digest
from auror.params import STATISTICS_RING_BITS, RoundParams
from auror.secagg.instance import Instance, Ring, SumContext
from auror.secagg.quantize import Quantiser, ring_bits


def sum_context(
    transcript: Digest, params: RoundParams, cohort: int, instance: Instance, length: int
) -> SumContext:
    """What the masks of one sum of ``length`` entries are bound to.

    The update's ring is the smallest in which honest sums of ``cohort`` clients do not wrap.
    """
    bits = (
        STATISTICS_RING_BITS
        if instance is Instance.STATISTICS
        else ring_bits(cohort, params.quantisation_bits)
    )
    return SumContext(transcript, instance, Ring(bits), length)


def quantiser(params: RoundParams) -> Quantiser:
    """How updates become integers in this round."""
    return Quantiser(params.quantisation_bits, params.quantisation_range)
