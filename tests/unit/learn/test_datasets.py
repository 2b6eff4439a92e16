"""Data sets: sizes, disjointness, determinism, and clear refusals."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from torchvision.datasets import MNIST

from auror.errors import ConfigError, DataError
from auror.learn.datasets import Dataset, load_dataset
from auror.learn.splitting import per_class, stratified


def rows(data: Dataset) -> list[set[bytes]]:
    parts = (data.train_x, data.test_x, data.clean_x)
    return [{sample.tobytes() for sample in part} for part in parts]


def test_mnist5k_is_split_as_documented() -> None:
    data = load_dataset("mnist5k", seed=1)
    assert data.train_x.shape == (4000, 1, 28, 28)
    assert data.train_x.dtype == np.float32
    assert data.train_y.dtype == np.int64
    for labels, each in ((data.train_y, 400), (data.test_y, 90), (data.clean_y, 10)):
        np.testing.assert_array_equal(np.bincount(labels), [each] * 10)
    train, test, clean = rows(data)
    assert len(train | test | clean) == len(train) + len(test) + len(clean)
    assert (data.classes, data.input_shape) == (10, (1, 28, 28))
    # Standardised with the constants of all of MNIST.
    assert abs(float(data.train_x.mean())) < 0.02
    assert abs(float(data.train_x.std()) - 1) < 0.02


def test_digits_uses_every_sample_once() -> None:
    data = load_dataset("digits", seed=1)
    assert len(data.train_y) + len(data.test_y) + len(data.clean_y) == 1797
    assert (len(data.test_y), len(data.clean_y)) == (360, 100)
    np.testing.assert_array_equal(np.bincount(data.clean_y), [10] * 10)
    assert data.input_shape == (1, 8, 8)


def test_digits_are_what_the_packages_own_reader_gives() -> None:
    data, read = load_dataset("digits", seed=1), load_digits()
    pixels = (read.data / 16 - 0.3053) / 0.3761
    ours = np.concatenate([data.train_x, data.test_x, data.clean_x]).reshape(-1, 64)
    labels = np.concatenate([data.train_y, data.test_y, data.clean_y])
    for label in range(10):
        mine, theirs = ours[labels == label], pixels[read.target == label]
        np.testing.assert_allclose(_sorted(mine), _sorted(theirs), atol=1e-5)


def _sorted(samples: np.ndarray) -> np.ndarray:
    return samples[np.lexsort(np.round(samples, 3).T)]


def test_the_split_follows_the_seed() -> None:
    first, again, other = (load_dataset("digits", seed=seed) for seed in (1, 1, 2))
    assert first.test_x.tobytes() == again.test_x.tobytes()
    assert first.clean_x.tobytes() == again.clean_x.tobytes()
    assert first.test_x.tobytes() != other.test_x.tobytes()


@pytest.mark.parametrize("count", [0, 1, 7])
def test_fewer_clean_samples_leave_everybody_elses_as_they_are(count: int) -> None:
    whole, fewer = (
        load_dataset("digits", seed=1),
        load_dataset("digits", seed=1, clean_per_class=count),
    )
    for mine, same in ((whole.train_x, fewer.train_x), (whole.test_x, fewer.test_x)):
        assert mine.tobytes() == same.tobytes()
    assert rows(fewer)[2] <= rows(whole)[2]
    np.testing.assert_array_equal(np.bincount(fewer.clean_y, minlength=10), [count] * 10)


@pytest.mark.parametrize("count", [-1, 11])
def test_more_clean_samples_than_are_set_aside_are_refused(count: int) -> None:
    with pytest.raises(ConfigError, match=rf"clean_per_class = {count}: choose 0 … 10, so many"):
        load_dataset("digits", clean_per_class=count)


def test_stratified_draws_exactly_and_in_proportion() -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 21])
    drawn, left = stratified(labels, 10, np.random.default_rng(1))
    np.testing.assert_array_equal(np.bincount(labels[drawn]), [5, 3, 2])
    assert sorted([*drawn, *left]) == list(range(101))
    with pytest.raises(DataError, match="cannot draw"):
        stratified(labels, 101, np.random.default_rng(1))


def test_as_many_of_every_class_are_drawn_whatever_their_sizes() -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 6])
    drawn, left = per_class(labels, 5, np.random.default_rng(1))
    np.testing.assert_array_equal(np.bincount(labels[drawn]), [5, 5, 5])
    assert sorted([*drawn, *left]) == list(range(86))
    with pytest.raises(DataError, match="class 2 has 6 samples: 6 and at least one"):
        per_class(labels, 6, np.random.default_rng(1))


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(DataError, match=r"did you mean 'mnist5k'\? choose one of: digits"):
        load_dataset("mnist5")


def write_idx(folder: Path, prefix: str, images: np.ndarray, labels: np.ndarray) -> None:
    """MNIST's own file format (big-endian header, raw bytes)."""
    header = struct.pack(">IIII", 0x803, *images.shape)
    (folder / f"{prefix}-images-idx3-ubyte").write_bytes(header + images.tobytes())
    header = struct.pack(">II", 0x801, len(labels))
    (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())


@pytest.mark.parametrize(
    ("name", "kind", "white"),
    [
        ("mnist", "MNIST", (1 - 0.1307) / 0.3081),
        ("fashion_mnist", "FashionMNIST", (1 - 0.2860) / 0.3530),
    ],
)
def test_torchvision_s_sets_are_read_from_a_folder(
    tmp_path: Path, name: str, kind: str, white: float
) -> None:
    folder = tmp_path / kind / "raw"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    counts = {"train": 300, "t10k": 50}
    for prefix, count in counts.items():
        images = rng.integers(0, 256, (count, 28, 28)).astype(np.uint8)
        write_idx(folder, prefix, images, (np.arange(count) % 10).astype(np.uint8))
    data = load_dataset(name, tmp_path, seed=1)
    assert (len(data.train_y), len(data.clean_y), len(data.test_y)) == (200, 100, 50)
    np.testing.assert_array_equal(np.bincount(data.clean_y), [10] * 10)
    assert float(data.test_x.max()) == pytest.approx(white, rel=1e-6)


def test_mnist_that_cannot_be_had_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(DataError, match=r"ubyte\.gz files to .*raw or use dataset = mnist5k"):
        load_dataset("mnist", tmp_path / "empty", seed=1)


def test_damaged_mnist_files_are_a_data_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, _ in MNIST.resources:
        (folder / name).write_bytes(gzip.compress(b"not MNIST"))
    with pytest.raises(DataError, match="mnist5k"):
        load_dataset("mnist", tmp_path, seed=1)
