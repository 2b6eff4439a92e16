"""The German Traffic Sign Recognition Benchmark (Stallkamp et al. 2012), through torchvision's own
loader, and synthetic signs in the same folders.

    DIR/gtsrb/GTSRB/Training/00000 … 00042/TRACK_FRAME.ppm
    DIR/gtsrb/GTSRB/Final_Test/Images/*.ppm
    DIR/gtsrb/GT-final_test.csv

Images of another size are scaled to 32 × 32. Of the training images the name says the track: the
frames in which a camera came nearer to one sign. The test images are of tracks of their own.
"""

from __future__ import annotations

import functools
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auror.errors import DataError
from auror.files import only_looking
from auror.learn.drawn_signs import MARK, draw_signs
from auror.learn.folders import check_there, nothing_left

if TYPE_CHECKING:
    from PIL.Image import Image

Labels = NDArray[np.int64]
Indices = NDArray[np.int64]
Pixels = NDArray[np.uint8]

NAMES = (
    "20 km/h", "30 km/h", "50 km/h", "60 km/h", "70 km/h", "80 km/h", "end of 80 km/h",
    "100 km/h", "120 km/h", "no overtaking", "no overtaking by lorries", "right of way",
    "priority road", "give way", "stop", "no vehicles", "no lorries", "no entry", "danger",
    "bend to the left", "bend to the right", "double bend", "uneven road", "slippery road",
    "road narrows", "road works", "traffic signals", "pedestrians", "children", "bicycles",
    "snow", "wild animals", "end of all limits", "turn right", "turn left", "ahead only",
    "ahead or right", "ahead or left", "keep right", "keep left", "roundabout",
    "end of no overtaking", "end of no overtaking by lorries",
)  # fmt: skip
"""Of the 43 classes, in their order."""

SIDE = 32
SYNTHETIC = "signs-synthetic"
_DRAWN = f"use dataset = {SYNTHETIC}"
_INSIDE = ("gtsrb", "GTSRB")
_TRACK_FRAME = re.compile(r"(\d+)_(\d+)")
_MOST_TRACKS = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Signs:
    """Images (N, 3, 32, 32) and labels (N,) of training and test; ``tracks`` (N,) of the training
    images, by a number that no other class has."""

    train_x: Pixels
    train_y: Labels
    tracks: Indices
    test_x: Pixels
    test_y: Labels


@functools.lru_cache(maxsize=1)
def read_gtsrb(folder: Path) -> Signs:
    """The benchmark's images in ``folder``, downloaded there when absent.

    Raises:
        DataError: they cannot be had, one of them cannot be read, or they are synthetic.
    """
    if (folder / MARK).exists():
        raise DataError(
            f"data set 'gtsrb': {folder} holds synthetic signs: use dataset = {SYNTHETIC} with"
            " data_dir the folder above"
        )
    check_there("gtsrb", folder, _INSIDE, f"{_unpacked(folder)}, or {_DRAWN}")
    with nothing_left(folder.joinpath(*_INSIDE)):
        return _read("gtsrb", folder, download=not only_looking())


@functools.lru_cache(maxsize=1)
def read_synthetic(folder: Path) -> Signs:
    """The synthetic signs in ``folder/signs-synthetic``, drawn there when absent.

    Raises:
        DataError: the folder cannot be written, or holds something else.
    """
    home = folder / SYNTHETIC
    try:
        if not home.exists() and only_looking():
            with tempfile.TemporaryDirectory() as scratch:
                draw_signs(Path(scratch) / SYNTHETIC)
                return _read(SYNTHETIC, Path(scratch) / SYNTHETIC, download=False)
        if not home.exists():
            draw_signs(home)
    except OSError as error:
        raise DataError(
            f"data set {SYNTHETIC!r}: {home} cannot be written ({error.strerror}): choose another"
            " data_dir"
        ) from error
    if not (home / MARK).exists():
        raise DataError(
            f"data set {SYNTHETIC!r}: {home} was not drawn by auror (no {MARK}): move it away"
        )
    return _read(SYNTHETIC, home, download=False)


def _read(name: str, folder: Path, *, download: bool) -> Signs:
    from torchvision.datasets import GTSRB  # noqa: PLC0415 - slow to import, seldom needed

    sources = {}
    for split in ("train", "test"):
        try:
            if download:
                folder.mkdir(parents=True, exist_ok=True)
            # keeps files already there
            sources[split] = GTSRB(folder, split, transform=_pixels, download=download)
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise DataError(
                f"data set {name!r}: its {split} images are not whole in {folder} and cannot be"
                f" downloaded ({reason[0]}): {_unpacked(folder)}, or {_DRAWN}"
            ) from error
    files = [Path(path) for path, _ in sources["train"]._samples]  # the only place that names them
    test_x, test_y = _images(name, sources["test"])
    train_x, train_y = _images(name, sources["train"])
    _check_classes(name, files)
    return Signs(train_x, train_y, _tracks(name, files, train_y), test_x, test_y)


def _unpacked(folder: Path) -> str:
    return f"unpack the archives of GTSRB to {folder / 'gtsrb'}"


def _images(name: str, source: Any) -> tuple[Pixels, Labels]:
    x = np.empty((len(source), 3, SIDE, SIDE), dtype=np.uint8)
    y = np.empty(len(source), dtype=np.int64)
    for i in range(len(source)):
        try:
            x[i], y[i] = source[i]
        except (OSError, SyntaxError, ValueError) as error:
            path = source._samples[i][0]
            reason = " ".join(str(error).split()).replace(path, "it") or type(error).__name__
            raise DataError(
                f"data set {name!r}: {path} cannot be read ({reason}): copy it again"
            ) from error
    return x, y


def _pixels(image: Image) -> Pixels:
    """(3, 32, 32), scaled where it has another size."""
    from PIL.Image import Resampling  # noqa: PLC0415 - needed for images only

    same = image.size == (SIDE, SIDE)
    scaled = image if same else image.resize((SIDE, SIDE), Resampling.BILINEAR)
    return np.moveaxis(np.asarray(scaled), -1, 0)


def _check_classes(name: str, files: list[Path]) -> None:
    """Raises DataError where a folder is missing: torchvision numbers those it finds."""
    found = {file.parent.name for file in files}
    wanted = {f"{label:05d}" for label in range(len(NAMES))}
    odd = sorted(found ^ wanted)
    if odd:
        folder = files[0].parent.parent
        what = "is missing" if odd[0] in wanted else "is no class"
        raise DataError(f"data set {name!r}: folder {odd[0]} {what} in {folder}: copy it again")


def _tracks(name: str, files: list[Path], labels: Labels) -> Indices:
    """(N,) from the file names; tracks are counted anew in every class."""
    numbers = np.empty(len(files), dtype=np.int64)
    for i, file in enumerate(files):
        found = _TRACK_FRAME.fullmatch(file.stem)
        if found is None or int(found[1]) >= _MOST_TRACKS:
            raise DataError(
                f"data set {name!r}: {file} does not say its track: name it TRACK_FRAME.ppm"
            )
        numbers[i] = int(found[1])
    return labels * _MOST_TRACKS + numbers
