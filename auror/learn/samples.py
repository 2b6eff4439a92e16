"""Samples of one's own: an npz file, a CSV file or a folder of images, checked before anything is
trained.

What is wrong with a file is said in one line with the file, the place and the fix. ``x`` stays in
raw units: ``SampleSpec.inputs`` is the one place where it is standardised.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auror.errors import ConfigError
from auror.learn.readers.images import read_images
from auror.learn.readers.npz import read_npz
from auror.learn.readers.raw import RawFile, refuse, unreadable
from auror.learn.readers.table import read_table
from auror.learn.scale import Range, standardisation_of, to_raw_units
from auror.learn.standardisation import Floats, Standardisation

Labels = NDArray[np.int64]
Targets = NDArray[np.int64] | NDArray[np.float32]

_MOST_CLASSES = 10_000


@dataclass(frozen=True, slots=True)
class SampleSpec:
    """What the samples of a task look like; the operator states it, and every site's must fit.

    Attributes:
        input_shape: of one sample: (channels, height, width) of images, (features,) of tables.
        classes: number of labels; None: targets are real numbers.
        names: of the classes in their order; None: they are the numbers 0 … classes − 1.
        features: names of a table's columns in their order; None: not stated.
        standardisation: how raw samples become the model's inputs.
    """

    input_shape: tuple[int, ...]
    classes: int | None
    names: tuple[str, ...] | None = None
    features: tuple[str, ...] | None = None
    standardisation: Standardisation = field(default_factory=Standardisation)

    def __post_init__(self) -> None:
        if self.names is not None and len(set(self.names)) != self.classes:
            raise ConfigError(f"{self.classes} classes need as many different names")
        if self.features is not None and self.input_shape != (len(self.features),):
            raise ConfigError(f"{len(self.features)} features do not make {self.input_shape}")

    def inputs(
        self, samples: Samples, stated: Range | None = None
    ) -> tuple[Floats, tuple[str, ...], tuple[str, ...]]:
        """What the model is shown, (N, *input_shape) float32, and what the site should know: notes
        and warnings, a line each.

        ``stated``: the range that the site says its file is in.

        Raises:
            UserError: the numbers are in another scale than the task's.
        """
        found = to_raw_units(samples.where, samples.x, samples.whole, self.standardisation, stated)
        return self.standardisation.apply(found.x), found.notes, found.warnings


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """One site's samples.

    Attributes:
        where: the setting and the file, for messages.
        x: (N, *input_shape) in raw units, float32, or float64 where float32 could not hold what
            the file holds.
        y: (N,) int64 class numbers, or float32 where targets are real numbers.
        whole: whether the file holds integers.
        names: of the classes; None where they are numbers.
        features: names of a table's columns; None elsewhere.
    """

    where: str
    x: NDArray[np.float32] | NDArray[np.float64]
    y: Targets
    whole: bool
    names: tuple[str, ...] | None = None
    features: tuple[str, ...] | None = None

    def spec(self) -> SampleSpec:
        """What these samples, the operator's own, state for everybody.

        Raises:
            DataError: fewer than two classes, or a number between them without samples.
        """
        if self.y.dtype != np.int64:
            refuse(self.where, "targets are real numbers", "give a task of your own with a loss")
        counts = np.bincount(self.y.astype(np.int64))
        empty = np.flatnonzero(counts == 0)
        if len(empty):
            refuse(
                self.where,
                f"no sample has label {empty[0]}, and the largest is {len(counts) - 1}",
                "number the classes from 0 without gaps",
            )
        if len(counts) < 2:
            refuse(self.where, "all samples are of one class", "give samples of two or more")
        return SampleSpec(
            self.x.shape[1:],
            len(counts),
            self.names,
            self.features,
            standardisation_of(self.x, self.whole),
        )


def read_samples(
    path: Path,
    spec: SampleSpec | None = None,
    *,
    label_column: str = "",
    setting: str = "--data",
) -> Samples:
    """The samples of ``path``, whichever of the three forms it has.

    Args:
        path: a folder with a folder of images per class; a file ``.csv``; or an npz file.
        spec: what the task's samples look like; None: these are the operator's, and decide it.
        label_column: of a CSV file; "": the last one.
        setting: what named ``path``, for messages.

    Raises:
        DataError: the file cannot be read, is broken, or does not fit ``spec``.
        ConfigError: ``label_column`` for something that is no table.
    """
    where = f"{setting} = {path}"
    try:
        raw, table = _read(path, where, spec, label_column)
    except OSError as error:
        raise unreadable(where, error) from error
    if label_column and not table:
        raise ConfigError(f"{where}: a label column has no effect: this is no CSV file")
    if not len(raw.x):
        refuse(where, "holds no samples", "give at least one")
    if spec is not None:
        raw = _ordered(raw, where, spec)
        if raw.x.shape[1:] != spec.input_shape:
            refuse(
                where,
                f"its samples have shape {raw.x.shape[1:]}, the task's {spec.input_shape}",
                "convert them, or take part in another task",
            )
    names = spec.names if spec is not None else _names(raw)
    if spec is not None and spec.classes is None:
        y: Targets = _real(raw, where)
    else:
        y = _numbers(raw, where, names, spec.classes if spec is not None else None)
    x = raw.x.astype(np.result_type(raw.x.dtype, np.float32), copy=False)
    return Samples(where, x, y, raw.x.dtype.kind in "biu", names, raw.features)


def _read(
    path: Path, where: str, spec: SampleSpec | None, label_column: str
) -> tuple[RawFile, bool]:
    """Raises OSError where the system does not give the file."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        return read_images(path, where, None if spec is None else spec.input_shape), False
    if not stat.S_ISREG(mode):  # a pipe would be waited for, a device never ends
        refuse(where, "is neither a file nor a folder", "name an npz or CSV file, or a folder")
    if path.suffix.lower() in (".csv", ".tsv"):
        return read_table(path, where, label_column), True
    return read_npz(path, where), False


def _ordered(raw: RawFile, where: str, spec: SampleSpec) -> RawFile:
    """A table's columns in the task's order: a site may have them in another."""
    if raw.features is None or spec.features is None or raw.features == spec.features:
        return raw
    missing = [name for name in spec.features if name not in raw.features]
    extra = [name for name in raw.features if name not in spec.features]
    if missing or extra:
        what = f"has no column {missing[0]!r}" if missing else f"has a column {extra[0]!r} too many"
        refuse(
            where,
            f"{what}: {len(missing)} of the task's {len(spec.features)} features are missing and"
            f" {len(extra)} are not the task's",
            "name the columns as the operator does",
        )
    order = [raw.features.index(name) for name in spec.features]
    return RawFile(raw.x[:, order], raw.labels, None, spec.features, raw.label_place, raw.lines)


def _names(raw: RawFile) -> tuple[str, ...] | None:
    """Of the operator's own samples: folders and words name classes, numbers do not."""
    if raw.labels.dtype.kind != "O":
        return None
    found = raw.folders if raw.folders is not None else tuple(set(raw.labels))
    if all(_is_digits(name) for name in found):
        return tuple(sorted(found, key=int))
    return tuple(sorted(found))


def _numbers(
    raw: RawFile, where: str, names: tuple[str, ...] | None, classes: int | None
) -> Labels:
    """Class numbers (N,)."""
    if raw.labels.dtype.kind == "O":
        return _named(raw, where, names, classes)
    y = raw.labels
    if names is not None and all(_is_digits(name) for name in names):
        known = {float(name): number for number, name in enumerate(names)}
        y = np.array([known.get(float(value), -1) for value in raw.labels])
    with np.errstate(invalid="ignore"):  # NaN and what int64 cannot hold differ from their cast
        labels = y.astype(np.int64)
    most = classes if classes is not None else _MOST_CLASSES
    wrong = np.flatnonzero((labels != y) | (labels < 0) | (labels >= most))
    if len(wrong):
        fix = (
            f"the task's classes are 0 … {most - 1}"
            if classes is not None
            else "use whole numbers from 0"
        )
        refuse(
            where,
            f"{raw.place(wrong[0])} is {_shown(raw.labels[wrong[0]])}, and {len(wrong)} of"
            f" {len(y)} labels are no class numbers",
            fix,
        )
    return labels


def _named(raw: RawFile, where: str, names: tuple[str, ...] | None, classes: int | None) -> Labels:
    """Class numbers (N,) of words."""
    known = (
        {name: number for number, name in enumerate(names)}
        if names is not None
        else {str(number): number for number in range(classes or 0)}
    )
    unknown = [i for i, label in enumerate(raw.labels) if label not in known]
    if unknown:
        first = raw.labels[unknown[0]]
        place = f"folder {first!r}" if raw.folders is not None else raw.place(unknown[0])
        what = "is" if raw.folders is not None else f"is {first!r}, which is"
        shown = ", ".join(list(known)[:8]) + (", ..." if len(known) > 8 else "")
        refuse(
            where,
            f"{place} {what} none of the task's classes, and so are {len(unknown)} of"
            f" {len(raw.labels)} labels",
            f"name the classes {shown}",
        )
    return np.array([known[label] for label in raw.labels], dtype=np.int64)


def _real(raw: RawFile, where: str) -> NDArray[np.float32]:
    """Targets (N,) that are real numbers."""
    if raw.labels.dtype.kind == "O":
        refuse(where, "its labels are words, the task's targets are real numbers", "use numbers")
    with np.errstate(over="ignore"):
        targets: NDArray[Any] = raw.labels.astype(np.float32)
    wrong = np.flatnonzero(~np.isfinite(targets))
    if len(wrong):
        refuse(
            where,
            f"{raw.place(wrong[0])} is {raw.labels[wrong[0]]}, and {len(wrong)} of"
            f" {len(targets)} targets are not finite",
            "fill them in or leave these samples out",
        )
    return targets


def _is_digits(name: str) -> bool:
    return name.isascii() and name.isdigit()


def _shown(value: Any) -> str:
    """As it was written: a table's numbers are all floats."""
    whole = isinstance(value, float) and value.is_integer()
    return f"{value:.0f}" if whole else f"{value}"
