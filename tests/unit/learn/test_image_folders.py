"""A folder a class: images are read as they are, and whatever is broken is one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sample_files import image, refused

from auror.learn.samples import SampleSpec, read_samples


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_folders_name_classes_and_pixels_keep_their_values(tmp_path: Path, channels: int) -> None:
    for name in ("oak", "ash"):
        for number in range(3):
            image(tmp_path / name / f"{number}.png", channels)
    (tmp_path / "README.txt").write_text("trees")
    (tmp_path / "ash" / ".DS_Store").write_bytes(b"")
    found = read_samples(tmp_path)
    assert (found.x.shape, found.x.dtype) == ((6, channels, 6, 4), np.float32)
    assert (found.names, found.whole) == (("ash", "oak"), True)
    np.testing.assert_array_equal(found.y, [0, 0, 0, 1, 1, 1])
    with Image.open(tmp_path / "oak" / "2.png") as last:
        pixels = np.asarray(last).reshape(6, 4, channels)
    np.testing.assert_array_equal(found.x[5], np.moveaxis(pixels, -1, 0))


def test_folders_with_numbers_are_in_their_order(tmp_path: Path) -> None:
    for name in ("10", "9", "2"):
        image(tmp_path / name / "a.jpg")
    assert read_samples(tmp_path).names == ("2", "9", "10")
    spec = SampleSpec((1, 6, 4), 11)
    np.testing.assert_array_equal(read_samples(tmp_path, spec).y, [10, 2, 9])


def cut(path: Path, part: float) -> None:
    raw_bytes = path.read_bytes()
    path.write_bytes(raw_bytes[: int(len(raw_bytes) * part)])


BROKEN_FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folders": (lambda f: (f / "oak").rename(f.parent / "away"), "holds no class folders"),
    "an empty class": (lambda f: (f / "ash").mkdir(), "class folder 'ash' holds no images"),
    "an image outside": (lambda f: image(f / "a.png"), "'a.png' and 1 images in all lie outside"),
    "another file": (lambda f: (f / "oak/notes.txt").write_text(""), "oak/notes.txt is no PNG"),
    "a folder within": (lambda f: (f / "oak" / "old").mkdir(), "oak/old is no PNG"),
    "cut short": (lambda f: cut(f / "oak" / "1.png", 0.7), "oak/1.png is damaged or cut short"),
    "cut JPEG": (lambda f: cut(image(f / "oak/2.jpg", 1, 64, 64), 0.5), "oak/2.jpg is damaged"),
    "no image": (lambda f: (f / "oak/1.png").write_bytes(b"PNG"), "oak/1.png is damaged"),
    "an empty file": (lambda f: (f / "oak/1.png").write_bytes(b""), "oak/1.png is damaged"),
    "another size": (
        lambda f: image(f / "oak/1.png", 1, 5, 4),
        "oak/1.png is 5x4 pixels with 1 channel, oak/0.png is 6x4 pixels with 1 channel; resize",
    ),
    "other channels": (lambda f: image(f / "oak/1.png", 3), "oak/1.png is 6x4 pixels with 3"),
    "a palette": (lambda f: image(f / "oak/1.png", 3, mode="P"), "oak/1.png is of kind 'P'"),
    "black and white": (lambda f: image(f / "oak/1.png", mode="1"), "is of kind '1'"),
    "16 bits": (lambda f: image(f / "oak/1.png", mode="I;16"), "is of kind 'I;16'"),
    "a GIF": (lambda f: image(f / "a.gif").rename(f / "oak/1.png"), "oak/1.png is damaged"),
}


@pytest.mark.parametrize("fault", BROKEN_FOLDERS)
def test_a_broken_folder_is_one_line_with_the_file_and_the_fix(tmp_path: Path, fault: str) -> None:
    damage, says = BROKEN_FOLDERS[fault]
    folder = tmp_path / "own"
    for number in range(2):
        image(folder / "oak" / f"{number}.png")
    damage(folder)
    refused(folder, says)


def test_an_image_that_would_fill_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image(tmp_path / "oak" / "0.png", 1, 100, 100)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    refused(tmp_path, "oak/0.png is damaged or cut short (Image size (10000 pixels)")


# What fits a task ---------------------------------------------------------------------------------
