"""Watching a tenth of the rounds once everybody is decided, beside watching all of them (ADR 0022).

What is opened, what a linear estimator recovers of clients, and what attackers gain who wait for
the thrift: some begin in the last third, some attack in one round of ten, some in single rounds
with ten times the update.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from auror.bench.defence.arena import detection_row, metrics_row, setting, under_auror
from auror.bench.defence.averages import averaged
from auror.bench.defence.rows import Bench, Row, cached_row
from auror.experiments.config import RunName
from auror.learn.attack import Aim, Attack, Floats, Knowledge, Labels, Updates, own_attack
from auror.learn.attacks import LabelFlip
from auror.params import RoundParams

ROUNDS, REDUCED_ROUNDS = 60, 30
RATES = (RoundParams().watch_rate, 1.0)
_PAYLOAD = LabelFlip(4, 9)


@dataclass(frozen=True)
class Sometimes(Attack):
    """``factor`` times what training on flipped labels gives in the rounds that ``when`` names, by
    the number of rounds before; honest in all others."""

    when: Callable[[int], bool]
    factor: float = 1.0

    @property
    def aim(self) -> Aim:
        return _PAYLOAD.aim

    def poison(self, x: Floats, y: Labels, rng: np.random.Generator) -> tuple[Floats, Labels]:
        return _PAYLOAD.poison(x, y, rng)

    def forge(self, known: Knowledge) -> Updates:
        if not self.when(known.counter):
            return known.own
        return {client: np.float32(self.factor) * u for client, u in known.attacking.items()}


ATTACKERS: Mapping[str, Sometimes | None] = {
    "nobody": None,
    "from the first round": Sometimes(lambda _before: True),
    "in the last third": Sometimes(lambda before: before >= 2 * ROUNDS // 3),
    "in one round of ten": Sometimes(lambda before: before % 10 == 9),
    "scaled by 10 in rounds 46 and 56": Sometimes(lambda before: before in {45, 55}, 10.0),
}
REDUCED = ("nobody", "from the first round")


def run(bench: Bench) -> list[Row]:
    """A row per seed, attackers and watch rate."""
    names = REDUCED if bench.reduced else tuple(ATTACKERS)
    rounds = REDUCED_ROUNDS if bench.reduced else ROUNDS
    seeds = bench.seeds[:1] if bench.reduced else bench.seeds
    return [
        cached_row(
            bench,
            "watching",
            {"attackers": name, "watch_rate": rate, "rounds": rounds, "seed": seed},
            partial(_row, name, rate, rounds, seed),
        )
        for seed in seeds
        for name in names
        for rate in RATES
    ]


def summarise(rows: Sequence[Row]) -> list[Row]:
    """Means over seeds."""
    return averaged(
        rows,
        ("attackers", "watch_rate", "rounds"),
        (
            "tpr", "fpr", "first_flag", "last_flag", "accuracy", "attack_success",
            "rounds_watched", "label_rows", "statistic_recovery", "update_recovery",
        ),
    )  # fmt: skip


def _row(name: str, rate: float, rounds: int, seed: int) -> Row:
    attack = ATTACKERS[name]
    # nobody lies, but the same flip is looked for at the end
    config = setting(str(_PAYLOAD), seed, rounds=rounds)
    config = (
        replace(config, malicious=0)
        if attack is None
        else replace(config, attack=own_attack(attack, name))
    )
    config = replace(config, round_params=replace(config.round_params, watch_rate=rate))
    result = under_auror(config, (RunName.DEFENDED,))
    defended = result.defended
    account: Mapping[str, Any] = {} if defended is None else defended.privacy
    opened = () if defended is None else defended.records
    challenge = config.round_params.challenge_rows
    return {
        **detection_row(result),
        **metrics_row(result.outcomes[RunName.DEFENDED].final),
        "rounds_watched": account.get("rounds_watched"),
        "label_rows": sum(
            len(group.total) - challenge for record in opened for group in record.opened
        ),
        "statistic_recovery": account.get("statistic_recovery"),
        "update_recovery": account.get("update_recovery"),
    }
