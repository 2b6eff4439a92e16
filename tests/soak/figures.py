"""What a soak showed, in numbers, and the bounds that it missed.

A soak is one JSON-able dict; page, plot and verdict are made from it alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import theilslopes
from witness import Sample

MOST_GROWTH = 1.0
"""MB per 100 rounds, of every process that lived long enough to tell; and what a process that did
not may stand above those that did."""
FEWEST_ROUNDS = 200
LONG = 80
"""Rounds of a life from which growth is told, after those in which it warms up."""
WARM_UP = 100
"""Over 1,446 rounds clients gain 4 MB in the first 500 and lose 3 of them later
(docs/reliability.md): within a hundred rounds a start cannot be told from growth."""
LAST = 20
"""Rounds at the end of a life that tell where it stands."""
MOST_DATABASE_GROWTH = 1.3
"""Bytes per round in the second half, over those in the first: a database grows by what a round
adds, not by what there was before."""
STEP = 25
"""Rounds per row of the table."""
Json = dict[str, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Clock = Sequence[tuple[float, int]]
"""(monotonic seconds, rounds closed by then), in order."""


def rounds_at(clock: Clock, samples: Sequence[Sample]) -> Floats:
    """How many rounds were closed at each sample, with fractions in between."""
    at, closed = zip(*clock, strict=True)
    return np.interp([sample.at for sample in samples], at, closed)


def usual(clock: Clock, samples: Sequence[Sample]) -> tuple[Floats, Floats]:
    """Rounds that were closed in one life, and MB of memory in each: the median."""
    at = np.floor(rounds_at(clock, samples))
    rss, places = np.array([sample.rss for sample in samples]) / 1e6, np.unique(at)
    return places, np.array([np.median(rss[at == place]) for place in places])


def growth(clock: Clock, samples: Sequence[Sample]) -> float | None:
    """MB of memory per 100 rounds: the median of the slopes between all pairs of rounds (Theil and
    Sen) of one life after its warm-up; None when it is too short to tell."""
    places, rss = usual(clock, samples)
    if places[-1] - places[0] < WARM_UP + LONG:
        return None
    told = places >= places[0] + WARM_UP
    return 100 * float(theilslopes(rss[told], places[told]).slope)


def levels(clock: Clock, lives: Sequence[Sequence[Sample]]) -> dict[str, list[float]]:
    """MB of memory: the most that each life reached whose growth is told, but for one round in
    twenty; where each shorter one stood in its last rounds."""
    found: dict[str, list[float]] = {"long": [], "short": []}
    for samples in lives:
        places, rss = usual(clock, samples)
        if growth(clock, samples) is not None:
            found["long"].append(float(np.quantile(rss, 0.95)))
        else:
            found["short"].append(float(np.median(rss[places > places[-1] - LAST])))
    return found


def database(seen: Sequence[tuple[int, int]]) -> Json:
    """Bytes per round, of (rounds closed, bytes of the database) in the order of time: in the
    first half and in the second."""
    at, size = (np.array(column, dtype=float) for column in zip(*seen, strict=True))
    middle = int(np.searchsorted(at, (at[0] + at[-1]) / 2))
    halves = ((0, middle), (middle, len(at) - 1))
    return {
        "bytes": int(size[-1]),
        "per_round": [float((size[j] - size[i]) / max(1, at[j] - at[i])) for i, j in halves],
    }


def back_to_base(
    samples: Sequence[Sample], base: tuple[float, float], end: tuple[float, float]
) -> Json | None:
    """Descriptors and tasks of one life: the most in the quiet time ``base`` before faults, and
    the median in the quiet time ``end`` after them; None when it did not see both."""
    first = [sample for sample in samples if base[0] <= sample.at < base[1]]
    last = [sample for sample in samples if end[0] <= sample.at < end[1]]
    if not first or not last:
        return None
    return {
        name: [
            max(getattr(sample, name) for sample in first),
            float(np.median([getattr(sample, name) for sample in last])),
        ]
        for name in ("files", "tasks")
    }


def series(clock: Clock, lives: Mapping[str, Sequence[Sequence[Sample]]]) -> list[Json]:
    """Per ``STEP`` rounds and kind of program: medians and the most, over samples and processes."""
    placed = {
        kind: [
            (int(closed) // STEP, sample)
            for samples in some
            if samples
            for closed, sample in zip(rounds_at(clock, samples), samples, strict=True)
        ]
        for kind, some in lives.items()
    }
    rows = []
    for step in range(clock[-1][1] // STEP + 1):
        row: Json = {"rounds": step * STEP}
        for kind, seen in placed.items():
            here = [sample for at, sample in seen if at == step]
            if here:
                row[kind] = {
                    name: [
                        float(np.median([getattr(s, name) for s in here])),
                        max(getattr(s, name) for s in here),
                    ]
                    for name in ("rss", "files", "tasks", "threads")
                }
        rows.append(row)
    return [row for row in rows if len(row) > 1]


def missed(soak: Json) -> list[str]:
    """One line per bound that does not hold; empty when all do."""
    found = []
    if soak["rounds"]["with_total"] < FEWEST_ROUNDS:
        found.append(f"{soak['rounds']['with_total']} rounds with a total, not {FEWEST_ROUNDS}")
    if soak["rounds"]["exact"] != soak["rounds"]["with_total"]:
        found.append(f"only {soak['rounds']['exact']} totals are exact")
    found += soak["rounds"]["names"]
    for kind in ("server", "clients"):
        grown = soak["growth"][kind]
        if not grown:
            found.append(f"{kind}: nobody lived long enough to tell its growth")
        elif max(grown) >= MOST_GROWTH:
            found.append(f"{kind}: memory grows by {max(grown):.2f} MB per 100 rounds")
        else:
            long, short = (soak["levels"][kind][length] for length in ("long", "short"))
            if max(short, default=0.0) > max(long) + MOST_GROWTH:
                found.append(
                    f"{kind}: a process that lived short stands at {max(short):.1f} MB, those that"
                    f" lived long reached {max(long):.1f}"
                )
        if not soak["base"][kind]:
            found.append(f"{kind}: nobody saw both quiet times")
        for one in soak["base"][kind]:
            found += [
                f"{kind}: {name} do not come back to {most}: {now:g}"
                for name, (most, now) in one.items()
                if now > most
            ]
    first, second = soak["database"]["per_round"]
    if second > MOST_DATABASE_GROWTH * first:
        found.append(f"the database grows faster and faster: {first:.0f}, {second:.0f} B a round")
    found += [f"secret found: {hit}" for hit in soak["secrets"]["hits"]]
    if not soak["secrets"]["searched"] or not soak["secrets"]["planted_found"]:
        found.append("the search for secrets finds nothing at all")
    if soak["cores"]:
        found.append(f"{soak['cores']} cores were written")
    found += [f"traceback in {name}" for name in soak["tracebacks"]]
    if not soak["probed"]:
        found.append("nobody watched the health port")
    found += [f"ended by itself: {line}" for line in soak["ended"]]
    if soak["audit"] != 0:
        found.append(f"auror audit verify: exit code {soak['audit']}")
    return found
