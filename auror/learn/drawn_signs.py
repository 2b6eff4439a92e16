"""Synthetic traffic signs: 43 classes in the folders of the German benchmark, drawn by a seed.

For tests, and for machines without the data. Shapes and colours are those of the signs; on them
stand the numbers of speed limits, and else symbols that mean nothing. A track is one sign before
one background in one light; from frame to frame it comes nearer.
"""

from __future__ import annotations

import csv
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]

MARK = "gtsrb/SYNTHETIC.txt"
"""A folder that holds this file holds synthetic signs."""
TRACKS = (
    5, 50, 50, 32, 44, 42, 10, 32, 32, 33, 45, 30, 47, 48, 18, 14, 10, 25, 27, 5, 8, 8, 9, 12, 6,
    34, 14, 6, 12, 6, 10, 18, 6, 16, 10, 27, 9, 5, 46, 7, 8, 6, 6,
)  # fmt: skip
"""Of each class, as many as the benchmark had in 2011."""
FRAMES = 10
_SIDE = 32
_FONT = {
    "0": "75557", "1": "26227", "2": "71747", "3": "71717", "5": "74717", "6": "74757",
    "7": "71111", "8": "75757",
}  # fmt: skip
"""Five rows of three dots."""
_RED, _BLUE, _WHITE, _BLACK, _YELLOW, _GREY = (
    (180, 30, 40), (30, 80, 170), (235, 235, 235), (25, 25, 25), (235, 190, 40), (150, 150, 150)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Sign:
    """How a class looks: outline, colours of rim, face and what stands on it."""

    outline: str
    rim: tuple[int, int, int]
    face: tuple[int, int, int]
    ink: tuple[int, int, int]
    dots: NDArray[np.bool_]


def draw_signs(
    folder: Path, seed: int = 0, tracks: Sequence[int] = TRACKS, frames: int = FRAMES
) -> None:
    """Write synthetic signs to ``folder``, which appears whole or not at all.

    Args:
        folder: must not be there; when another process makes it meanwhile, that one stays.
        seed: decides every pixel.
        tracks: of each of the 43 classes, for training; a third of the others, three at least,
            give one test image each.
        frames: of a track.

    Raises:
        OSError: it cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write(scratch, seed, tracks, frames)
        scratch.chmod(0o755)
        try:
            scratch.rename(folder)
        except OSError:
            if not (folder / MARK).exists():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write(folder: Path, seed: int, tracks: Sequence[int], frames: int) -> None:
    home = folder / "gtsrb"
    tests = home / "GTSRB" / "Final_Test" / "Images"
    tests.mkdir(parents=True)
    (folder / MARK).write_text(
        f"Synthetic signs, drawn by auror from seed {seed}: no photographs, not GTSRB.\n",
        encoding="utf-8",
    )
    images, labels = [], []
    for label, count in enumerate(tracks):
        rng = np.random.default_rng([seed, label])
        training = home / "GTSRB" / "Training" / f"{label:05d}"
        training.mkdir(parents=True)
        nearer = np.tile(np.linspace(0, 1, frames), (count, 1))
        drawn = _tracks(_SIGNS[label], nearer, rng)
        for track in range(count):
            for frame in range(frames):
                path = training / f"{track:05d}_{frame:05d}.ppm"
                path.write_bytes(_ppm(drawn[track, frame]))
        test = _tracks(_SIGNS[label], rng.random((max(3, count // 3), 1)), rng)[:, 0]
        images += list(test)
        labels += [label] * len(test)
    order = np.random.default_rng([seed, len(tracks)]).permutation(len(images))
    for number, index in enumerate(order):
        (tests / f"{number:05d}.ppm").write_bytes(_ppm(images[index]))
    with (home / "GT-final_test.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, delimiter=";")
        table.writerow(("Filename", "Width", "Height", "ClassId"))
        for number, index in enumerate(order):
            table.writerow((f"{number:05d}.ppm", _SIDE, _SIDE, labels[index]))


def _ppm(image: Pixels) -> bytes:
    return f"P6\n{_SIDE} {_SIDE}\n255\n".encode() + image.tobytes()


def _tracks(sign: _Sign, nearer: NDArray[np.float64], rng: np.random.Generator) -> Pixels:
    """(tracks, frames, 32, 32, 3): what stays the same in a track is drawn once.

    ``nearer`` (tracks, frames): from 0, far away, to 1.
    """

    def each(low: float, high: float, *size: int) -> Floats:
        return rng.uniform(low, high, (len(nearer), 1, *size)).astype(np.float32)

    def every(low: float, high: float) -> Floats:
        return rng.uniform(low, high, (*nearer.shape, 1, 1)).astype(np.float32)

    far = nearer.astype(np.float32)[..., None, None]
    near = (0.6 + 0.32 * far) * each(0.85, 1.05, 1, 1)
    angle = each(-0.15, 0.15, 1, 1) + every(-0.03, 0.03)
    right, down = (each(-0.12, 0.12, 1, 1) + every(-0.04, 0.04) for _ in range(2))
    grid = np.linspace(-1, 1, _SIDE, dtype=np.float32)
    x, y = (grid[None, :] - right) / near, (grid[:, None] - down) / near
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    blur = each(0.03, 0.12, 1, 1)
    behind = each(40, 180, 1, 1, 1) + each(-40, 40, 1, 1, 3) * (1 + grid[:, None, None])
    colours = [np.array(colour, np.float32) for colour in (sign.rim, sign.face, sign.ink)]
    distance = _distance(sign.outline, u, v)
    # each covers what lies below it, with an edge as soft as the track is blurred
    layers = (_soft(-distance, blur), _soft(-distance - 0.22, blur), _dots(sign.dots, u, v))
    image: Floats = np.broadcast_to(behind, (*u.shape, 3))
    for cover, colour in zip(layers, colours, strict=True):
        image = image + cover[..., None] * (colour - image)
    light = each(0.3, 1.1, 1, 1, 1) * each(0.9, 1.1, 1, 1, 3)
    noisy = image * light + 6 * rng.standard_normal(image.shape, dtype=np.float32)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def _distance(outline: str, u: Floats, v: Floats) -> Floats:
    """Signed, about, from the outline: below 0 inside."""
    wide, high = np.abs(u), np.abs(v)
    found: Floats
    match outline:
        case "triangle":
            found = np.maximum(v - 0.75, 0.87 * wide - 0.5 * v - 0.5)
        case "give way":
            found = np.maximum(-v - 0.75, 0.87 * wide + 0.5 * v - 0.5)
        case "diamond":
            found = 0.71 * (wide + high - 1)
        case "octagon":
            found = np.maximum(np.maximum(wide, high), 0.71 * (wide + high)) - 0.92
        case _:
            found = np.hypot(u, v) - 1
    return found


def _soft(depth: Floats, blur: Floats) -> Floats:
    share: Floats = 1 / (1 + np.exp(-np.clip(depth / blur, -30, 30) * 2))
    return share


def _dots(dots: NDArray[np.bool_], u: Floats, v: Floats) -> Floats:
    """0 or 1, of the dots that fill the middle of a sign."""
    rows, columns = dots.shape
    wide = 0.62 if columns > rows else 0.5
    row = np.floor((v / 0.5 + 1) / 2 * rows).astype(np.int64)
    column = np.floor((u / wide + 1) / 2 * columns).astype(np.int64)
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    lit = dots[np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)]
    found: Floats = (inside & lit).astype(np.float32)
    return found


def _number(text: str) -> NDArray[np.bool_]:
    rows = [
        [bit == "1" for digit in text for bit in f"{int(_FONT[digit][row]):03b}0"][:-1]
        for row in range(5)
    ]
    return np.array(rows)


def _symbol(label: int) -> NDArray[np.bool_]:
    """Five rows of five dots, alike on the left and on the right."""
    half = np.random.default_rng([43, label]).random((5, 3)) < 0.5
    return np.hstack([half, half[:, 1::-1]])


def _sign(label: int) -> _Sign:
    limits = {0: "20", 1: "30", 2: "50", 3: "60", 4: "70", 5: "80", 6: "80", 7: "100", 8: "120"}
    dots = _number(limits[label]) if label in limits else _symbol(label)
    if label in (6, 32, 41, 42):  # the end of something
        return _Sign("circle", _WHITE, _WHITE, _GREY, dots)
    if label == 12:
        return _Sign("diamond", _WHITE, _YELLOW, _YELLOW, dots)
    if label == 13:
        return _Sign("give way", _RED, _WHITE, _WHITE, dots)
    if label in (14, 17):
        return _Sign("octagon" if label == 14 else "circle", _RED, _RED, _WHITE, dots)
    if label == 11 or 18 <= label <= 31:
        return _Sign("triangle", _RED, _WHITE, _BLACK, dots)
    if 33 <= label <= 40:
        return _Sign("circle", _BLUE, _BLUE, _WHITE, dots)
    return _Sign("circle", _RED, _WHITE, _BLACK, dots)


_SIGNS = tuple(_sign(label) for label in range(len(TRACKS)))
