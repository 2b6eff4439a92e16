"""Does the whole flow, audits included, accuse nobody when nobody lies?

One training per seed, data set and number of clients is recorded and replayed for every group size
(``auror.bench.replays``). Runs of one cell have different training seeds, so they are independent;
cells that differ in the group size only share their trainings. How often the verdict alone errs at
every stated rate is the section ``calibration``.
"""

from __future__ import annotations

from auror.bench.defence.cells import Cell, cell_rows, signs, summarise
from auror.bench.defence.rows import Bench, Row

__all__ = ["run", "summarise"]

ROUNDS = 40


def clean_cells(bench: Bench) -> list[Cell]:
    """Nobody lies."""
    if bench.reduced:
        return [Cell("mnist5k", 30, 0, 5, ROUNDS, ROUNDS)]
    return [
        Cell(dataset, clients, 0, size, ROUNDS, ROUNDS)
        for dataset in ("mnist5k", "digits")
        for clients in (15, 30, 60, 100)
        for size in (3, 5, 8, 10)
        if clients >= 2 * size
    ] + [signs(bench, 0, ROUNDS, way) for way in ("iid-samples", "dirichlet-samples:1.0")]


def run(bench: Bench) -> list[Row]:
    """A row per cell and seed; seeds should be ones that no threshold was set on (1000 …)."""
    return cell_rows("false_flags", clean_cells(bench), bench)
