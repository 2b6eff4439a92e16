"""A verdict on a ledger of one's own."""

from __future__ import annotations

from collections.abc import Collection

from auror.defence.ledger import Ledger
from auror.errors import ConfigError
from auror.ids import ClientId
from auror.params import DETECTOR, ERROR_RATE, TAU
from auror.training.detectors import DetectorDials, choose_detector
from auror.training.verdict import Verdict


def judge(
    ledger: Ledger,
    clients: Collection[int] | None = None,
    *,
    detector: object = DETECTOR,
    error_rate: float = ERROR_RATE,
    alpha: float | None = None,
    tau: float = TAU,
) -> Verdict:
    """Who stands out in group sums that somebody opened.

    Args:
        ledger: rounds of group means, each group's members named.
        clients: who could be invited next; by default everybody in the ledger.
        detector: "decoded" (needs a block of label confusion), "direction" (the output layer),
            "published" (the output layer of groups of one), ``package.module:attribute``, or a
            detector itself.
        error_rate: of "decoded", in (0, 1): at most the chance that a training in which nobody
            lies ever accuses anybody.
        alpha: of the published detector, in units of the update.
        tau: of the published detector, in (0, 1).

    Raises:
        ConfigError: an unknown detector, or a ledger without the columns that it reads.
    """
    chosen = choose_detector(detector)
    if chosen.kind.thresholds and alpha is None:
        raise ConfigError(f"detector {chosen} needs alpha: the distance of two centres that counts")
    members = {m for entry in ledger.rounds for group in entry.groups for m in group.members}
    invited = tuple(sorted(members if clients is None else map(ClientId, clients)))
    try:
        return chosen.kind.make(DetectorDials(error_rate, alpha or 0.0, tau))(ledger, invited)
    except ValueError as error:
        raise ConfigError(f"detector {chosen} cannot read this ledger: {error}") from error
