"""What an operator is told before a training: where the defence does not hold what it states."""

from __future__ import annotations

from auror.params import RATED_CLIENTS
from auror.training.config import CampaignConfig
from auror.training.detectors import DecodedDetector
from auror.training.observations import PlanChoice, how_found


def too_few(clients: int, without: str) -> str | None:
    """A line where so few clients take part that the stated error rate was seen to fail; None
    elsewhere.

    Args:
        without: how to train without accusing anybody, in the words of the program.
    """
    if clients >= RATED_CLIENTS:
        return None
    return (
        f"{clients} clients: below {RATED_CLIENTS} error_rate is not claimed, honest clients are"
        f" flagged more often (docs/defence.md): let more take part, or {without}"
    )


def notices_of(config: CampaignConfig, plan: PlanChoice, clients: int) -> tuple[str, ...]:
    """Lines for the operator of a training of ``clients`` in which ``plan`` is opened."""
    if not config.defend:
        return ()
    rated = isinstance(config.detector, DecodedDetector) and plan.confusion
    few = too_few(clients, "accuse nobody: session.defend = false") if rated else None
    return tuple(line for line in (how_found(plan), few) if line is not None)
