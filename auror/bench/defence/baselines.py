"""Published rules against AUROR under the same attacks. All but AUROR see every update."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from auror.bench.defence.arena import setting, under_rule
from auror.bench.defence.averages import averaged
from auror.bench.defence.rows import Bench, Row, cached_row
from auror.rules.choice import RULES

ATTACKS = (
    "none",
    "flip:4:9",
    "flip:4:9:0.5",
    "flip:4:9+scale:5.0",
    "backdoor:0",
    "sign",
    "alie",
    "ipm:0.5",
)
REDUCED = ("flip:4:9", "ipm:0.5")
GROUP_SIZES = (5, 10)
ROUNDS = 30
REDUCED_ROUNDS = 15


def run(bench: Bench) -> list[Row]:
    """A row per attack, rule and seed; 9 of 30 clients are malicious, none under "none"."""
    found = []
    rounds = REDUCED_ROUNDS if bench.reduced else ROUNDS
    for attack in REDUCED if bench.reduced else ATTACKS:
        for name in (*RULES, *(f"auror g={size}" for size in GROUP_SIZES)):
            for seed in bench.seeds[:1] if bench.reduced else bench.seeds:
                key = {
                    "attack": attack, "rule": name, "needs_plaintext_updates": name in RULES,
                    "clients": 30, "malicious": 0 if attack == "none" else 9,
                    "rounds": rounds, "seed": seed,
                }  # fmt: skip
                compute = partial(_row, attack, name, rounds, seed)
                found.append(cached_row(bench, "baselines", key, compute))
    return found


def summarise(rows: Sequence[Row]) -> list[Row]:
    """Means over seeds. A rule that leaves out some in every round has that as its FPR."""
    return averaged(
        rows,
        ("attack", "rule", "needs_plaintext_updates"),
        ("accuracy", "attack_success", "tpr", "fpr"),
    )


def _row(attack: str, name: str, rounds: int, seed: int) -> Row:
    changes = {"rounds": rounds, **({"malicious": 0} if attack == "none" else {})}
    rule, _, size = name.partition(" g=")
    return under_rule(setting(attack, seed, int(size or 5), **changes), rule)
