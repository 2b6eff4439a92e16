"""Drawing samples per class: stratified, so many of each, or whole tracks.

A track is what a camera saw of one thing within moments. Its frames are alike: on two sides of a
split they would show one side what the other has.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auror.errors import DataError

Labels = NDArray[np.int64]
Indices = NDArray[np.int64]

_TRACKS_ASIDE = 10
"""One track of so many is the server's, and one of each class at least."""


def stratified(labels: Labels, count: int, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """Draw ``count`` of the samples, per class in proportion, without replacement.

    Returns:
        Indices drawn and indices left, each sorted. Classes whose share is not whole are
        rounded down, and the largest remainders rounded up until ``count`` is reached. Where
        ``count`` allows it every class gets one at least, at the cost of the largest.
    """
    if not 0 < count < len(labels):
        raise DataError(f"cannot draw {count} of {len(labels)} samples")
    classes, sizes = np.unique(labels, return_counts=True)
    share = sizes * (count / len(labels))
    quota = np.floor(share).astype(np.int64)
    if count >= len(classes):
        quota = np.maximum(quota, 1)
    extra = np.argsort(quota - share, kind="stable")[: max(0, count - int(quota.sum()))]
    quota[extra] += 1
    while quota.sum() > count:
        quota[quota.argmax()] -= 1
    return _drawn(labels, classes, quota, rng)


def per_class(labels: Labels, count: int, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """Draw ``count`` samples of every class, without replacement.

    Returns:
        Indices drawn and indices left, each sorted.

    Raises:
        DataError: a class has no sample more than that.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    if sizes.min() <= count:
        raise DataError(
            f"class {classes[sizes.argmin()]} has {sizes.min()} samples: {count} and at least one"
            " more are needed"
        )
    return _drawn(labels, classes, np.full(len(classes), count), rng)


def first_per_class(labels: Labels, count: int) -> Indices:
    """The indices, sorted, of the first ``count`` samples of every class, or of all it has."""
    found = [np.flatnonzero(labels == label)[:count] for label in np.unique(labels)]
    return np.sort(np.concatenate(found))


def tracks_aside(
    labels: Labels, tracks: Indices, rng: np.random.Generator
) -> tuple[Indices, Indices]:
    """Set whole tracks of every class aside: a tenth, rounded down, and one at least.

    Args:
        labels: (N,). tracks: (N,) the track of each sample, by a number that no other class has.

    Returns:
        Indices set aside and indices left. Those set aside are in an order in which the first few
        of a class come from as many of its tracks as there are; the others are sorted.

    Raises:
        DataError: a class of one track, which cannot be on both sides.
    """
    aside: list[Indices] = []
    for label in np.unique(labels):
        known = rng.permutation(np.unique(tracks[labels == label]))
        if len(known) < 2:
            raise DataError(f"class {label} has one track only: give it two or more")
        chosen = known[: max(1, len(known) // _TRACKS_ASIDE)]
        frames = [rng.permutation(np.flatnonzero(tracks == track)) for track in chosen]
        turn = np.concatenate([np.arange(len(found)) for found in frames])
        aside.append(np.concatenate(frames)[np.argsort(turn, kind="stable")])
    drawn = np.concatenate(aside)
    return drawn, np.setdiff1d(np.arange(len(labels)), drawn, assume_unique=True)


def _drawn(
    labels: Labels, classes: Labels, quota: Indices, rng: np.random.Generator
) -> tuple[Indices, Indices]:
    drawn = np.concatenate(
        [
            rng.permutation(np.flatnonzero(labels == label))[:take]
            for label, take in zip(classes, quota, strict=True)
        ]
    )
    left = np.setdiff1d(np.arange(len(labels)), drawn, assume_unique=True)
    return np.sort(drawn), left
