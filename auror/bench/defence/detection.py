"""Does the verdict find those who lie, 10 to 40 % of the cohort?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from auror.bench.defence.calibration import Cell, cell_rows, summarise
from auror.bench.defence.rows import Row, Say

__all__ = ["run", "summarise"]


def attacked_cells(reduced: bool) -> list[Cell]:
    """10 to 40 % of 30 clients, and of 100 clients with 40 samples each."""
    if reduced:
        return [Cell("mnist5k", 30, 9, 5, 20, 60)]
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


def run(cache: Path, seeds: Sequence[int], reduced: bool, say: Say) -> list[Row]:
    """A row per cell and seed. ``seeds`` should be ones that no threshold was set on (1000 …)."""
    return cell_rows("detection", attacked_cells(reduced), cache, seeds, say)
