"""What each rule of the verdict is worth: recorded trainings judged again with the rule off.

The verdict alone, at the looks of ``calibration``; whoever any look accuses counts. Trainings of
signs are those of ``signs`` and ``paper_claims``. A rule that changes no line here is kept for a
case that these cells do not hold, or should go.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import numpy as np

from auror.bench.defence.averages import averaged, cells
from auror.bench.defence.calibration import look_rounds
from auror.bench.defence.cells import SIGN_PAIRS, Cell, recorded, signs
from auror.bench.defence.full import decoded_view, recorded_in_full
from auror.bench.defence.redistribution import liars, victims_of
from auror.bench.defence.rows import Bench, Row, cached_row
from auror.bench.defence.signs import ROUNDS as SIGN_ROUNDS
from auror.bench.recordings import RecordedTraining, open_groups
from auror.bench.replays import CHANGED
from auror.crypto.tags import number
from auror.defence import confusion, selection, verdict
from auror.defence.blocks import AnySpread, blocks_of
from auror.defence.confusion import Against, Depleted, Margin, Mislabelled, RoundShown
from auror.defence.consistency import GuardParams
from auror.defence.ledger import Ledger, RoundObservation
from auror.defence.selection import Block
from auror.defence.spike_slab import USUAL
from auror.defence.verdict import VerdictParams, judge
from auror.ids import ClientId
from auror.round.arithmetic import quantiser
from auror.round.public import draw_groups
from auror.training.observations import observe

ROUNDS = 20
_NEVER = GuardParams(math.inf, math.inf, math.inf)


@dataclass(frozen=True)
class Off:
    """One rule switched off: parameters that disable it, or what stands in for a part of the
    verdict while it judges."""

    params: Mapping[str, Any] = field(default_factory=dict)
    instead: tuple[tuple[ModuleType, str, Any], ...] = ()

    @contextlib.contextmanager
    def applied(self) -> Iterator[VerdictParams]:
        """The parameters to judge with, as long as the rule is off."""
        kept = [(module, name, getattr(module, name)) for module, name, _ in self.instead]
        try:
            for module, name, other in self.instead:
                setattr(module, name, other)
            yield VerdictParams(**dict(self.params))
        finally:
            for module, name, own in kept:
                setattr(module, name, own)


def _blocks(change: Callable[[Block], Block | None]) -> Off:
    """Every block of readings as ``change`` makes it; None: not judged."""

    def changed(*told: Any) -> tuple[Block, ...]:
        made = [change(block) for block in _BLOCKS_OF(*told)]
        return tuple(block for block in made if block is not None)

    return Off(instead=((verdict, "blocks_of", changed),))


_BLOCKS_OF, _LOOK = blocks_of, confusion.look


def _without(family: type) -> Off:
    return _blocks(lambda block: None if type(block.readings[0]) is family else block)


def _any_spread(block: Block) -> Block:
    return replace(block, spreads=AnySpread()) if isinstance(block.readings[0], Depleted) else block


def _plain_alone(means: Sequence[Any], grams: Sequence[Any], sizes: Any) -> list[RoundShown]:
    opened = [
        mean if gram is None else confusion.plain(mean, gram)
        for mean, gram in zip(means, grams, strict=True)
    ]
    return _LOOK(opened, [None] * len(opened), sizes)


RULES: Mapping[str, Off] = {
    "none": Off(),
    "Mislabelled": _without(Mislabelled),
    "Margin": _without(Margin),
    "Depleted": _without(Depleted),
    "Against": _without(Against),
    "learnt tails": Off(instead=((selection, "learn_tails", lambda *_: USUAL),)),
    "predicted spreads": _blocks(_any_spread),
    "plain basis": Off(instead=((confusion, "plain", lambda q, _gram: q),)),
    "dual basis": Off(instead=((verdict, "look", _plain_alone),)),
    "resolved": Off({"resolved": 0.0}),
    "alike": Off({"alike": math.inf}),
    "resolved, alike": Off({"resolved": 0.0, "alike": math.inf}),
    "max_skew": Off({"max_skew": math.inf}),
    "misfit": Off({"misfit": 0.0}),
    "guards": Off(instead=((verdict, "ALL_ROUNDS", _NEVER), (verdict, "LATER_ROUNDS", _NEVER))),
    "late windows": Off(instead=((verdict, "late_windows", lambda _rounds: ()),)),
    "early inclusion": Off({"early_inclusion": VerdictParams().inclusion}),
}
"""Rule → how the verdict goes without it."""
LARGE = ("none", "misfit")
"""All that is asked of the cohort of 100, whose verdicts take long."""


@dataclass(frozen=True)
class Case:
    """A cell, and what the malicious do to their statistics (``redistribution``; "": nothing)."""

    cell: Cell
    lies: str = ""


def cases(bench: Bench) -> list[Case]:
    """Attacked from the first round on or late, and clean; equal and skewed; few and many classes;
    true and false statistics."""
    ten = Cell("mnist5k", 30, 9, 5, ROUNDS, ROUNDS)
    if bench.reduced:
        return [Case(ten)]
    some = [replace(ten, partition=way) for way in ("dirichlet:1.0", "dirichlet:0.5")]
    clean = [
        replace(ten, malicious=0, partition=way) for way in ("iid", "dirichlet:0.5", "shards:2")
    ]
    clean.append(Cell("digits", 30, 0, 5, ROUNDS, ROUNDS, "dirichlet:1.0"))
    large = Cell("mnist5k", 100, 0, 10, ROUNDS, ROUNDS)
    of_signs = [signs(bench, m, SIGN_ROUNDS, "iid-samples", SIGN_PAIRS[:1]) for m in (9, 3, 0)]
    asleep = replace(ten, rounds=2 * ROUNDS, recorded=2 * ROUNDS, named=f"flip:4:9+sleep:{ROUNDS}")
    return [
        *map(Case, [ten, asleep, *some, *clean]),
        Case(ten, "onto-honest"),
        *map(Case, [*of_signs, large]),
    ]


def run(bench: Bench) -> list[Row]:
    """A row per seed, case and rule."""
    few = bench.seeds[:1] if bench.reduced else bench.seeds
    return [
        _row(case, rule, bench, seed)
        for seed in few
        for case in cases(bench)
        for rule in (LARGE if case.cell.clients > 30 else RULES)
    ]


def _row(case: Case, rule: str, bench: Bench, seed: int) -> Row:
    cell = case.cell

    def compute() -> Row:
        signed = cell.partition.endswith("-samples")
        made = (
            decoded_view(recorded_in_full(cell, bench.cache, seed))
            if signed
            else recorded(cell, bench.cache, seed)
        )
        with RULES[rule].applied() as params:
            return judged(made, case, params, seed)

    key = {**cell.key(seed), "statistics": case.lies or "true", "without": rule}
    return cached_row(bench, "ablation", key, compute)


def judged(made: RecordedTraining, case: Case, params: VerdictParams, seed: int) -> Row:
    """The verdict under ``params`` at every look: whom any accuses, and its largest log-odds."""
    rng = np.random.default_rng([seed, 0x6162])
    everybody = tuple(ClientId(client) for client in range(made.clients))
    lie = liars(case.lies, made, victims_of(made, seed), seed) if case.lies else None
    ledger, looks = Ledger(made.blocks), look_rounds(case.cell)
    accused: set[ClientId] = set()
    largest = -math.inf
    for at in range(looks[-1]):
        groups = draw_groups(rng.bytes(24) + number(at), everybody, case.cell.group_size)
        true = made.sums[at]
        told = true if lie is None else lie(at, true.copy(), [list(group) for group in groups])
        seen = observe(made.plans[at], quantiser(made.params), open_groups(told, groups))
        ledger.append(RoundObservation(at, 0, seen, made.plans[at].gram))
        if at + 1 in looks:
            found = judge(ledger, params, everybody)
            accused |= found.flagged
            largest = max(largest, found.strength)
    bad = {c for c in made.malicious if made.changed.get(c, 0) >= CHANGED}
    honest = set(everybody) - set(made.malicious)
    return {
        "tpr": len(accused & bad) / len(bad) if bad else None,
        "fpr": len(accused & honest) / len(honest),
        "strength": round(largest, 3),
    }


_CELL = ("dataset", "clients", "malicious", "partition", "statistics", "rounds")


def summarise(rows: Sequence[Row]) -> list[Row]:
    """Means over seeds and the largest log-odds, per cell and rule that is off; ``changes``: of any
    seed, the row differs from that with every rule on."""
    whole = {_setting(row): _said(row) for row in rows if row["without"] == "none"}
    folded = averaged(rows, (*_CELL, "without"), ("tpr", "fpr"))
    grouped = cells(rows, (*_CELL, "without")).values()
    return [
        {
            **line,
            "largest log-odds": max(row["strength"] for row in found),
            "changes": any(_said(row) != whole.get(_setting(row)) for row in found),
        }
        for line, found in zip(folded, grouped, strict=True)
    ]


def _setting(row: Row) -> tuple[object, ...]:
    return (*(row[key] for key in _CELL), row["attack"], row["seed"])


def _said(row: Row) -> tuple[object, ...]:
    return (row["tpr"], row["fpr"], row["strength"])
