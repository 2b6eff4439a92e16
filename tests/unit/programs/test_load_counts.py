"""What became of every client in every round of a load test."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from auror.programs.load_counts import ClientRounds, count_client_rounds


def closed(**changes: Any) -> dict[str, Any]:
    line = {"cohort": [0, 1, 2, 3, 4, 5], "accepted": [0, 1, 2, 3, 4, 5], "dropped": {}}
    return line | {"aborted": None, "excluded": [], "flagged": []} | changes


def test_excluded_clients_count_in_every_later_round() -> None:
    rounds = [
        closed(accepted=[0, 1, 2, 3], dropped={"5": "MALFORMED"}, excluded=[5]),
        closed(cohort=[0, 1, 2, 3, 4], accepted=[], aborted="TOO_FEW_ADVERTISED", flagged=[4]),
        closed(cohort=[0, 1, 2], accepted=[0, 1, 2], dropped={"1": "SILENT"}),
    ]
    found = count_client_rounds(rounds, 6)
    assert found == ClientRounds(planned=12, accepted=7, dropped=1, left_out=1, excluded=2, away=1)


def test_they_add_up() -> None:
    rounds = [closed(), closed(cohort=[1, 2], accepted=[1], dropped={"2": "SILENT"})]
    found = asdict(count_client_rounds(rounds, 6))
    assert found.pop("planned") == 12 == sum(found.values())
    assert count_client_rounds([], 6) == ClientRounds(0, 0, 0, 0, 0, 0)
