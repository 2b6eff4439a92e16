"""Does the verdict find who mislabels traffic signs? Every pair of signs is a cell.

Dealt evenly within 40 rounds, LeNet among them, then with label skew or by track within 60. A
training is recorded with all that the published algorithm would read too: ``paper_claims`` takes
the same recordings.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from auror.bench.defence.cells import SIGN_PAIRS, Cell, outcome, signs, summarise
from auror.bench.defence.full import decoded_view, recorded_in_full
from auror.bench.defence.rows import Bench, Row, cached_row
from auror.bench.replays import replay

__all__ = ["run", "summarise"]

ROUNDS, SKEWED_ROUNDS, REDUCED_ROUNDS = 40, 60, 20
SKEWED = (
    (9, "dirichlet-samples:1.0"),
    (3, "dirichlet-samples:1.0"),
    (9, "dirichlet-samples:0.5"),
    (9, "iid"),
)
"""Malicious clients, and the deal; ``iid`` deals signs by track."""
LONG = 3
"""So many of the seeds for long trainings: a row takes up to a quarter of an hour."""


def sign_cells(bench: Bench) -> tuple[list[Cell], list[Cell]]:
    """Short ones, dealt evenly, and long ones: LeNet, and with label skew or by track."""
    if bench.reduced:
        return [signs(bench, 9, REDUCED_ROUNDS, "iid-samples", SIGN_PAIRS[:1])], []
    even = [
        signs(bench, malicious, ROUNDS, "iid-samples", (pair,))
        for malicious in (9, 3)
        for pair in SIGN_PAIRS
    ]
    lenet = [
        replace(signs(bench, 9, ROUNDS, "iid-samples", (pair,)), task="cnn")
        for pair in (SIGN_PAIRS[0], SIGN_PAIRS[2])
    ]
    skewed = [
        signs(bench, malicious, SKEWED_ROUNDS, way, (pair,))
        for malicious, way in SKEWED
        for pair in SIGN_PAIRS
    ]
    return even, lenet + skewed


def run(bench: Bench) -> list[Row]:
    """A row per cell and seed; seeds should be ones that no threshold was set on."""
    seeds = bench.seeds[:1] if bench.reduced else bench.seeds
    short, long = sign_cells(bench)
    return [
        cached_row(bench, "signs", cell.key(seed), partial(_row, cell, bench, seed))
        for cells, chosen in ((short, seeds), (long, seeds[:LONG]))
        for seed in chosen
        for cell in cells
    ]


def _row(cell: Cell, bench: Bench, seed: int) -> Row:
    made = recorded_in_full(cell, bench.cache, seed)
    found = outcome(replay(decoded_view(made), cell.group_size, seed, rounds=cell.rounds))
    return {**found, "undefended_attack_success": made.metrics["attack_success"]}
