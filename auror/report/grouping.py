"""The rows of sweeps as groups that may be compared: like runs together, unlike runs apart.

Every dial that varies is a facet of its own, but the seed, over which means are taken, and the one
dial along which the points of a group lie. Every row is in exactly one point, finished or failed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.stats import t as student

from auror.errors import ConfigError
from auror.experiments.manifest import Row
from auror.experiments.options import DEFAULTS

METRICS = (
    "accuracy", "attack_success", "tpr", "fpr", "update_recovery", "statistic_recovery",
)  # fmt: skip
"""What a point says of its runs, each a fraction in [0, 1] or unknown."""
SEED = "seed"
USUAL = "group_size"
"""The dial that points lie along when nothing else is said and it varies."""
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Mean:
    """Of one metric over the runs of a point."""

    value: float | None
    """None: no run of the point has the metric (nobody attacks, or without a target)."""
    half: float | None
    """Half of the width of Student's 95 % interval; None of fewer than two runs."""
    runs: int
    """How many of the point's runs have the metric."""

    def to_dict(self) -> dict[str, float | int | None]:
        return {"mean": self.value, "half_interval": self.half, "runs": self.runs}


@dataclass(frozen=True)
class Point:
    """All rows of a group with one value of the dial."""

    at: Any
    """The dial's value."""
    rows: tuple[Row, ...]
    """Finished."""
    failed: tuple[Row, ...]
    means: Mapping[str, Mean]
    """By the names in ``METRICS``."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "value": self.at,
            "runs": len(self.rows),
            "failed": len(self.failed),
            **{name: mean.to_dict() for name, mean in self.means.items()},
        }


@dataclass(frozen=True)
class Group:
    """Rows that differ in seed and dial only."""

    facets: Mapping[str, Any]
    """Facet dial → its value here."""
    points: tuple[Point, ...]

    @property
    def label(self) -> str:
        """E.g. ``attack = sign, partition = iid``; "" when nothing but the dial varies."""
        return ", ".join(f"{name} = {shown(value)}" for name, value in self.facets.items())

    def to_dict(self) -> dict[str, Any]:
        return {"facets": dict(self.facets), "points": [point.to_dict() for point in self.points]}


@dataclass(frozen=True)
class Grouping:
    """Everything of some sweeps."""

    dial: str
    facets: tuple[str, ...]
    """The other dials that vary, in the order of the options."""
    groups: tuple[Group, ...]
    repeated: int
    """Rows that stood there twice with the same results, counted once."""

    @property
    def points(self) -> tuple[Point, ...]:
        return tuple(point for group in self.groups for point in group.points)

    @property
    def failed(self) -> tuple[Row, ...]:
        return tuple(row for point in self.points for row in point.failed)

    @property
    def runs(self) -> int:
        """Rows in the points, finished or failed."""
        return sum(len(point.rows) + len(point.failed) for point in self.points)

    def values(self, facet: str) -> list[Any]:
        """Of a facet, sorted."""
        return _distinct(group.facets[facet] for group in self.groups)

    def to_dict(self) -> dict[str, Any]:
        named = (SEED, self.dial, *self.facets)
        return {
            "dial": self.dial,
            "facets": list(self.facets),
            "runs": self.runs,
            "repeated": self.repeated,
            "groups": [group.to_dict() for group in self.groups],
            "failed": [
                {**{name: row.get(name) for name in named}, "reason": row["reason"]}
                for row in self.failed
            ],
        }


def group_rows(rows: Sequence[Row], dial: str | None = None) -> Grouping:
    """Sort ``rows`` into groups; ``dial``: along which points lie, None for the group size where
    that varies, else the first dial of numbers that does.

    Raises:
        ConfigError: no rows, no such dial, or two rows with equal dials and other results.
    """
    if not rows:
        raise ConfigError("no rows: the sweep has no cells yet")
    if dial == SEED or (dial is not None and dial not in DEFAULTS):
        names = ", ".join(name for name in DEFAULTS if name != SEED)
        raise ConfigError(f"{dial} is no dial to draw along: choose of {names}")
    kept = _once(rows)
    varying = [
        name
        for name in DEFAULTS
        if name != SEED and len({_key(_value(row, name)) for row in kept}) > 1
    ]
    chosen = dial or _usual(varying, kept)
    facets = tuple(name for name in varying if name != chosen)
    by_facet: dict[tuple[str, ...], list[Row]] = {}
    for row in kept:
        by_facet.setdefault(tuple(_key(_value(row, name)) for name in facets), []).append(row)
    groups = [
        Group({name: _value(found[0], name) for name in facets}, _points(found, chosen))
        for found in by_facet.values()
    ]
    groups.sort(key=lambda group: [_order(value) for value in group.facets.values()])
    return Grouping(chosen, facets, tuple(groups), len(rows) - len(kept))


def interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and half the width of Student's 95 % interval; None of a single value."""
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, None
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    quantile = float(student.ppf(0.5 + _CONFIDENCE / 2, len(values) - 1))
    return mean, quantile * math.sqrt(variance / len(values))


def shown(value: Any) -> str:
    """A dial's value in words; None is what the other dials decide."""
    return "–" if value is None else str(value)


def _usual(varying: Sequence[str], rows: Sequence[Row]) -> str:
    """Words have no order along which points could lie: they are facets."""
    numeric = [name for name in varying if all(_is_number(_value(row, name)) for row in rows)]
    return USUAL if USUAL in varying or not numeric else numeric[0]


def _points(rows: Sequence[Row], dial: str) -> tuple[Point, ...]:
    found = []
    for value in _distinct(_value(row, dial) for row in rows):
        here = [row for row in rows if _key(_value(row, dial)) == _key(value)]
        done = tuple(row for row in here if row["reason"] is None)
        failed = tuple(row for row in here if row["reason"] is not None)
        found.append(Point(value, done, failed, {name: _mean(done, name) for name in METRICS}))
    return tuple(found)


def _mean(rows: Sequence[Row], name: str) -> Mean:
    values = [float(row[name]) for row in rows if row.get(name) is not None]
    if not values:
        return Mean(None, None, 0)
    mean, half = interval(values)
    return Mean(mean, half, len(values))


def _once(rows: Sequence[Row]) -> list[Row]:
    """Each run once: a folder named twice, or a cell of two sweeps, is no second seed."""
    kept: dict[tuple[str, ...], Row] = {}
    for row in rows:
        key = tuple(_key(_value(row, name)) for name in DEFAULTS)
        other = kept.setdefault(key, row)
        if other is row or row["reason"] is not None:
            continue
        if other["reason"] is not None:
            kept[key] = row
        elif differs := [name for name in METRICS if other.get(name) != row.get(name)]:
            raise ConfigError(
                f"two rows have the same dials (seed {row.get(SEED)}) and another {differs[0]}:"
                f" {other.get(differs[0])} and {row.get(differs[0])}; they are not of one version"
                " or machine, so report those sweeps one by one"
            )
    return list(kept.values())


def _value(row: Row, dial: str) -> Any:
    """A row of a version without this dial was made with what is its default now."""
    return row.get(dial, DEFAULTS[dial])


def _key(value: Any) -> str:
    return json.dumps(value, default=str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _order(value: Any) -> tuple[str, Any]:
    return ("", value) if _is_number(value) else (type(value).__name__, str(value))


def _distinct(values: Any) -> list[Any]:
    """Each value once, numbers by size and words by the alphabet."""
    return sorted({_key(value): value for value in values}.values(), key=_order)
