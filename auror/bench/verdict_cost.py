"""What one verdict costs on a ledger made up of plausible sums, with attackers in it.

``python -m auror.bench.verdict_cost CLIENTS CLASSES MALICIOUS SEED`` prints one JSON line: it is a
program of its own so that the process holds nothing else and the caller can keep it to one core.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array

from auror.cores import peak_memory
from auror.crypto.tags import number
from auror.defence.features import FeatureBlock, FeatureKind
from auror.defence.ledger import GroupObservation, Ledger, RoundObservation
from auror.defence.verdict import VerdictParams, judge
from auror.ids import ClientId
from auror.round.public import draw_groups

GROUP_SIZE, ROUNDS = 5, 40
_REPEATS = 3
_HIDDEN, _COMMON = 64, 1.0
_SPREAD, _NOISE, _LIE = 0.1, 0.1, 0.6
# Noise of a round in honest spreads: 2.2 for gtsrb dealt by sample, 0.4 for mnist5k (one training
# each, median over label pairs).


@dataclass(frozen=True, slots=True)
class Size:
    """Of a ledger: ``malicious`` of ``clients`` label class 1 as class 2 in every round."""

    clients: int
    classes: int
    malicious: int


def made_up(size: Size, seed: int, rounds: int = ROUNDS) -> Ledger:
    """A ledger of ``rounds`` rounds of random groups.

    A client's Q is the identity and a persistent offset of its own (honest clients differ) and
    noise of the round; a group shows the mean of its members. The last ``malicious``
    clients move the whole diagonal of class 1 to where class 2 is the label.
    """
    rng = np.random.default_rng([seed, size.clients, size.classes])
    shape = (size.classes, size.classes)
    means = rng.normal(size=(size.classes, _HIDDEN)) + _COMMON * rng.normal(size=_HIDDEN)
    gram = means @ means.T / np.mean(np.square(means).sum(axis=1))
    own = np.eye(size.classes) + _SPREAD * rng.normal(size=(size.clients, *shape))
    if size.malicious:
        own[-size.malicious :, 2, 1] += _LIE
        own[-size.malicious :, 1, 1] -= _LIE
    everybody = tuple(ClientId(client) for client in range(size.clients))
    ledger = Ledger([FeatureBlock(FeatureKind.CONFUSION, 0, size.classes**2, shape)])
    for at in range(rounds):
        groups = draw_groups(rng.bytes(24) + number(at), everybody, GROUP_SIZE)
        seen = []
        for members in groups:
            noise = _NOISE * rng.normal(size=(len(members), *shape))
            mean = (own[list(members)] + noise).mean(axis=0)
            seen.append(GroupObservation(members, mean.reshape(-1)))
        ledger.append(RoundObservation(at, 0, tuple(seen), gram))
    return ledger


def measure(size: Size, seed: int) -> dict[str, float | int]:
    """Median CPU seconds of a verdict, those of plain least squares, the memory that it added at
    its peak to this process and what that has in all (MB = 10⁶ bytes), who was found, how many
    readings accused somebody."""
    ledger = made_up(size, seed)
    everybody = [ClientId(client) for client in range(size.clients)]
    before = peak_memory()
    seconds = []
    for _ in range(_REPEATS):
        started = time.process_time()  # other programs on the machine do not count
        verdict = judge(ledger, VerdictParams(), everybody)
        seconds.append(time.process_time() - started)
    liars = set(everybody[size.clients - size.malicious :])
    peak = peak_memory()
    return {
        "CPU seconds of a verdict": round(float(np.median(seconds)), 3),
        "CPU seconds of least squares": round(least_squares(ledger), 6),
        "MB added": round((peak - before) / 1e6, 1),
        "MB in all": round(peak / 1e6, 1),
        "found": len(liars & verdict.flagged),
        "honest flagged": len(verdict.flagged - liars),
        "indications": len(verdict.indications),
    }


def least_squares(ledger: Ledger) -> float:
    """Least CPU seconds of what no reading of group sums can do without: one factorisation for as
    many unknowns as clients, and a solution for every pair of classes."""
    groups = [group for entry in ledger.rounds for group in entry.groups]
    sizes = [len(group.members) for group in groups]
    members = [int(client) for group in groups for client in group.members]
    rows = np.repeat(np.arange(len(groups)), sizes)
    design = csr_array((np.repeat(1.0 / np.array(sizes), sizes), (rows, members)))
    shown = np.stack([group.mean for group in groups])
    seconds = []
    for _ in range(_REPEATS):
        started = time.process_time()
        normal = (design.T @ design).toarray() + np.eye(max(members) + 1)
        cho_solve(cho_factor(normal), np.asarray(design.T @ shown))
        seconds.append(time.process_time() - started)
    return min(seconds)


if __name__ == "__main__":
    clients, classes, malicious, seed = map(int, sys.argv[1:])
    print(json.dumps(measure(Size(clients, classes, malicious), seed)))
