"""An npz file with arrays ``x`` and ``y``. Nothing is ever unpickled, whatever the file holds."""

from __future__ import annotations

import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from auror.errors import DataError
from auror.learn.readers.raw import RawFile, check_size, refuse

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
    MemoryError,
)
_REAL = "biuf"


def read_npz(path: Path, where: str) -> RawFile:
    """``x`` (N, ...) and ``y`` (N,) of ``path``.

    Raises:
        DataError: not an npz file, a damaged one, or values that are no real numbers.
        OSError: the file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            for name in ("x", "y"):
                if name not in names:
                    found = ", ".join(map(ascii, names[:5])) or "nothing"
                    refuse(where, f"has no array {name}, only {found}", _HOW)
            x, y = _array(archive, where, "x"), _array(archive, where, "y")
    except _UNREADABLE as error:
        other = "" if path.suffix == ".npz" else ", or name a .csv or .tsv file or a folder"
        raise DataError(
            f"{where}: not an npz file, or damaged or cut short; {_HOW}{other}"
        ) from error
    if x.ndim < 2 or y.shape != (len(x),):
        refuse(
            where,
            f"x must be (samples, ...) and y (samples,), not {x.shape} and {y.shape}",
            "for images x is (samples, channels, height, width), for tables (samples, features)",
        )
    return RawFile(_finite(where, x), y)


def _array(archive: zipfile.ZipFile, where: str, name: str) -> NDArray[Any]:
    """One member. numpy's own words are not passed on: for objects they advise to unpickle."""
    try:
        size = archive.getinfo(f"{name}.npy").file_size
        with archive.open(f"{name}.npy") as file:
            shape, dtype = _header(file)
            promised = math.prod(shape) * dtype.itemsize
            # before anything is allocated: a few bytes can promise terabytes
            if dtype.hasobject or promised > size - file.tell():
                raise ValueError
            check_size(f"{where}: {name}", promised)
            file.seek(0)
            array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    except _UNREADABLE as error:
        raise DataError(
            f"{where}: array {name} is damaged, or holds objects instead of plain numbers; {_HOW},"
            " both as arrays of numbers"
        ) from error
    if array.dtype.kind not in _REAL:
        refuse(where, f"{name} holds {array.dtype}, not real numbers", f"convert it, then {_HOW}")
    return array


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type that an array's own header states."""
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:  # version 3 is for the field names of records
        raise ValueError(version)
    shape, _order, dtype = read(file)
    if min(shape, default=0) < 0:
        raise ValueError(shape)
    return shape, dtype


def _finite(where: str, x: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes inf, and is said below
        wrong = np.argwhere(~np.isfinite(x.astype(np.float32)))
    if len(wrong):
        place = tuple(int(i) for i in wrong[0])
        samples = len(np.unique(wrong[:, 0]))
        refuse(
            where,
            f"x{list(place)} is {x[place]}, and {samples} of {len(x)} samples hold such values",
            "fill them in or leave these samples out",
        )
    return x
