"""Label skew: the decoded verdict on group sums beside the published algorithm on single clients.

``published`` rows are AUROR as published: g = 1, the whole output layer in the clear, α from a run
of the same data in which nobody lies (which nobody has in practice). ``decoded`` rows with
``clean_per_class`` 0 show what clean samples are worth to the verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from auror.bench.defence.averages import averaged
from auror.bench.defence.cells import Cell, outcome, recorded
from auror.bench.defence.rows import Bench, Row, cached_row
from auror.bench.replays import replay
from auror.defence.paper import calibrate_alpha
from auror.training.detectors import OUTPUT_LAYER, published_detector

ROUNDS = 40
HALF = 20
PUBLISHED_ROUNDS = 10
PARTITIONS = ("iid", "dirichlet:1.0", "dirichlet:0.5", "shards:2")


def run(bench: Bench) -> list[Row]:
    """A row per detector, cell and seed."""
    decoded, published = decoded_cells(bench.reduced), published_cells(bench.reduced)
    return [_decoded(cell, bench, seed) for cell in decoded for seed in bench.seeds] + [
        _published(cell, bench, seed) for cell in published for seed in bench.seeds
    ]


def summarise(rows: Sequence[Row]) -> list[Row]:
    """Means over seeds, per detector and cell."""
    return averaged(
        rows,
        ("detector", "clean_per_class", "partition", "malicious", "group_size", "rounds"),
        ("tpr", "fpr", "first", "last"),
    )


def decoded_cells(reduced: bool) -> list[Cell]:
    """Every partition and group size; at g = 5 also after half of the rounds, and without clean
    samples."""
    if reduced:
        return [_cell("dirichlet:1.0", 9, 5, ROUNDS)]
    return (
        [replace(_cell("dirichlet:1.0", m, 5, ROUNDS), rounds=HALF) for m in (3, 9)]
        + [
            _cell(partition, malicious, size, ROUNDS)
            for partition in PARTITIONS
            for malicious in (0, 3, 9)
            for size in (1, 3, 5)
        ]
        + [
            replace(_cell(partition, malicious, 5, ROUNDS), clean_per_class=0)
            for partition in ("iid", "dirichlet:1.0")
            for malicious in (0, 9)
        ]
    )


def published_cells(reduced: bool) -> list[Cell]:
    """The same partitions and attackers, each client alone."""
    if reduced:
        return [_cell("dirichlet:1.0", 9, 1, PUBLISHED_ROUNDS)]
    return [
        _cell(partition, malicious, 1, PUBLISHED_ROUNDS)
        for partition in PARTITIONS
        for malicious in (0, 3, 9)
    ]


def _cell(partition: str, malicious: int, group_size: int, rounds: int) -> Cell:
    return Cell("mnist5k", 30, malicious, group_size, rounds, rounds, partition)


def _decoded(cell: Cell, bench: Bench, seed: int) -> Row:
    def compute() -> Row:
        made = recorded(cell, bench.cache, seed)
        return outcome(replay(made, cell.group_size, seed, rounds=cell.rounds))

    key = {**cell.key(seed), "clean_per_class": cell.clean_per_class, "detector": "decoded"}
    return cached_row(bench, "noniid", key, compute)


def _published(cell: Cell, bench: Bench, seed: int) -> Row:
    def compute() -> Row:
        honest = recorded(replace(cell, malicious=0), bench.cache, seed, OUTPUT_LAYER)
        alpha = calibrate_alpha(honest.in_the_clear(honest.rounds))
        made = recorded(cell, bench.cache, seed, OUTPUT_LAYER)
        found = replay(made, 1, seed, detector=published_detector(alpha), audits=None)
        return {**outcome(found), "alpha": alpha}

    key = {**cell.key(seed), "clean_per_class": None, "detector": "published"}
    return cached_row(bench, "noniid", key, compute)
