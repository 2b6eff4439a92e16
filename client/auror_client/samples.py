"""A client's own samples: an npz file with plain numbers, checked before anything is trained.

What is wrong with a file is said in one line with the file, the place and the fix. Nothing is
ever unpickled, whatever the file holds.
"""

from __future__ import annotations

import lzma
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auror.errors import DataError

_HOW = "write it with numpy.savez(FILE, x=samples, y=labels)"
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    RuntimeError,  # an encrypted archive, or a compression this Python does not know
    ValueError,  # a header that is none, or an array that ends early
    SyntaxError,
    tokenize.TokenError,
    TypeError,
    OverflowError,
    MemoryError,  # a header that promises more than there is
)


def load_npz(path: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """``x`` (samples, channels, height, width) float32 and ``y`` (samples,) int64 of ``path``.

    Raises:
        DataError: no such file, no npz, or values that cannot be trained on.
    """
    where = f"data.npz = {path}"
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            for name in ("x", "y"):
                if name not in names:
                    found = ", ".join(map(ascii, names[:5])) or "nothing"
                    raise DataError(f"{where}: has no array {name}, only {found}; {_HOW}")
            x, y = _array(archive, where, "x"), _array(archive, where, "y")
    except OSError as error:
        raise DataError(
            f"{where}: cannot be read ({error.strerror or error}); name a file with arrays x and y"
        ) from error
    except _UNREADABLE as error:
        raise DataError(
            f"{where}: not an npz file, or damaged or cut short ({error}); {_HOW}"
        ) from error
    if x.ndim != 4 or y.shape != (len(x),) or not len(y):
        raise DataError(
            f"{where}: x must be (samples, channels, height, width) and y (samples,),"
            f" not {x.shape} and {y.shape}"
        )
    return _pixels(where, x), _labels(where, y)


def _array(archive: zipfile.ZipFile, where: str, name: str) -> NDArray[np.generic]:
    """One member. numpy's own words are not passed on: for objects they advise to unpickle."""
    try:
        with archive.open(f"{name}.npy") as file:
            array: NDArray[np.generic] = np.lib.format.read_array(file, allow_pickle=False)
    except _UNREADABLE as error:
        raise DataError(
            f"{where}: array {name} is damaged, or holds objects instead of plain numbers; {_HOW},"
            " both as arrays of numbers"
        ) from error
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"{where}: {name} holds {array.dtype}, not real numbers; convert it, then {_HOW}"
        )
    return array


def _pixels(where: str, x: NDArray[np.generic]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes inf, and is said below
        pixels = x.astype(np.float32)
    wrong = np.argwhere(~np.isfinite(pixels))
    if len(wrong):
        place = tuple(int(i) for i in wrong[0])
        samples = len(np.unique(wrong[:, 0]))
        raise DataError(
            f"{where}: x{list(place)} is {x[place]}, and {samples} of {len(x)} samples hold such"
            " values; fill them in or leave these samples out"
        )
    return pixels


def _labels(where: str, y: NDArray[np.generic]) -> NDArray[np.int64]:
    with np.errstate(invalid="ignore"):  # NaN and what int64 cannot hold differ from their cast
        labels = y.astype(np.int64)
    wrong = np.flatnonzero((labels != y) | (labels < 0))
    if len(wrong):
        raise DataError(
            f"{where}: y[{wrong[0]}] is {y[wrong[0]]}, and {len(wrong)} of {len(y)} labels are no"
            " class numbers; use whole numbers from 0"
        )
    return labels
