"""What the defence decoded, in the form that figures need."""

from __future__ import annotations

import math
from collections.abc import Sequence

from auror.defence.confusion import label_pairs, look, read
from auror.defence.decode import Design, decode
from auror.defence.features import FeatureKind
from auror.defence.ledger import Ledger, arrange
from auror.defence.verdict import DecodedVerdict, Reason
from auror.experiments.result import DecodedEstimates, Suspicion
from auror.ids import ClientId
from auror.training.verdict import Verdict


def suspicion(index: int, verdict: Verdict, flagged: Sequence[ClientId]) -> Suspicion:
    """``verdict`` as it stood after round ``index``, with finite numbers only."""
    return Suspicion(
        round=index,
        strength=strength_of(verdict),
        required=finite_or_none(verdict.required),
        scores={client: _finite(score) for client, score in verdict.scores.items()},
        flagged=tuple(flagged),
    )


def strength_of(verdict: Verdict) -> float | None:
    """Log-evidence against the most suspicious set; None where the rounds are too few to judge."""
    if isinstance(verdict, DecodedVerdict) and all(
        client.reason is Reason.TOO_FEW_ROUNDS for client in verdict.clients
    ):
        return None
    return finite_or_none(verdict.strength)


def finite(value: object) -> object:
    """JSON has no infinities: they become None, everywhere in ``value``."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: finite(inner) for key, inner in value.items()}
        case list() | tuple():
            return [finite(inner) for inner in value]
        case _:
            return value


def decoded_evidence(ledger: Ledger, cohort: Sequence[ClientId]) -> DecodedEstimates | None:
    """Every client's decoded label confusions, in honest spreads; None without such statistics.

    The same estimate that the verdict starts from, so the figure shows what was judged.
    """
    block = ledger.block(FeatureKind.CONFUSION)
    if block is None:
        return None
    seen_in = arrange(ledger, block, cohort)
    if not seen_in.rounds:
        return None
    readings = read(look(seen_in.means, seen_in.grams, seen_in.sizes))
    design = Design(seen_in.groups, len(seen_in.clients))
    decoded = decode(design.gather(readings.mislabelled.values))
    spread = decoded.honest_spread if decoded.honest_spread > 0 else 1.0
    pairs = tuple((pair.source, pair.target) for pair in label_pairs(block.shape[0]))
    return DecodedEstimates(seen_in.clients, pairs, decoded.estimate / spread)


def finite_or_none(value: float | None) -> float | None:
    """None where JSON has no number for it."""
    return value if value is not None and math.isfinite(value) else None


def _finite(value: float) -> float:
    return float(value) if math.isfinite(value) else 0.0
