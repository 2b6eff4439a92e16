"""What data a model was trained and measured on, without a single sample of it."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auror.learn.datasets import Dataset

Json = dict[str, Any]


def fingerprint(data: Dataset) -> Json:
    """The name and, per split, how many samples of which class and the SHA-256 of all of them in
    order, standardised. Splits that nobody holds here are left out."""
    splits = {
        name: (np.asarray(x), np.asarray(y))
        for name, x, y in (
            ("train", data.train_x, data.train_y),
            ("test", data.test_x, data.test_y),
            ("clean", data.clean_x, data.clean_y),
        )
        if x is not None and len(x)
    }
    return {"name": data.name, "splits": {name: _split(x, y) for name, (x, y) in splits.items()}}


def _split(x: NDArray[np.generic], y: NDArray[np.generic]) -> Json:
    hashed = hashlib.sha256()
    for array in (x, y):
        little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        hashed.update(f"{little.dtype.str}{little.shape}".encode())
        hashed.update(little.tobytes())
    found: Json = {"samples": len(x), "sha256": hashed.hexdigest()}
    if np.issubdtype(y.dtype, np.integer):
        labels, counts = np.unique(y, return_counts=True)
        found["per_class"] = {str(int(k)): int(n) for k, n in zip(labels, counts, strict=True)}
    return found
