"""Attackers who are two camps, mislabel several pairs, are many or alone, blur what is learnt; and
backdoors on signs: a sticker in the corner, called another sign."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from auror.bench import mislabelling
from auror.bench.defence.cells import Cell, outcome, recorded, signs, summarise
from auror.bench.defence.rows import Bench, Row, cached_row
from auror.bench.replays import replay

__all__ = ["run", "summarise"]

ROUNDS = 40
_OWN = f"{mislabelling.__name__}:"
_STICKER = "backdoor:0"
_STICKERS = {1: (5,), 3: (1, 2, 3, 5), 6: (5,), 9: (1, 2, 3, 5), 13: (5,)}
"""How many of 30 put them on → sizes of groups."""


def attacked_cells(bench: Bench) -> list[Cell]:
    """Ten classes, equal and skewed; then signs."""
    one = Cell("mnist5k", 30, 9, 5, ROUNDS, ROUNDS)
    named = [
        replace(one, named=f"{_OWN}{name}") for name in ("two_camps", "three_pairs", "blurred")
    ]
    if bench.reduced:
        return named[:1]
    skewed = [replace(cell, partition="dirichlet:1.0") for cell in named]
    shares = [replace(one, malicious=bad, named="flip:4:9") for bad in (1, 13)]
    even = signs(bench, 9, ROUNDS, "iid-samples")
    of_signs = [
        replace(even, malicious=bad, group_size=size, named=_STICKER)
        for bad, sizes in _STICKERS.items()
        for size in sizes
    ]
    of_signs.append(replace(even, named=f"{_OWN}two_camps_of_signs"))
    return named + shares + skewed + of_signs


def run(bench: Bench) -> list[Row]:
    """A row per seed and cell."""
    few = bench.seeds[:1] if bench.reduced else bench.seeds
    return [
        cached_row(bench, "attackers", cell.key(seed), partial(_row, cell, bench, seed))
        for seed in few
        for cell in attacked_cells(bench)
    ]


def _row(cell: Cell, bench: Bench, seed: int) -> Row:
    made = recorded(cell, bench.cache, seed)
    found = outcome(replay(made, cell.group_size, seed, rounds=cell.rounds))
    return {**found, "undefended_attack_success": made.metrics["attack_success"]}
