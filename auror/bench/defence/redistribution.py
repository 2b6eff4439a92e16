"""Colluders who tell false statistics: the binding check sees the sum over all groups only.

A client can add anything to the opened sum of its group as long as other colluders take it from
theirs: lies cancel over all groups. Here they move what their label flips show; an audit that
leaves out a group across which they lied makes the check fail (docs/attacks.md).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auror.bench.defence.arena import setting
from auror.bench.defence.rows import Row
from auror.bench.recordings import RecordedTraining, record
from auror.bench.replays import Lie, replay
from auror.training.observations import PlanChoice

SCHEMES = ("spread", "onto-member", "onto-honest", "onto-honests")
"""spread: equal parts in all groups with a colluder. onto-member: all of it in one colluder's
group. onto-honest: all of it in one honest victim's group when a colluder sits there too, else
in a random colluder's. onto-honests: every colluder frames a victim of its own when one of them
sits with it, else it tells the truth."""

Sums = NDArray[np.int64]


def redistribution_row(
    scheme: str, malicious: int, group_size: int, rounds: int, seed: int, cache: Path
) -> Row:
    """One training in which the malicious flip 4 → 9 and move what that shows."""
    config = setting("flip:4:9", seed, 1, malicious=malicious, rounds=rounds)
    found = record(config, PlanChoice(), cache / "recordings")
    victims = victims_of(found, seed)
    seen = replay(found, group_size, seed, lie=liars(scheme, found, victims, seed))
    framed = victims[:1] if scheme == "onto-honest" else victims
    return {
        "tpr": seen.tpr,
        "fpr": seen.fpr,
        "first_flag": seen.first,
        "victim_flagged": bool(set(framed.tolist()) & seen.flagged.keys())
        if scheme.startswith("onto-honest")
        else None,
        "checks_failed": seen.checks_failed,
        "undefended_accuracy": found.metrics["accuracy"],
        "undefended_attack_success": found.metrics["attack_success"],
    }


def victims_of(found: RecordedTraining, seed: int) -> NDArray[np.int64]:
    """An honest client for each malicious one of ``found``, (malicious,), drawn with ``seed``."""
    honest = np.setdiff1d(np.arange(found.clients), found.malicious)
    rng = np.random.default_rng([seed, 0x766963])
    return rng.choice(honest, len(found.malicious), replace=False)


def liars(scheme: str, found: RecordedTraining, victims: NDArray[np.int64], seed: int) -> Lie:
    """What the malicious of ``found`` send instead of their statistics under ``scheme``.

    What each shows beyond an honest client it knows, having its own honest update too; the
    honest mean stands for that here.
    """
    colluders = [int(client) for client in found.malicious]
    honest = np.setdiff1d(np.arange(found.clients), colluders)
    typical = np.rint(found.sums[:, honest].mean(1, keepdims=True)).astype(np.int64)
    shown = found.sums[:, colluders] - typical

    def lie(index: int, sent: Sums, groups: list[list[int]]) -> Sums:
        # One colluder speaks for each group that holds any.
        speaker = {
            g: next(client for client in members if client in colluders)
            for g, members in enumerate(groups)
            if set(members) & set(colluders)
        }
        if not speaker:
            return sent
        home = {client: g for g, members in enumerate(groups) for client in members}
        rng = np.random.default_rng([seed, index, 0x6C6965])
        anywhere = int(rng.choice(sorted(speaker)))
        for rank, client in enumerate(colluders):
            if client not in home:
                continue  # flagged and gone
            goals = _goals(scheme, colluders[0], victims, rank, home, sorted(speaker), anywhere)
            if goals:
                sent[client] -= shown[index, rank]
            for k, goal in enumerate(goals):  # in whole numbers, so that nothing is lost
                sent[speaker[goal]] += (shown[index, rank] + k) // len(goals)
        return sent

    return lie


def _goals(
    scheme: str,
    member: int,
    victims: NDArray[np.int64],
    rank: int,
    home: dict[int, int],
    able: list[int],
    anywhere: int,
) -> list[int]:
    """The groups that take over what the colluder ``rank`` shows; none: it tells the truth."""
    if scheme == "spread":
        return able
    if scheme == "onto-member":
        return [home[member]] if member in home else []
    victim = home.get(int(victims[0] if scheme == "onto-honest" else victims[rank]))
    if victim is not None and victim in able:
        return [victim]
    return [anywhere] if scheme == "onto-honest" else []
