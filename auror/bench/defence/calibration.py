"""Is the stated error rate the observed one? ``alpha`` against how often a clean training alarms.

A training in which nobody lies is recorded once and its groups are drawn ``DRAWS`` times. The
verdict looks after ``LOOKS`` rounds, from the first on in which it may judge up to the last, each a
like factor later than the one before: log-odds move slowly, and fastest early. The claim is about
every round, so rates seen at these looks are a little below those of a verdict after each. A draw
alarms at ``alpha`` when the log-odds of its strongest reading reach what ``alpha`` asks for at any
look: the verdict then accuses somebody unless its guards hold it back (steadiness, inclusion), so
the observed rate bounds that of accusations at these looks from above.

Draws of one training share its clients and their data: trainings and draws are counted separately,
and intervals take all draws of a training for one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import beta

from auror.bench.defence.averages import cells
from auror.bench.defence.cells import Cell, recorded, signs
from auror.bench.defence.rows import Bench, Row, cached_row
from auror.bench.recordings import RecordedTraining
from auror.crypto.tags import number
from auror.defence.ledger import Ledger
from auror.defence.verdict import VerdictParams, judge
from auror.experiments.hopeless import first_judgement
from auror.ids import ClientId
from auror.round.public import draw_groups

ALPHAS = (0.3, 0.1, 0.03, 0.01)
DRAWS, REDUCED_DRAWS = 20, 2
ROUNDS = 20
LOOKS = 6


def clean_cells(bench: Bench) -> list[Cell]:
    """30 clients in groups of five, nobody lies: equal, skewed and very skewed labels."""
    if bench.reduced:
        return [_packaged("mnist5k", "iid")]
    packaged = [
        _packaged(dataset, way)
        for dataset in ("mnist5k", "digits")
        for way in ("iid", "dirichlet:1.0", "dirichlet:0.5")
    ]
    ways = ("iid-samples", "dirichlet-samples:1.0", "dirichlet-samples:0.5")
    return packaged + [signs(bench, 0, ROUNDS, way) for way in ways]


def look_rounds(cell: Cell) -> tuple[int, ...]:
    """After which rounds of ``cell`` the verdict looks, counted from 1: ``LOOKS`` of them, fewer
    where there are not so many rounds."""
    first = first_judgement(cell.clients, cell.clients // cell.group_size)
    if first >= cell.rounds:
        return (cell.rounds,)
    return tuple(np.unique(np.rint(np.geomspace(first, cell.rounds, LOOKS)).astype(int)).tolist())


def _packaged(dataset: str, partition: str) -> Cell:
    return Cell(dataset, 30, 0, 5, ROUNDS, ROUNDS, partition)


def run(bench: Bench) -> list[Row]:
    """A row per cell and seed; seeds should be ones that no threshold was set on (1000 …)."""
    if bench.reduced:
        few = replace(bench, seeds=bench.seeds[:1])
        return curve_rows(clean_cells(bench), few, REDUCED_DRAWS)
    return curve_rows(clean_cells(bench), bench, DRAWS)


def curve_rows(settings: Sequence[Cell], bench: Bench, draws: int) -> list[Row]:
    """A row per seed and cell, each kept in the cache when it is computed. ``strengths``: of every
    draw the largest log-odds at any look; ``accused``: draws in which somebody would have been
    flagged at the default ``alpha``."""
    found = []
    for seed in bench.seeds:
        for cell in settings:

            def compute(cell: Cell = cell, seed: int = seed) -> Row:
                return watched(recorded(cell, bench.cache, seed), cell, seed, draws)

            key = {**cell.key(seed), "draws": draws, "looks": list(look_rounds(cell))}
            found.append(cached_row(bench, "calibration", key, compute))
    return found


def watched(recording: RecordedTraining, cell: Cell, seed: int, draws: int) -> Row:
    """``strengths`` and ``accused`` over ``draws`` of the groups; nobody lies in the training."""
    seen = [watch(recording, cell, [seed, draw]) for draw in range(draws)]
    return {
        "strengths": [round(strength, 3) for strength, _ in seen],
        "accused": sum(accused for _, accused in seen),
    }


def watch(recording: RecordedTraining, cell: Cell, seed: Sequence[int]) -> tuple[float, bool]:
    """One draw of the groups of all rounds: the largest log-odds of the verdict's strongest reading
    at any look, 0 at least, and whether any look accuses somebody."""
    params = VerdictParams()
    rng = np.random.default_rng([*seed, 0x6361])
    everybody = tuple(ClientId(client) for client in range(recording.clients))
    ledger = Ledger(recording.blocks)
    looks = look_rounds(cell)
    largest, accused = 0.0, False
    for at in range(looks[-1]):
        groups = draw_groups(rng.bytes(24) + number(at), everybody, cell.group_size)
        ledger.append(recording.observation(at, groups))
        if at + 1 in looks:
            verdict = judge(ledger, params, everybody)
            largest, accused = max(largest, verdict.strength), accused or bool(verdict.flagged)
    return largest, accused


def summarise(rows: Sequence[Row]) -> list[Row]:
    """A line per cell and nominal ``alpha``: the observed rate over draws, its interval over
    trainings, and whether the nominal rate is not below that interval. Last, all trainings of equal
    cohorts together, each counting once."""
    keys = ("dataset", "partition", "clients", "group_size", "rounds")
    cohort = keys[2:]
    return [
        {**dict(zip(keys, cell, strict=True)), **_line(found, alpha)}
        for cell, found in cells(rows, keys).items()
        for alpha in ALPHAS
    ] + [
        {
            "dataset": "all", "partition": "all", **dict(zip(cohort, cell, strict=True)),
            **_line(found, alpha),
        }
        for cell, found in cells(rows, cohort).items()
        for alpha in ALPHAS
    ]  # fmt: skip


def _line(found: list[Row], alpha: float) -> Row:
    alarms = alarms_of(found, alpha)
    observed, low, high = observed_rate(found, alarms)
    return {
        "looks at rounds": " ".join(str(at) for at in found[0]["looks"]),
        "alpha": alpha,
        "observed": round(observed, 5),
        "interval": [round(low, 4), round(high, 4)],
        "holds": low <= alpha,
        "trainings": len(found),
        "that ever alarm": sum(count > 0 for count in alarms),
        "draws": sum(len(row["strengths"]) for row in found),
        "alarms": sum(alarms),
        "largest log-odds": round(max(max(row["strengths"]) for row in found), 2),
        "accused at .01": sum(row["accused"] for row in found),
    }


def alarms_of(found: Sequence[Row], alpha: float) -> list[int]:
    """Per training, the draws with an alarm at ``alpha``."""
    return [
        sum(s >= VerdictParams(alpha=alpha).required(row["clients"]) for s in row["strengths"])
        for row in found
    ]


def observed_rate(found: Sequence[Row], alarms: Sequence[int]) -> tuple[float, float, float]:
    """The mean over trainings of the part of the draws that alarm, and its interval."""
    rates = [count / len(row["strengths"]) for count, row in zip(alarms, found, strict=True)]
    return math.fsum(rates) / len(found), *interval(math.fsum(rates), len(found))


def interval(successes: float, trials: int) -> tuple[float, float]:
    """The 95 % interval of Clopper and Pearson; ``successes`` in [0, ``trials``] need not be whole:
    a mean over draws of one trial varies less than the outcome of one draw."""
    low = beta.ppf(0.025, successes, trials - successes + 1) if successes > 0 else 0.0
    high = beta.ppf(0.975, successes + 1, trials - successes) if successes < trials else 1.0
    return float(low), float(high)
