"""The paper's own claim: 10, 20 and 30 % malicious clients, with and without AUROR.

Shen, Tople, Saxena (ACSAC 2016) report that accuracy drops by 3 points at 30 %. ``paper`` rows
run the published algorithm (g = 1, α from a run known to be honest), ``decoded`` rows the same
question on sums over five clients. Both train again without the flagged, as the paper does.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from auror.bench.defence.arena import damage_row, setting
from auror.bench.defence.averages import averaged
from auror.bench.defence.rows import Bench, Row, cached_row
from auror.training.config import AfterFlag
from auror.training.detectors import choose_detector

CLIENTS = 30
ROUNDS = 30
REDUCED_ROUNDS = 15
SHARES = (0.1, 0.2, 0.3)
DETECTORS = (("published", 1), ("decoded", 5))


def run(bench: Bench) -> list[Row]:
    """A row per share of malicious clients, detector and seed; ``reduced`` takes 30 % only."""
    found = []
    rounds = REDUCED_ROUNDS if bench.reduced else ROUNDS
    for share in SHARES[-1:] if bench.reduced else SHARES:
        for detector, size in DETECTORS:
            for seed in bench.seeds[:1] if bench.reduced else bench.seeds:
                key = {
                    "attack": "flip:4:9", "clients": CLIENTS, "malicious_share": share,
                    "detector": detector, "group_size": size, "rounds": rounds, "seed": seed,
                }  # fmt: skip
                compute = partial(_row, share, detector, size, rounds, seed)
                found.append(cached_row(bench, "paper_claims", key, compute))
    return found


def summarise(rows: Sequence[Row]) -> list[Row]:
    """Means over seeds; the paper's drop is 0.03 at 30 %."""
    return averaged(
        rows,
        ("malicious_share", "detector", "group_size"),
        (
            "clean_accuracy", "undefended_accuracy", "defended_accuracy", "accuracy_drop",
            "clean_attack_success", "undefended_attack_success", "defended_attack_success",
            "tpr", "fpr",
        ),
    )  # fmt: skip


def _row(share: float, detector: str, group_size: int, rounds: int, seed: int) -> Row:
    config = setting(
        "flip:4:9",
        seed,
        group_size,
        malicious=round(share * CLIENTS),
        rounds=rounds,
        detector=choose_detector(detector),
        after_flag=AfterFlag.RESTART,
    )
    row = damage_row(config)
    row["accuracy_drop"] = row["clean_accuracy"] - row["defended_accuracy"]
    return row
