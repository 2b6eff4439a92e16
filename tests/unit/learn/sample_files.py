"""Own samples as tests write them, and how a refusal looks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from auror.errors import DataError
from auror.learn.samples import SampleSpec, read_samples

RNG = np.random.default_rng(1)
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def image(path: Path, channels: int = 1, height: int = 6, width: int = 4, mode: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, (height, width, channels)).astype(np.uint8)
    made = Image.fromarray(pixels[..., 0] if channels == 1 else pixels, MODES[channels])
    (made.convert(mode) if mode else made).save(path)
    return path


def refused(path: Path, says: str, spec: SampleSpec | None = None) -> None:
    with pytest.raises(DataError) as caught:
        read_samples(path, spec)
    said = str(caught.value)
    assert said.startswith(f"--data = {path}: ")
    assert says in said
    assert "\n" not in said
    assert "; " in said  # the fix
    assert caught.value.exit_code == 4
