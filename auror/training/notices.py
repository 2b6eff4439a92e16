"""What an operator is told before a training: where the defence does not hold what it states."""

from __future__ import annotations

from auror.params import RATED_CLIENTS
from auror.training.config import CampaignConfig
from auror.training.observations import PlanChoice, how_found


def too_few(clients: int, flags: bool) -> str | None:
    """A line where so few clients take part that the stated error rate was seen to fail; None
    elsewhere.

    Args:
        flags: whether they may be flagged all the same (``flag_small_cohorts``).
    """
    if clients >= RATED_CLIENTS:
        return None
    claim = f"{clients} clients: below {RATED_CLIENTS} error_rate is not claimed"
    if flags:
        return (
            f"{claim}, honest clients may be flagged more often (docs/defence.md): let more take"
            " part, or leave out flag_small_cohorts = true"
        )
    return (
        f"{claim}, so nobody is flagged, and who stands out is shown as suspected: let more take"
        " part, or set flag_small_cohorts = true (docs/defence.md)"
    )


WITHOUT_SAMPLES = (
    "the policy signs no clean samples: label rows are read along the model's output weights, of"
    " which error_rate is not claimed; enrol with `auror certs --clean-per-class 10`"
)


def notices_of(
    config: CampaignConfig, plan: PlanChoice, clients: int, signed: bool
) -> tuple[str, ...]:
    """Lines for the operator of a training of ``clients`` in which ``plan`` is opened; ``signed``:
    whether there are clean samples to read it along."""
    if not config.defend:
        return ()
    few = None if config.rated(clients) else too_few(clients, config.flag_small_cohorts)
    bare = WITHOUT_SAMPLES if plan.confusion and not signed else None
    return tuple(line for line in (how_found(plan), bare, few) if line is not None)
