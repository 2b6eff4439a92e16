"""CPU seconds and memory of one verdict, each in a process of its own on one core.

Ledgers are made up (``auror.bench.verdict_cost``), with attackers in them, 40 rounds in groups of
five. Numbers are of the machine that ran them.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict

from auror.bench import verdict_cost
from auror.bench.defence.rows import Bench, Row, cached_row
from auror.bench.verdict_cost import GROUP_SIZE, ROUNDS, Size
from auror.child import module_command
from auror.errors import DataError

_ONE_CORE = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def sizes(reduced: bool) -> list[Size]:
    """30 clients of whom nine lie; 1,000 of whom 20 or 300 do."""
    small = [Size(30, classes, 9) for classes in (10, 43, 100)]
    large = [Size(1000, classes, liars) for classes in (10, 43) for liars in (20, 300)]
    return small if reduced else small + large


def run(bench: Bench) -> list[Row]:
    """A row per size, of the first seed."""
    return [timed(size, bench) for size in sizes(bench.reduced)]


def timed(size: Size, bench: Bench) -> Row:
    """One row, kept in the cache when it is computed."""
    seed = bench.seeds[0]
    key = {**asdict(size), "group_size": GROUP_SIZE, "rounds": ROUNDS, "seed": seed}
    return cached_row(bench, "timing", key, lambda: measured(size, seed))


def summarise(rows: Sequence[Row]) -> list[Row]:
    """The rows as they are, without what names the code and the whole process's seconds."""
    left_out = ("defence", "seconds", "seed", "CPU seconds of least squares")
    return [{key: row[key] for key in row if key not in left_out} for row in rows]


def measured(size: Size, seed: int) -> Row:
    """The numbers of one verdict, from a process of its own.

    Raises:
        DataError: it broke off.
    """
    numbers = [str(value) for value in (*asdict(size).values(), seed)]
    done = subprocess.run(
        module_command(verdict_cost.__name__, *numbers),
        env={**os.environ, **dict.fromkeys(_ONE_CORE, "1")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
        raise DataError(f"a verdict on {size} was not measured: {said[-1]}")
    found: Row = json.loads(done.stdout)
    return found
