"""Does the verdict find those who lie, 10 to 40 % of the cohort?"""

from __future__ import annotations

from dataclasses import replace

from auror.bench.defence.cells import Cell, cell_rows, summarise
from auror.bench.defence.rows import Bench, Row

__all__ = ["run", "summarise"]


def attacked_cells(bench: Bench) -> list[Cell]:
    """10 to 40 % of 30 clients, and of 100 clients with 40 samples each."""
    if bench.reduced:
        return [Cell("mnist5k", 30, 9, 5, 20, 20)]
    small = [
        Cell("mnist5k", 30, malicious, size, rounds, 60)
        for malicious in (3, 6, 9, 12)
        for size, rounds in ((3, 20), (5, 20), (10, 40), (15, 60))
    ]
    large = [Cell("mnist5k", 100, malicious, 10, 40, 40) for malicious in (10, 20, 30, 40)]
    digits = [
        Cell("digits", 30, malicious, size, 40, 40) for malicious in (3, 9) for size in (3, 5)
    ]
    return small + large + digits


def run(bench: Bench) -> list[Row]:
    """A row per cell and seed; seeds should be ones that no threshold was set on (1000 …)."""
    few = replace(bench, seeds=bench.seeds[:1]) if bench.reduced else bench
    return cell_rows("detection", attacked_cells(bench), few)
