"""What became of every client in every round of a load test, so that nothing is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ClientRounds:
    """Of the rounds with a total; all but the first add up to it."""

    planned: int
    """Clients times rounds with a total."""
    accepted: int
    """In the total."""
    dropped: int
    """Left the round before its end, and are not in the total."""
    left_out: int
    """Stayed to the end, and their group is not in the total."""
    excluded: int
    """Not invited, because the server had excluded them for their conduct, or flagged them."""
    away: int
    """Not invited for another reason: not connected when the round began, or pausing."""


def count_client_rounds(rounds: Sequence[Mapping[str, Any]], clients: int) -> ClientRounds:
    """``rounds``: all of a run of ``clients`` members, as ``RunReader.rounds`` has them."""
    out: set[int] = set()
    counted = dict.fromkeys(("accepted", "dropped", "left_out", "excluded", "away"), 0)
    finished = [line for line in rounds if line["aborted"] is None]
    for line in rounds:
        if line["aborted"] is None:
            cohort, accepted = set(line["cohort"]), set(line["accepted"])
            dropped = set(map(int, line["dropped"])) & cohort - accepted
            not_invited = set(range(clients)) - cohort
            counted["accepted"] += len(accepted)
            counted["dropped"] += len(dropped)
            counted["left_out"] += len(cohort - accepted - dropped)
            counted["excluded"] += len(not_invited & out)
            counted["away"] += len(not_invited - out)
        out.update(line["excluded"], line["flagged"])
    return ClientRounds(planned=clients * len(finished), **counted)
