"""Linear algebra over whole numbers: what is left of rows once every mask cancels."""

from __future__ import annotations

from collections.abc import Iterable
from math import gcd

Vector = dict[object, int]
"""Coefficients: inputs under the client's number, masks under tuples."""


def masked(client: int, peers: Iterable[int], name: str, bound: object) -> Vector:
    row: Vector = {client: 1}
    for peer in peers:
        low, high = min(client, peer), max(client, peer)
        row[name, low, high, bound] = 1 if client == low else -1
    return row


def scaled(found: Vector) -> Vector:
    lead = next(iter(found.values()))
    return {k: v // lead if v % lead == 0 else 0 for k, v in found.items()}


def without_masks(rows: list[Vector]) -> list[Vector]:
    """A basis of the combinations of ``rows`` in which no mask is left, over the rationals (kept
    as whole numbers)."""
    left, basis = [row for row in rows if row], list[Vector]()
    while left:
        pivot, name = find_pivot(left)
        left = [cleared(row, pivot, name) if name in row else row for row in left if row != pivot]
        left = [row for row in left if row]
        if not isinstance(name, tuple):
            basis.append(pivot)
    return basis


def find_pivot(rows: list[Vector]) -> tuple[Vector, object]:
    """A row and a mask in it; an input, once no masks are left."""
    for row in rows:
        for name in row:
            if isinstance(name, tuple):
                return row, name
    return rows[-1], next(iter(rows[-1]))


def cleared(row: Vector, pivot: Vector, name: object) -> Vector:
    a, b = pivot[name], row[name]
    mixed = {k: a * row.get(k, 0) - b * pivot.get(k, 0) for k in {**row, **pivot}}
    common = gcd(*mixed.values()) or 1
    return {k: v // common for k, v in mixed.items() if v}
