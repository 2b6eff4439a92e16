"""What a sweep is to compute: fixed dials, a grid of others, and whether its cells can run."""

from __future__ import annotations

import itertools
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auror.errors import ConfigError, UserError
from auror.experiments.files import name_of
from auror.experiments.options import DEFAULTS, experiment_config, options_of, without_effect

Row = dict[str, Any]
MAX_CELLS = 100_000
"""Of one sweep."""
_BASE = {"aggregation": "plain", "runs": "defended", "device": "cpu"}
"""A sweep wants numbers, not masks: the sums are the same bit for bit."""
_RANGE = re.compile(r"(\d{1,15})-(\d{1,15})")
_OF_DATA = (
    "dataset", "data_dir", "data", "label_column", "data_range", "clean_per_class", "task",
    "attack", "detector", "rule", "runs",
)  # fmt: skip


@dataclass(frozen=True)
class Manifest:
    """What to run: fixed dials, and lists of values for the others."""

    base: Mapping[str, Any]
    grid: Mapping[str, Sequence[Any]]

    def cells(self) -> list[Row]:
        """All combinations, each as the dials that it sets and that have an effect in it; equal
        ones (Krum at two group sizes) once."""
        names = list(self.grid)
        found: dict[str, Row] = {}
        for values in itertools.product(*(self.grid[name] for name in names)):
            cell = {**self.base, **dict(zip(names, values, strict=True))}
            useless = dict(without_effect(options_of(cell), cell))
            cell = {name: value for name, value in cell.items() if name not in useless}
            found.setdefault(name_of(cell), cell)
        return list(found.values())


def load_manifest(path: Path) -> Manifest:
    """Read ``[base]`` and ``[grid]``; a grid entry is a list, or "FIRST-LAST" for whole numbers.

    Raises:
        ConfigError: unreadable, an unknown dial, an empty list, a value that no experiment can
            have, a dial without effect in any cell, or more than MAX_CELLS cells.
    """
    try:
        raw = tomllib.loads(text_of(path))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing: docs/sweeps.md shows a manifest") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if unknown := sorted(raw.keys() - {"base", "grid"}):
        raise ConfigError(f"{path}: unknown table [{unknown[0]}]; it holds [base] and [grid]")
    base, grid = _table(path, raw, "base"), _table(path, raw, "grid")
    for name in (*base, *grid):
        if name not in DEFAULTS:
            raise ConfigError(f"{path}: {name} is no dial; choose of {', '.join(DEFAULTS)}")
    if both := sorted(base.keys() & grid.keys()):
        raise ConfigError(f"{path}: {both[0]} stands in [base] and in [grid]: leave one out")
    values = {name: _values(path, name, value) for name, value in grid.items()}
    _check_count(path, values)
    made = Manifest({**_BASE, **base}, values)
    try:
        used = {name for cell in made.cells() for name in cell}
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    if idle := sorted({*base, *grid} - used):
        raise ConfigError(f"{path}: {idle[0]} has no effect in any cell: leave it out")
    return made


def _table(path: Path, raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = raw.get(name, {})
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: {name} must be a table: write [{name}], and its dials below")
    return found


def _values(path: Path, name: str, value: Any) -> Sequence[Any]:
    if isinstance(value, str) and (found := _RANGE.fullmatch(value)):
        value = range(int(found[1]), int(found[2]) + 1)
    if not isinstance(value, list | range) or not value:
        raise ConfigError(f'{path}: grid.{name} must be a list or "FIRST-LAST", and not empty')
    return value


def _check_count(path: Path, grid: Mapping[str, Sequence[Any]]) -> None:
    """Before any cell is made: a range is a few letters, and its cells may be billions."""
    cells = math.prod(len(values) for values in grid.values())
    if cells > MAX_CELLS:
        largest = max(grid, key=lambda name: len(grid[name]))
        raise ConfigError(
            f"{path}: {cells} cells, at most {MAX_CELLS} are taken: give grid.{largest} fewer than"
            f" {len(grid[largest])} values, or make several sweeps"
        )


def text_of(manifest: Path) -> str:
    """Raises OSError or ValueError: it cannot be read."""
    return manifest.read_text(encoding="utf-8-sig")


def check_settings(manifest: Manifest, cells: Sequence[Row]) -> int:
    """How many ``cells`` there are, all of which could begin.

    Raises:
        ConfigError: some could not; it names the first of them.
    """
    bad = [(cell, error) for cell in cells if (error := _fault_of(cell)) is not None]
    if not bad:
        return len(cells)
    cell, why = bad[0]
    which = " ".join(f"{name}={cell[name]}" for name in manifest.grid if name in cell)
    raise ConfigError(f"{len(bad)} of {len(cells)} cells cannot run, such as {which}: {why}")


def check_data(cells: Sequence[Row]) -> int:
    """Load what ``cells`` train and measure on, once for all that differ in other dials.

    Returns:
        How many different choices of data, task, attack and detector there are.

    Raises:
        UserError: samples or a task that cannot be used, or statistics that nobody signs.
    """
    from auror.experiments.prepared import Prepared  # noqa: PLC0415 - loads torch

    choices = {tuple(str(cell.get(name)) for name in _OF_DATA): cell for cell in reversed(cells)}
    for cell in choices.values():
        Prepared.of(experiment_config(cell)).check_statistics()
    return len(choices)


def _fault_of(cell: Row) -> UserError | None:
    try:
        experiment_config(cell)
    except UserError as error:
        return error
    return None
