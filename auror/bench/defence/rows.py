"""Rows of a table: computed once, kept as files, failures included."""

from __future__ import annotations

import functools
import hashlib
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import auror.round
from auror import defence, training
from auror.bench import recordings, replays
from auror.errors import UserError
from auror.experiments.files import name_of, read_row, write_json
from auror.experiments.progress import Heartbeat

Row = dict[str, Any]
"""Column → number, text, bool or None."""

Say = Callable[[str], None]
"""Takes one line about progress."""


@dataclass(frozen=True)
class Bench:
    """What a run of the bench was asked for."""

    cache: Path
    """Where rows and recordings are kept."""
    seeds: Sequence[int]
    """Of the trainings: one each and setting."""
    reduced: bool
    """A setting or two per section."""
    say: Say
    data_dir: Path | None = None
    """Folder that holds gtsrb; None: drawn signs stand for real ones."""
    device: str = "cpu"
    """Where signs are trained. Digits are trained on the CPU, which is faster for them."""
    collect: bool = False
    """Take the rows that are in the cache and compute no other."""


NOT_COMPUTED = "not computed yet"
"""The ``reason`` of a row that only a run without ``collect`` would compute."""


@functools.cache
def _defence() -> str:
    """Digest of the sources that decide who is flagged."""
    digest = hashlib.sha256()
    sources = [Path(recordings.__file__), Path(replays.__file__)]
    for package in (defence, auror.round, training):
        sources += sorted(Path(package.__path__[0]).glob("*.py"))
    for path in sources:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def cached_row(
    bench: Bench, section: str, key: Mapping[str, Any], compute: Callable[[], Row]
) -> Row:
    """``key`` and what ``compute`` finds, from the cache when this very defence computed this row
    before: a row of other code is computed again.

    A setting that cannot run becomes a row with its ``reason``; it is tried again next time. So
    does, with ``bench.collect``, a row that is not there.
    """
    key = {**key, "defence": _defence()}
    path = bench.cache / section / f"{name_of(key)}.json"
    saved = read_row(path)
    if saved is not None:
        return saved
    if bench.collect:
        return {**key, "reason": NOT_COMPUTED}
    name = f"{section} {' '.join(str(value) for value in key.values())}"
    started = time.perf_counter()
    try:
        with Heartbeat(lambda silent: bench.say(f"{name}: {silent:.1f} s …")):
            row = {**key, **compute(), "reason": None}
    except UserError as error:
        bench.say(f"{name}: cannot be computed: {error}")
        return {**key, "reason": str(error)}
    row["seconds"] = round(time.perf_counter() - started, 2)
    write_json(path, row)
    bench.say(f"{name}: {row['seconds']:.1f} s")
    return row


def forget_damaged(bench: Bench) -> None:
    """What was cut off in the cache, as by a full disk, is computed again. What another process is
    writing just now has its number in the name."""
    for path in sorted(bench.cache.rglob("*.npz")):
        if "." not in path.stem and not zipfile.is_zipfile(path):
            path.unlink()
            bench.say(f"{path} was cut off: it is made again")
