"""How many rounds detection takes, against what it may see: the frontier of privacy and detection.

Beside every measured number of rounds stands what counting equations says: R rounds of G groups
give R·(G − 1)·T independent sums, and n − 1 clients have to be told apart, so nothing can be
certain before (n − 1)/((G − 1)·T) rounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from auror.experiments.defence_bench.calibration import Cell, outcome, recorded
from auror.experiments.defence_bench.rows import Row, Say, cached_row
from auror.experiments.recordings import replay

ROUNDS = 60


@dataclass(frozen=True)
class Dial:
    """One point of the curve."""

    clients: int
    malicious: int
    group_size: int
    fraction: float
    """Part of the source samples that attackers relabel."""
    partitions: int
    """T: overlapping partitions opened in a round."""


def dials(reduced: bool) -> list[Dial]:
    if reduced:
        return [Dial(30, 9, size, 1.0, 1) for size in (5, 10)]
    sizes = [Dial(30, bad, size, 1.0, 1) for bad in (3, 9) for size in (1, 2, 3, 5, 7, 10, 15)]
    flips = [Dial(30, 9, size, part, 1) for size in (3, 5, 10) for part in (0.75, 0.5, 0.25)]
    twice = [Dial(30, 9, size, 1.0, times) for size in (5, 10, 15) for times in (2, 4)]
    larger = [Dial(60, 18, size, 1.0, 1) for size in (5, 10, 20)]
    return sizes + flips + twice + larger


def fewest_rounds(dial: Dial) -> int | None:
    """Rounds after which there are as many independent sums as clients to tell apart."""
    groups = dial.clients // dial.group_size
    return math.ceil((dial.clients - 1) / ((groups - 1) * dial.partitions)) if groups > 1 else None


def run(cache: Path, seeds: Sequence[int], reduced: bool, say: Say) -> list[Row]:
    """A row per dial and seed."""
    return [_cached(dial, cache, seed, say) for dial in dials(reduced) for seed in seeds]


def _cached(dial: Dial, cache: Path, seed: int, say: Say) -> Row:
    cell = Cell(
        "mnist5k", dial.clients, dial.malicious, dial.group_size, ROUNDS, ROUNDS,
        fraction=dial.fraction,
    )  # fmt: skip
    key = {
        "clients": dial.clients, "malicious": dial.malicious, "group_size": dial.group_size,
        "attack": cell.attack(seed), "fraction": dial.fraction, "partitions": dial.partitions,
        "rounds": ROUNDS, "seed": seed,
    }  # fmt: skip

    def compute() -> Row:
        found = replay(
            recorded(cell, cache, seed), dial.group_size, seed, rounds=ROUNDS,
            partitions=dial.partitions,
        )  # fmt: skip
        everybody = found.malicious <= found.flagged.keys()
        return {
            **outcome(found),
            "all found after": max((found.flagged[c] for c in found.malicious), default=None)
            if everybody
            else None,
            "fewest possible": fewest_rounds(dial),
            "group sums opened": found.group_sums,
        }

    return cached_row(cache, "frontier", key, say, compute)


def summarise(rows: Sequence[Row]) -> list[Row]:
    """Medians over seeds; a seed in which somebody was not found counts as infinite."""
    keys = ("clients", "malicious", "group_size", "fraction", "partitions")
    points: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        if row["reason"] is None:
            points.setdefault(tuple(row[key] for key in keys), []).append(row)
    lines = []
    for point, found in points.items():
        times = sorted(math.inf if r["all found after"] is None else r["all found after"]
                       for r in found)  # fmt: skip
        median = times[len(times) // 2]
        lines.append(
            {
                **dict(zip(keys, point, strict=True)),
                "runs": len(found),
                "fewest possible": found[0]["fewest possible"],
                "all found after, median": None if math.isinf(median) else median,
                "all found": sum(not math.isinf(time) for time in times),
                "tpr": round(sum(r["tpr"] for r in found) / len(found), 4),
                "fpr": round(sum(r["fpr"] for r in found) / len(found), 5),
            }
        )
    return lines
