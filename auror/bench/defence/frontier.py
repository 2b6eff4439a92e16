"""How many rounds detection takes, against what it may see: the frontier of privacy and detection.

For every statistics plan: label confusion with the calibrated verdict, the output layer and the
sketch with a split along one direction (``auror.defence.direction``).

Beside every measured number of rounds stands what counting equations says: R rounds of G groups
give R·(G − 1)·T independent sums, and n − 1 clients have to be told apart, so nothing can be
certain before (n − 1)/((G − 1)·T) rounds. T partitions in a round cost privacy at once: the mean
leverage, the diagonal of A⁺A over one round's sums, is 1/g at T = 1 and grows towards 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from auror.bench.defence.averages import cells
from auror.bench.defence.cells import Cell, outcome, recorded
from auror.bench.defence.rows import Bench, Row, cached_row
from auror.bench.recordings import RecordedTraining
from auror.bench.replays import replay
from auror.defence.decode import client_leverage
from auror.defence.features import FeatureKind
from auror.defence.ledger import Ledger, RoundObservation
from auror.ids import ClientId
from auror.training.detectors import decoded_detector
from auror.training.observations import PlanChoice
from auror.training.verdict import Detector, Verdict

ROUNDS = 60
REDUCED_ROUNDS = 24
_SKETCH = 512
_CHOICE = PlanChoice(confusion=False, output_layer=True, sketch_rows=_SKETCH)
"""One recording serves both plans without labels."""


class Alone(StrEnum):
    """Which part of P is opened, alone."""

    CONFUSION = "confusion"
    OUTPUT = "output"
    SKETCH = "sketch"


NUMBERS = {Alone.CONFUSION: 100, Alone.OUTPUT: 650, Alone.SKETCH: _SKETCH}
"""k, numbers opened per group, of the default model."""


@dataclass(frozen=True)
class Dial:
    """One point of the curve."""

    clients: int
    malicious: int
    group_size: int
    fraction: float
    """Part of the source samples that attackers relabel."""
    partitions: int
    """T: overlapping partitions opened in a round."""
    plan: Alone = Alone.CONFUSION
    numbers: int = NUMBERS[Alone.CONFUSION]
    """k; a sketch can be smaller, by a whole factor."""
    rounds: int = ROUNDS


def dials(reduced: bool) -> list[Dial]:
    """A point or two per plan, or all of them."""
    if reduced:
        return [
            *(Dial(30, 9, 5, 1.0, 1, plan, k, REDUCED_ROUNDS) for plan, k in NUMBERS.items()),
            Dial(30, 9, 10, 1.0, 1, rounds=REDUCED_ROUNDS),
        ]
    found = []
    for plan, k in NUMBERS.items():
        found += [
            Dial(30, bad, size, 1.0, 1, plan, k) for bad in (3, 6, 9, 12) for size in (1, *_SIZES)
        ]
        found += [
            Dial(30, 9, size, part, 1, plan, k) for size in (3, 5, 10) for part in (0.75, 0.5, 0.25)
        ]
        found += [Dial(30, 9, size, 1.0, t, plan, k) for size in (5, 10, 15) for t in (2, 4)]
        found += [Dial(60, 18, size, 1.0, 1, plan, k) for size in (5, 10, 20)]
    small = _SKETCH // 4
    found += [
        Dial(30, bad, size, 1.0, 1, Alone.SKETCH, small) for bad in (3, 9) for size in (1, *_SIZES)
    ]
    # Nobody lies: for label confusion that is the section false_flags.
    quiet = (
        (Alone.OUTPUT, NUMBERS[Alone.OUTPUT]),
        (Alone.SKETCH, _SKETCH),
        (Alone.SKETCH, small),
    )
    return found + [Dial(30, 0, size, 1.0, 1, plan, k) for plan, k in quiet for size in _SIZES]


_SIZES = (3, 5, 10, 15)


def fewest_rounds(dial: Dial) -> int | None:
    """Rounds after which there are as many independent sums as clients to tell apart."""
    groups = dial.clients // dial.group_size
    return math.ceil((dial.clients - 1) / ((groups - 1) * dial.partitions)) if groups > 1 else None


def opened_alone(recording: RecordedTraining, plan: Alone, numbers: int) -> RecordedTraining:
    """``recording`` as if ``plan`` had been all of P, with ``numbers`` columns.

    Neighbouring buckets of a session sketch add up to the sketch with fewer rows under the same
    seed, bit for bit (``auror.round.plan``: the bucket is ⌊u·rows⌋), so one recording has them all.

    Raises ValueError when the recording does not hold ``plan``, or not with so many columns.
    """
    block = next((b for b in recording.blocks if b.kind is FeatureKind(plan.value)), None)
    if block is None or (
        block.width != numbers and (plan is not Alone.SKETCH or block.width % numbers)
    ):
        raise ValueError(f"the recording has no {plan} of {numbers} numbers")
    sums = recording.sums[:, :, block.start : block.stop]
    if block.width != numbers:
        sums = sums.reshape(*sums.shape[:2], numbers, -1).sum(axis=3)
    choice = PlanChoice(
        confusion=plan is Alone.CONFUSION,
        output_layer=plan is Alone.OUTPUT,
        sketch_rows=numbers if plan is Alone.SKETCH else 0,
    )
    labels = recording.labels if plan is Alone.CONFUSION else ()
    return replace(recording, sums=sums, choice=choice, labels=labels)


def run(bench: Bench) -> list[Row]:
    """A row per dial and seed."""
    return rows_of(dials(bench.reduced), bench)


def rows_of(points: Sequence[Dial], bench: Bench) -> list[Row]:
    """A row per point and seed, each kept in the cache when it is computed."""
    return [_cached(dial, bench, seed) for dial in points for seed in bench.seeds]


def _cached(dial: Dial, bench: Bench, seed: int) -> Row:
    cell = Cell(
        "mnist5k", dial.clients, dial.malicious, dial.group_size, dial.rounds, dial.rounds,
        fraction=dial.fraction,
    )  # fmt: skip
    key = {
        "plan": dial.plan.value, "numbers": dial.numbers, "clients": dial.clients,
        "malicious": dial.malicious, "group_size": dial.group_size,
        "attack": cell.attack(seed), "fraction": dial.fraction, "partitions": dial.partitions,
        "rounds": dial.rounds, "seed": seed,
    }  # fmt: skip

    def compute() -> Row:
        choice = None if dial.plan is Alone.CONFUSION else _CHOICE
        made = opened_alone(recorded(cell, bench.cache, seed, choice), dial.plan, dial.numbers)
        watched = _FirstRound(decoded_detector, dial.partitions)
        found = replay(
            made, dial.group_size, seed, partitions=dial.partitions, detector=watched, audits=None
        )  # fmt: skip
        everybody = found.malicious <= found.flagged.keys()
        return {
            **outcome(found),
            "all found after": max((found.flagged[c] for c in found.malicious), default=None)
            if everybody
            else None,
            "fewest possible": fewest_rounds(dial),
            "group sums opened": found.group_sums,
            **_cost(watched.opened, made.clients, dial.numbers),
        }

    return cached_row(bench, "frontier", key, compute)


class _FirstRound:
    """A detector that keeps what the first round opened, when nobody was excluded yet."""

    def __init__(self, detector: Detector, partitions: int) -> None:
        self._detector, self._partitions = detector, partitions
        self.opened: tuple[RoundObservation, ...] = ()

    def __call__(self, ledger: Ledger, roster: tuple[ClientId, ...]) -> Verdict:
        self.opened = self.opened or ledger.rounds[: self._partitions]
        return self._detector(ledger, roster)


def _cost(opened: Sequence[RoundObservation], clients: int, numbers: int) -> Row:
    """What one round gives away: mean leverage in [0, 1], and numbers opened, k·groups·T."""
    leverage = client_leverage(opened, [ClientId(client) for client in range(clients)])
    return {
        "leverage per round": round(float(leverage.mean()), 4),
        "numbers per round": numbers * sum(len(entry.groups) for entry in opened),
    }


_COLUMNS = {
    "plan": "plan", "numbers": "k", "clients": "n", "malicious": "bad", "group_size": "g",
    "fraction": "flipped", "partitions": "T",
}  # fmt: skip
"""Column of a raw row → column of the table, which has many."""


def summarise(rows: Sequence[Row]) -> list[Row]:
    """Medians over seeds; a seed in which somebody was not found counts as infinite.

    ``fewest``: what counting equations allows; ``rounds``: the median until all are found;
    ``found``: in how many runs all were; ``alarms``: runs that flag somebody honest;
    ``leverage`` and ``opened``: per round.
    """
    return [
        {**dict(zip(_COLUMNS.values(), point, strict=True)), **_summary(found)}
        for point, found in cells(rows, tuple(_COLUMNS)).items()
    ]


def _summary(found: list[Row]) -> Row:
    times = sorted(math.inf if r["all found after"] is None else r["all found after"]
                   for r in found)  # fmt: skip
    median = times[len(times) // 2]
    rates = [r["tpr"] for r in found if r["tpr"] is not None]
    return {
        "runs": len(found),
        "fewest": found[0]["fewest possible"],
        "rounds": None if math.isinf(median) else median,
        "found": sum(not math.isinf(time) for time in times) if rates else None,
        "tpr": round(math.fsum(rates) / len(rates), 4) if rates else None,
        "fpr": round(math.fsum(r["fpr"] for r in found) / len(found), 5),
        "alarms": sum(r["fpr"] > 0 for r in found),
        "leverage": round(math.fsum(r["leverage per round"] for r in found) / len(found), 4),
        "opened": found[0]["numbers per round"],
    }
