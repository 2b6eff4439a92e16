"""A folder with a folder per class, each holding PNG and JPEG files of one size."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auror.learn.readers.raw import RawFile, check_size, refuse

_SUFFIXES = (".png", ".jpg", ".jpeg")
_OTHERS = ("thumbs.db", "desktop.ini")  # what file managers leave behind; .DS_Store is hidden
_CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
_RESIZE = "resize or convert it: every image must have one size and one kind"


def read_images(path: Path, where: str, shape: tuple[int, ...] | None) -> RawFile:
    """``x`` (N, channels, height, width) uint8; a sample's label is the name of its folder.

    Channels: 1 for grey, 2 for grey with alpha, 3 for RGB, 4 for RGBA. ``shape``: what every image
    must have; None: what the first one has.

    Raises:
        DataError: no images, broken ones, other shapes, files that are no images.
        OSError: a folder cannot be listed.
    """
    listed = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    loose = [entry.name for entry in listed if entry.is_file() and _is_image(entry)]
    if loose:
        refuse(
            where,
            f"{loose[0]!r} and {len(loose)} images in all lie outside of the class folders",
            "move each into the folder of its class",
        )
    folders = [entry for entry in listed if entry.is_dir()]
    if not folders:
        refuse(where, "holds no class folders", "make a folder per class and put its images there")
    files = [(folder.name, file) for folder in folders for file in _images(folder, where)]
    found: list[NDArray[np.uint8]] = []
    for name, file in files:
        image = _decode(file, where, f"{name}/{file.name}")
        wanted = shape if shape is not None else found[0].shape if found else image.shape
        if image.shape != wanted:
            whose = f"the task's samples are {_sides(wanted)}"
            if shape is None:
                whose = f"{files[0][0]}/{files[0][1].name} is {_sides(wanted)}"
            refuse(where, f"{name}/{file.name} is {_sides(image.shape)}, {whose}", _RESIZE)
        if not found:
            check_size(where, image.nbytes * len(files))
        found.append(image)
    labels = np.array([name for name, _ in files], dtype=object)
    names = tuple(folder.name for folder in folders)
    return RawFile(np.stack(found), labels, folders=names, label_place="folder {}")


def _images(folder: Path, where: str) -> list[Path]:
    listed = sorted(
        entry
        for entry in folder.iterdir()
        if not entry.name.startswith(".") and entry.name.lower() not in _OTHERS
    )
    for entry in listed:
        if not (entry.is_file() and _is_image(entry)):
            refuse(
                where,
                f"{folder.name}/{entry.name} is no PNG or JPEG file",
                "leave only images in the class folders",
            )
    if not listed:
        refuse(
            where,
            f"class folder {folder.name!r} holds no images",
            "delete the folder if there are none, or copy them again",
        )
    return listed


def _is_image(entry: Path) -> bool:
    return entry.suffix.lower() in _SUFFIXES


def _decode(file: Path, where: str, name: str) -> NDArray[np.uint8]:
    """(channels, height, width)."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - needed for images only

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=("PNG", "JPEG")) as image:
                if image.mode not in _CHANNELS:
                    refuse(
                        where,
                        f"{name} is of kind {image.mode!r}, not grey, RGB or RGBA with 8 bits",
                        _RESIZE,
                    )
                pixels: NDArray[Any] = np.asarray(image)
    except PermissionError:
        refuse(where, f"{name} cannot be read", "let this user read it")
    except (
        OSError,
        UnidentifiedImageError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
        SyntaxError,  # Pillow's word for a broken PNG chunk
        ValueError,
        EOFError,
    ) as error:
        what = " ".join(str(error).split()).replace(str(file), name) or type(error).__name__
        refuse(where, f"{name} is damaged or cut short ({what})", "copy it again or leave it out")
    return np.moveaxis(pixels if pixels.ndim == 3 else pixels[..., None], -1, 0)


def _sides(shape: tuple[int, ...]) -> str:
    if len(shape) != 3:
        return f"of shape {shape}"
    channels, height, width = shape
    return f"{height}x{width} pixels with {channels} channel{'s' if channels != 1 else ''}"
