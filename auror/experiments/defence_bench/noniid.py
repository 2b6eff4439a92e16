"""Label skew: the decoded verdict on group sums beside the published algorithm on single clients.

``published`` rows are AUROR as published: g = 1, the whole output layer in the clear, α from a run
of the same data in which nobody lies (which nobody has in practice).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from auror.defense.ledger import GroupObservation, Ledger, RoundObservation
from auror.defense.paper import calibrate_alpha
from auror.experiments.defence_bench.calibration import Cell, outcome, recorded
from auror.experiments.defence_bench.rows import Row, Say, cached_row
from auror.experiments.recordings import Recording, replay
from auror.ids import ClientId
from auror.round.campaign import published_detector
from auror.round.evidence import PlanChoice

ROUNDS = 40
PUBLISHED_ROUNDS = 10
PARTITIONS = ("iid", "dirichlet:1.0", "dirichlet:0.5")
_OUTPUT = PlanChoice(confusion=False, output_layer=True)


def run(cache: Path, seeds: Sequence[int], reduced: bool, say: Say) -> list[Row]:
    """A row per partition, number of attackers, detector, group size and seed."""
    rows = []
    for partition in PARTITIONS[1:2] if reduced else PARTITIONS:
        for malicious in (9,) if reduced else (0, 3, 9):
            for size in (5,) if reduced else (1, 3, 5):
                cell = Cell("mnist5k", 30, malicious, size, ROUNDS, ROUNDS, partition)
                rows += [_decoded(cell, cache, seed, say) for seed in seeds]
            cell = Cell("mnist5k", 30, malicious, 1, PUBLISHED_ROUNDS, PUBLISHED_ROUNDS, partition)
            rows += [_published(cell, cache, seed, say) for seed in seeds]
    return rows


def _decoded(cell: Cell, cache: Path, seed: int, say: Say) -> Row:
    def compute() -> Row:
        return outcome(replay(recorded(cell, cache, seed), cell.group_size, seed))

    return cached_row(cache, "noniid", {**cell.key(seed), "detector": "decoded"}, say, compute)


def _published(cell: Cell, cache: Path, seed: int, say: Say) -> Row:
    def compute() -> Row:
        honest = recorded(replace(cell, malicious=0), cache, seed, _OUTPUT)
        alpha = calibrate_alpha(_in_the_clear(honest))
        made = recorded(cell, cache, seed, _OUTPUT)
        found = replay(made, 1, seed, detector=published_detector(alpha))
        return {**outcome(found), "alpha": alpha}

    return cached_row(cache, "noniid", {**cell.key(seed), "detector": "published"}, say, compute)


def _in_the_clear(recording: Recording) -> Ledger:
    ledger = Ledger(recording.blocks)
    for at in range(recording.rounds):
        alone = (
            GroupObservation((ClientId(c),), recording.statistics[at, c])
            for c in range(recording.clients)
        )
        ledger.append(RoundObservation(at, 0, tuple(alone)))
    return ledger
