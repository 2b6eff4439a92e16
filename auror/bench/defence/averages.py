"""Raw rows folded over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from auror.bench.defence.rows import Row


def cells(rows: Sequence[Row], by: Sequence[str]) -> dict[tuple[object, ...], list[Row]]:
    """Rows by their values of ``by``, in the order of ``rows``; failed rows do not count."""
    found: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        if row["reason"] is None:
            found.setdefault(tuple(row[key] for key in by), []).append(row)
    return found


def averaged(rows: Sequence[Row], by: Sequence[str], columns: Sequence[str]) -> list[Row]:
    """A line per value of ``by`` in the order of ``rows``: number of runs and means of
    ``columns`` over those that have them; failed rows do not count."""
    return [
        {
            **dict(zip(by, cell, strict=True)),
            "runs": len(found),
            **{column: mean(found, column) for column in columns},
        }
        for cell, found in cells(rows, by).items()
    ]


def mean(rows: Sequence[Row], column: str) -> float | None:
    """Of ``column`` over the rows that have it; None where none has."""
    values = [row[column] for row in rows if row.get(column) is not None]
    return round(math.fsum(values) / len(values), 4) if values else None
