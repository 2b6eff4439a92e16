"""The wiring, the rings and the quantiser that follow from the round's parameters: one place for
both sides, because masks of two different rings or graphs would not cancel."""

from __future__ import annotations

from auror.ids import Digest
from auror.params import STATISTICS_RING_BITS, RoundParams, check_sizes
from auror.secagg.instance import Instance, Ring, SumContext
from auror.secagg.quantise import Quantiser, ring_bits
from auror.secagg.topology import Topology


def check_round(params: RoundParams, cohort: int, largest_row_norm: int = 0) -> Topology:
    """Whether ``params`` can work for ``cohort`` clients; returns how they are wired.

    ``largest_row_norm`` is the largest Σ|P_kj| over the rows of the statistics matrix.

    Raises:
        ConfigError: with the arithmetic and the fix.
    """
    check_sizes(params, cohort, largest_row_norm)
    return Topology.for_cohort(cohort, params.colluders, params.dropouts)


def update_context(transcript: Digest, params: RoundParams, cohort: int, dim: int) -> SumContext:
    """What the masks of the updates, (dim,), are bound to.

    The ring is the smallest in which honest sums of ``cohort`` clients do not wrap.
    """
    ring = Ring(update_bits(params, cohort))
    return SumContext(transcript, Instance.UPDATE, ring, dim)


def update_bits(params: RoundParams, cohort: int) -> int:
    """Bits of one entry of a masked update."""
    return ring_bits(cohort, params.quantisation_bits)


def statistics_context(view: Digest, rows: int) -> SumContext:
    """What the masks of the statistics, (rows,), are bound to: the view h of their owner."""
    return SumContext(view, Instance.STATISTICS, Ring(STATISTICS_RING_BITS), rows)


def quantiser(params: RoundParams) -> Quantiser:
    """How updates become integers in this round."""
    return Quantiser(params.quantisation_bits, params.quantisation_range)
