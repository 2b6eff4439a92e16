"""The paper's claims: 10, 20 and 30 % malicious, digits and traffic signs, with and without AUROR.

Shen, Tople, Saxena (ACSAC 2016). For every data set, pair of classes and share of malicious
clients: the training without defence, with AUROR on sums over five clients, and with AUROR as
published, which has every client's statistics in the clear and its α from a run known to be honest.
Who is flagged comes from the recorded training; then the model is trained again from the start
without the flagged, as the paper does. A training that several rows need is trained once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any

from auror.bench.defence.averages import cells, mean
from auror.bench.defence.cells import Cell, signs
from auror.bench.defence.full import decoded_view, published_view, recorded_in_full, without
from auror.bench.defence.rows import Bench, Row, cached_row
from auror.bench.defence.signs import ROUNDS as SIGN_ROUNDS
from auror.bench.recordings import RecordedTraining
from auror.bench.replays import DefenceReplay, replay
from auror.defence.paper import calibrate_alpha
from auror.training.detectors import published_detector

CLIENTS, GROUP_SIZE = 30, 5
ROUNDS, REDUCED_ROUNDS = 20, 15
PUBLISHED_ROUNDS = 10
SHARES = (0.1, 0.2, 0.3)
DIGIT_PAIRS = ("4:9", "1:7")
SIGN_PAIRS = ("1:2", "14:1")


class Under(StrEnum):
    """What a training is defended by."""

    NOTHING = "nothing"
    SUMS = "auror on sums"
    PUBLISHED = "auror as published"


@dataclass(frozen=True)
class Claim:
    """A data set with its pairs of classes; ``cell``: with nobody malicious."""

    cell: Cell
    pairs: tuple[str, ...]

    def attacked(self, share: float, pair: str) -> Cell:
        """``share`` of the clients mislabel ``pair``."""
        return replace(self.cell, malicious=round(share * self.cell.clients), pairs=(pair,))


def claims(bench: Bench) -> list[Claim]:
    """Digits, of the full MNIST where ``bench`` has it, and signs."""
    full = bench.data_dir is not None and (bench.data_dir / "MNIST" / "raw").is_dir()
    rounds = REDUCED_ROUNDS if bench.reduced else ROUNDS
    digits = Cell("mnist" if full else "mnist5k", CLIENTS, 0, GROUP_SIZE, rounds, rounds)
    if full:
        digits = replace(digits, data_dir=bench.data_dir)
    if bench.reduced:
        return [Claim(digits, DIGIT_PAIRS[:1])]
    return [
        Claim(digits, DIGIT_PAIRS),
        Claim(signs(bench, 0, SIGN_ROUNDS, "iid-samples"), SIGN_PAIRS),
    ]


def run(bench: Bench) -> list[Row]:
    """A row per data set, seed, defence, share and pair; ``reduced`` takes 30 % only."""
    shares = SHARES[-1:] if bench.reduced else SHARES
    return [
        _row(claim, share, pair, under, bench, seed)
        for claim in claims(bench)
        for seed in (bench.seeds[:1] if bench.reduced else bench.seeds)
        for under in Under
        for share in shares
        for pair in claim.pairs
    ]


def _row(claim: Claim, share: float, pair: str, under: Under, bench: Bench, seed: int) -> Row:
    cell = claim.attacked(share, pair)
    key = {
        "dataset": cell.dataset, "attack": cell.attack(seed), "clients": cell.clients,
        "malicious_share": share, "under": under.value,
        "group_size": 1 if under is Under.PUBLISHED else cell.group_size,
        "rounds": cell.rounds, "device": cell.device, "seed": seed,
    }  # fmt: skip
    compute = partial(_computed, claim, cell, under, bench, seed)
    return cached_row(bench, "paper_claims", key, compute)


def _computed(claim: Claim, cell: Cell, under: Under, bench: Bench, seed: int) -> Row:
    made = recorded_in_full(cell, bench.cache, seed)
    if under is Under.NOTHING:
        honest = recorded_in_full(claim.cell, bench.cache, seed)
        return {**_kept(made.metrics), "accuracy_without_attack": honest.metrics["accuracy"]}
    if under is Under.SUMS:
        found = replay(decoded_view(made), cell.group_size, seed)
    else:
        honest = recorded_in_full(claim.cell, bench.cache, seed)
        found = as_published(made, honest, seed)
    rates: Row = {"tpr": found.tpr, "fpr": found.fpr, "flagged": len(found.flagged)}
    if not found.flagged:
        return {**_kept(made.metrics), **rates}
    aims = [claim.attacked(0.1, pair).attack(seed) for pair in claim.pairs]
    again = without(sorted(found.flagged), cell, aims, bench.cache, seed)
    return {**_kept(again[cell.attack(seed)]), **rates}


def as_published(made: RecordedTraining, honest: RecordedTraining, seed: int) -> DefenceReplay:
    """Who the published algorithm flags in the first ``PUBLISHED_ROUNDS`` of ``made``, every client
    alone, its accusations counting at once; α from the same rounds of ``honest``."""
    rounds = min(PUBLISHED_ROUNDS, made.rounds)
    alpha = calibrate_alpha(published_view(honest).in_the_clear(rounds))
    detector = published_detector(alpha)
    return replay(published_view(made), 1, seed, rounds=rounds, detector=detector, audits=None)


def _kept(metrics: Any) -> Row:
    return {"accuracy": metrics["accuracy"], "attack_success": metrics["attack_success"]}


_COLUMNS = ("accuracy", "attack_success", "tpr", "fpr")


def summarise(rows: Sequence[Row]) -> list[Row]:
    """A line per data set, pair and share: means over seeds without defence, on sums, and as
    published; ``runs`` of each."""
    keys = ("dataset", "attack", "malicious_share", "rounds")
    lines = []
    for cell, found in cells(rows, keys).items():
        line: Row = dict(zip(keys, cell, strict=True))
        line["accuracy, no attack"] = mean(found, "accuracy_without_attack")
        for under, short in zip(Under, ("undefended", "sums", "published"), strict=True):
            mine = [row for row in found if row["under"] == under.value]
            line[f"runs {short}"] = len(mine)
            shown = _COLUMNS[:2] if under is Under.NOTHING else _COLUMNS
            line |= {f"{column}, {short}": mean(mine, column) for column in shown}
        lines.append(line)
    return lines
