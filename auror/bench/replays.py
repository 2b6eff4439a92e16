"""Replay the program's defence on a recorded training, under any grouping, as often as wanted.

The rounds go through ``auror.training.defence``, as those of a training do: what is judged, tested,
left out, bound and flagged is decided there. What a replay leaves out: the recorded model does not
react when flagged clients go, nobody is blamed for failed checks (``auror.training.conduct``), and
a cohort may shrink to two groups (a training asks for two thirds of its policy's members).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auror.bench.recordings import RecordedTraining, colluders_of, open_groups
from auror.crypto.tags import number
from auror.defence.ledger import Ledger
from auror.ids import ClientId
from auror.params import RoundParams
from auror.round.public import draw_groups
from auror.round.record import OpenedGroup
from auror.training.audits import drawn_by
from auror.training.confirmation import Confirmation
from auror.training.defence import Defence, DefendedRound
from auror.training.detectors import decoded_detector
from auror.training.verdict import Detector, Verdict

CHANGED = 3
"""A malicious client counts for detection once it changed so many labels."""


@dataclass(frozen=True)
class DefenceReplay:
    """What the defence made of one recording under one grouping."""

    flagged: Mapping[ClientId, int]
    """Client → round after which its flag fell, from 1."""
    malicious: frozenset[ClientId]
    """Those that count: they changed at least ``CHANGED`` labels."""
    slight: frozenset[ClientId]
    """Malicious clients that changed fewer."""
    honest: frozenset[ClientId]
    strength: float
    """Largest log-evidence against a set that was not flagged, over all rounds."""
    rounds: int
    group_sums: int = 0
    """Opened group sums, over all rounds and partitions."""
    checks_failed: int = 0
    """Binding checks that failed."""

    @property
    def tpr(self) -> float | None:
        """Found part of the malicious clients that count; None when there are none."""
        if not self.malicious:
            return None
        return len(self.malicious & self.flagged.keys()) / len(self.malicious)

    @property
    def fpr(self) -> float:
        return len(self.honest & self.flagged.keys()) / max(1, len(self.honest))

    @property
    def first(self) -> int | None:
        """Round of the first flag."""
        return min(self.flagged.values(), default=None)


Lie = Callable[[int, NDArray[np.int64], list[list[int]]], NDArray[np.int64]]
"""From round, P·q of all clients (clients, k) and groups (rows) to what is sent instead; the sum
over all groups should stay what it is, modulo 2^64."""

AUDITS = RoundParams().audit_probability


def replay(
    recording: RecordedTraining,
    group_size: int,
    seed: int,
    *,
    rounds: int | None = None,
    partitions: int = 1,
    detector: Detector = decoded_detector,
    lie: Lie | None = None,
    audits: float | None = AUDITS,
) -> DefenceReplay:
    """Group at random, open sums, judge, leave the flagged out from then on.

    Args:
        partitions: T, overlapping partitions opened per round, each a round of evidence; with
            ``audits`` None only.
        detector: by default the calibrated verdict.
        lie: what malicious clients send; by default the truth.
        audits: chance of a random audit; suspects are audited too. None: the verdict alone, whose
            flags fall at once.
    """
    if partitions > 1 and audits is not None:
        raise ValueError("several partitions of a round cannot be audited")
    rng = np.random.default_rng([seed, 0x7265])
    colluders = colluders_of(recording.clients)
    params = replace(recording.params, group_size=group_size, colluders=colluders)
    confirmation = Confirmation()
    defence = Defence(
        detector, Ledger(recording.blocks), confirmation, drawn_by(rng.bytes, audits or 0.0)
    )
    everybody = tuple(ClientId(c) for c in range(recording.clients))
    present, last = everybody, min(rounds or recording.rounds, recording.rounds)
    strength, group_sums, failed = 0.0, 0, 0
    for at in range(last):
        present = tuple(c for c in everybody if c not in confirmation.flagged)
        if len(present) < 2 * group_size and group_size > 1 and len(present) < len(everybody):
            break  # too few are left to form two groups
        plan, fewest = recording.plans[at], params.fewest_accepted(len(present), len(present))
        for part in range(partitions):
            groups = draw_groups(rng.bytes(24) + number(at), present, group_size)
            true = recording.sums[at]
            sent = true if lie is None else lie(at, true.copy(), [list(group) for group in groups])
            opened = open_groups(sent, groups)
            group_sums += len(opened)
            defence.begin(
                DefendedRound(
                    index=at * partitions + part,
                    era=0,
                    plan=plan,
                    params=params,
                    cohort=len(present),
                    fewest=fewest,
                )
            )
            if audits is not None:
                accepted = set(defence.decide(opened, plan.plan, present).accepted)
                strength = max(strength, _unflagged(defence.verdict, confirmation.flagged))
                opened = tuple(group for group in opened if group.index in accepted)
            if _binds(opened, true):
                defence.bound(opened)
            else:
                defence.failed()  # and nothing of this round is evidence
                failed += 1
        if audits is None:
            verdict = defence.judge(present)
            strength = max(strength, _unflagged(verdict, confirmation.flagged))
            new = frozenset() if verdict is None else verdict.flagged - confirmation.flagged.keys()
            confirmation.flagged |= dict.fromkeys(sorted(new), at)
    if audits is not None:  # the last round is bound, and not judged yet
        closing = defence.judge(tuple(c for c in everybody if c not in confirmation.flagged))
        strength = max(strength, _unflagged(closing, confirmation.flagged))
    bad = {c for c in recording.malicious if recording.changed.get(c, 0) >= CHANGED}
    return DefenceReplay(
        {client: at + 1 for client, at in confirmation.flagged.items()},
        frozenset(bad),
        frozenset(set(recording.malicious) - bad),
        frozenset(set(everybody) - set(recording.malicious)),
        strength,
        last,
        group_sums,
        failed,
    )


def _unflagged(verdict: Verdict | None, flagged: Collection[ClientId]) -> float:
    """Strength of a verdict that accuses nobody new, 0 otherwise."""
    if verdict is None or verdict.flagged.difference(flagged):
        return 0.0
    return verdict.strength or 0.0


def _binds(opened: Collection[OpenedGroup], true: NDArray[np.int64]) -> bool:
    """The binding check: do the opened sums add up to those of the updates, P·q by client?"""
    excess = np.zeros(true.shape[1], dtype=np.uint64)
    for group in opened:
        excess += group.total - true[list(group.members)].sum(axis=0).astype(np.uint64)
    return not excess.any()
