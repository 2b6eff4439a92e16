"""Attackers who adapt: who of them is found, and what those do who are not.

The paper promises that an attacker who evades does bounded damage: every row therefore has the
attack's success and the accuracy with the defence, without it, and without the attacker.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from auror.bench.defence.arena import damage_row, setting
from auror.bench.defence.averages import averaged
from auror.bench.defence.redistribution import SCHEMES, redistribution_row
from auror.bench.defence.rows import Bench, Row, cached_row

ATTACKS = (
    "flip:4:9",
    "flip:4:9:0.5",
    "flip:4:9:0.25",
    "flip:4:9+gap:0.02",
    "flip:4:9+gap:0.01",
    "flip:4:9+few:64",
    "flip:4:9+few:8",
    "flip:4:9+sleep:10",
    "flip:4:9+null",
    "flip:4:9+scale:5.0",
    "flip:4:9+scale:10.0",
    "sign",
    "alie",
    "ipm:0.5",
    "ipm:5.0",
    "min-max",
    "min-sum",
    "flip-all",
    "backdoor:0",
)
REDUCED = ("flip:4:9+gap:0.01", "flip:4:9+sleep:10", "sign", "backdoor:0")
CELLS = ((5, 9), (5, 3), (10, 9))
"""Group size and malicious of 30."""
ROUNDS = 40
REDUCED_ROUNDS = 20


def run(bench: Bench) -> list[Row]:
    """A row per cell, attack and seed; among the attacks colluders who lie in their statistics."""
    attacks, cells = (REDUCED, CELLS[:1]) if bench.reduced else (ATTACKS, CELLS)
    rounds = REDUCED_ROUNDS if bench.reduced else ROUNDS
    found = []
    for size, malicious in cells:
        for attack in (*attacks, *(f"redistribute:{scheme}" for scheme in SCHEMES)):
            for seed in bench.seeds[:1] if bench.reduced else bench.seeds:
                key = {
                    "attack": attack, "clients": 30, "malicious": malicious,
                    "group_size": size, "rounds": rounds, "seed": seed,
                }  # fmt: skip
                scheme = attack.removeprefix("redistribute:")
                compute = (
                    partial(_row, attack, malicious, size, rounds, seed)
                    if scheme == attack
                    else partial(
                        redistribution_row, scheme, malicious, size, rounds, seed, bench.cache
                    )
                )
                found.append(cached_row(bench, "adaptive", key, compute))
    return found


def summarise(rows: Sequence[Row]) -> list[Row]:
    """Means over seeds."""
    return averaged(
        rows,
        ("group_size", "malicious", "attack"),
        (
            "tpr", "fpr", "first_flag", "victim_flagged", "checks_failed",
            "clean_accuracy", "undefended_accuracy", "defended_accuracy",
            "clean_attack_success", "undefended_attack_success", "defended_attack_success",
        ),
    )  # fmt: skip


def _row(attack: str, malicious: int, group_size: int, rounds: int, seed: int) -> Row:
    return damage_row(setting(attack, seed, group_size, malicious=malicious, rounds=rounds))
