"""Own samples as a data set: splits, parts, what the operator's samples state, other scales."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from auror.errors import ConfigError, DataError, UserError
from auror.learn.own_data import DataSource, load_data
from auror.learn.samples import SampleSpec, read_samples
from auror.learn.scale import parse_range, to_raw_units
from auror.learn.standardisation import Standardisation

RNG = np.random.default_rng(1)
X = RNG.integers(0, 256, (200, 1, 4, 4)).astype(np.uint8)
Y = np.repeat([0, 1, 2, 3], [110, 60, 24, 6])


def save(path: Path, x: np.ndarray = X, y: np.ndarray = Y) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, x=x, y=y)
    return path


def rows(x: np.ndarray) -> set[bytes]:
    return {sample.tobytes() for sample in x}


@pytest.mark.parametrize("dealt", [True, False])
def test_one_path_is_split_without_overlap_and_every_part_has_every_class(
    tmp_path: Path, dealt: bool
) -> None:
    source = DataSource(path=save(tmp_path / "own.npz"))
    data, again, other = (load_data(source, seed, 3, dealt=dealt) for seed in (1, 1, 2))
    parts = {"test": data.test_x, "clean": data.clean_x, "train": data.train_x}
    sizes = {name: len(part) for name, part in parts.items()}
    assert sizes == (
        {"test": 40, "clean": 12, "train": 148} if dealt else {"test": 188, "clean": 12, "train": 0}
    )
    assert len(set.union(*map(rows, parts.values()))) == 200
    np.testing.assert_array_equal(np.bincount(data.clean_y), [3] * 4)
    assert set(data.test_y) == {0, 1, 2, 3}
    assert data.clean_x.tobytes() == again.clean_x.tobytes()
    assert data.clean_x.tobytes() != other.clean_x.tobytes()


def test_equal_samples_in_different_parts_are_counted(tmp_path: Path) -> None:
    assert load_data(DataSource(path=save(tmp_path / "own.npz")), 1, 3).notes == ()
    twice = save(tmp_path / "twice.npz", np.concatenate([X, X[:110]]), np.concatenate([Y, Y[:110]]))
    data = load_data(DataSource(path=twice), 1, 3)
    parts = [data.test_x, data.clean_x, data.train_x]
    held = [sample.tobytes() for part in parts for sample in part]
    elsewhere = [set.union(*(rows(other) for other in parts if other is not part))
                 for part in parts]  # fmt: skip
    count = sum(
        sample.tobytes() in others
        for part, others in zip(parts, elsewhere, strict=True)
        for sample in part
    )
    (note,) = data.notes
    assert f"{count} of {len(held)} samples are equal to one in another part (test, clean" in note
    assert load_data(DataSource(path=twice), 1, 3, dealt=False).notes == ()
    few = save(tmp_path / "few.npz", np.concatenate([X, X[:1]]), np.concatenate([Y, Y[:1]]))
    assert load_data(DataSource(path=few), 1, 3).notes == ()  # two of 201 at most


def test_scale_is_that_of_the_server_s_samples_alone(tmp_path: Path) -> None:
    x = X.astype(np.float64)
    data = load_data(DataSource(path=save(tmp_path / "a.npz", x)), 1, 4)
    servers = np.concatenate([data.test_x, data.clean_x])
    assert abs(float(servers.mean())) < 1e-3
    assert abs(float(servers.std()) - 1) < 1e-3
    assert data.standardisation.range == (0, 255)


def test_parts_in_a_folder_are_used_as_they_are(tmp_path: Path) -> None:
    save(tmp_path / "test.npz", X[::4], Y[::4])
    save(tmp_path / "clean.npz", X[1::4], Y[1::4])
    save(tmp_path / "train.npz", X[2::4], Y[2::4])
    source = DataSource(path=tmp_path)
    data = load_data(source, 1, 10)
    assert [len(part) for part in (data.test_y, data.clean_y, data.train_y)] == [50, 50, 50]
    np.testing.assert_array_equal(data.train_y, Y[2::4])
    assert len(load_data(source, 1, 0, dealt=False).clean_y) == 0


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no test": (lambda f: (f / "test.npz").unlink(), "holds clean, train but no test part"),
    "no clean": (lambda f: (f / "clean.npz").unlink(), "holds no clean part"),
    "no train": (lambda f: (f / "train.npz").unlink(), "holds no train part to deal"),
    "twice": (lambda f: save(f / "clean.npz", X[::4], Y[::4]), "50 of 50 samples of clean are in"),
    "a class left out": (
        lambda f: save(f / "clean.npz", X[1:110:4], Y[1:110:4]),
        "no clean sample of class 1, and of 3 classes in all",
    ),
    "two of a name": (lambda f: (f / "test.csv").write_text(""), "holds two parts test"),
    "another shape": (lambda f: save(f / "clean.npz", X[:, :, 1:], Y), "shape (1, 3, 4), the task"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_parts_that_do_not_fit_are_refused(tmp_path: Path, fault: str) -> None:
    for start, name in enumerate(("test", "clean", "train")):
        save(tmp_path / f"{name}.npz", X[start::4], Y[start::4])
    damage, says = FAULTS[fault]
    damage(tmp_path)
    with pytest.raises(DataError) as caught:
        load_data(DataSource(path=tmp_path), 1, 10)
    assert says in str(caught.value)


def test_too_few_samples_for_the_parts_are_said(tmp_path: Path) -> None:
    path = save(tmp_path / "own.npz", X[:5], np.array([0, 0, 0, 1, 1]))
    with pytest.raises(DataError, match=r"class 1 has 2 samples for 3 parts \(test, clean, client"):
        load_data(DataSource(path=path), 1, 2)
    path = save(tmp_path / "more.npz")
    for dealt, left in ((False, 6), (True, 5)):  # a fifth, one of the six, is for the test
        with pytest.raises(ConfigError, match=rf"class 3 has {left} samples.* 0 … {left - 1}, or"):
            load_data(DataSource(path=path), 1, left, dealt=dealt)
        assert np.bincount(load_data(DataSource(path=path), 1, left - 1, dealt=dealt).clean_y)[3]


def test_a_named_set_must_fit_the_task() -> None:
    with pytest.raises(ConfigError, match=r"samples of shape \(1, 8, 8\) in 10 .* \(3,\) in 2"):
        load_data(DataSource("digits"), 1, 10, SampleSpec((3,), 2))


# Scales -------------------------------------------------------------------------------------------

PIXELS = Standardisation(255, 0.5, 0.25)
UNIT = Standardisation(1, 0.5, 0.25, low=0, high=1)
COLUMNS = Standardisation(1, (50, 8), (10, 2))


def convert(x: np.ndarray, task: Standardisation, stated: str = "") -> np.ndarray:
    return to_raw_units(
        "own.npz", x.astype(np.float32), x.dtype.kind != "f", task, parse_range("range", stated)
    ).x


@pytest.mark.parametrize(
    ("x", "task", "stated"),
    [
        (X, PIXELS, ""),
        (X.astype(np.float32), PIXELS, ""),
        (X / 255, PIXELS, ""),
        (X / 51, PIXELS, "0:5"),
        (X / 127.5 - 1, PIXELS, "-1:1"),
    ],
    ids=["bytes", "floats", "0 … 1", "0 … 5", "−1 … 1"],
)
def test_other_scales_come_to_the_task_s_units(
    x: np.ndarray, task: Standardisation, stated: str
) -> None:
    np.testing.assert_allclose(convert(x, task, stated), X, atol=1e-4)
    if not stated:
        np.testing.assert_allclose(convert(x, UNIT), X / 255, atol=1e-6)


def test_a_dark_site_says_that_it_means_it() -> None:
    dark = X // 20
    with pytest.raises(DataError, match=r"lie in 0 … 12 \(median .* little of .* 0 … 255"):
        convert(dark, PIXELS)
    np.testing.assert_array_equal(convert(dark, PIXELS, "0:255"), dark)


@pytest.mark.parametrize(
    ("x", "stated", "says"),
    [
        (X * 16.0, "", "4080 .* 0 … 255: .* of 3200 are outside"),
        (X / 255 * 3 - 1, "", "little of the task's 0 … 255"),
        (-X.astype(np.float32), "", "-255 … 0"),
        (X, "0:1", "--data-range says 0 … 1"),
        (X.astype(np.uint8) % 2, "", "lie in 0 … 1"),
    ],
    ids=["12 bits", "standardised", "negative", "wrongly stated", "binary integers"],
)
def test_scales_that_do_not_fit_are_refused_with_the_numbers(
    x: np.ndarray, stated: str, says: str
) -> None:
    with pytest.raises(DataError, match=says):
        convert(x, PIXELS, stated)


def test_columns_in_another_unit_are_named() -> None:
    rows_ = RNG.normal((50, 8), (10, 2), (200, 2))
    assert to_raw_units("own.csv", rows_, False, COLUMNS, None).warnings == ()
    cents = rows_ * (1, 100)
    with pytest.raises(DataError, match=r"feature 2 has median 8\d\d.* the task's mean is 8 and"):
        to_raw_units("own.csv", cents, False, COLUMNS, None)
    (warning,) = to_raw_units("own.csv", rows_ + np.array([100, 0]), False, COLUMNS, None).warnings
    assert warning.startswith("own.csv: feature 1 has median 1")
    with pytest.raises(ConfigError, match=r"data_range has no effect: .*; leave it out"):
        to_raw_units("own.csv", rows_, False, COLUMNS, (0, 1))


def test_no_distribution_of_the_operator_s_own_is_warned_of() -> None:
    """Chebyshev: whatever the tails, its own samples lie within 3.2 deviations for 90 %."""
    for draw in (RNG.standard_cauchy, lambda n: RNG.pareto(0.5, n), lambda n: RNG.random(n) < 0.1):
        x = np.asarray(draw(5000), dtype=np.float64)[:, None]
        scale = Standardisation(1, (float(x.mean()),), (float(x.std()),))
        assert to_raw_units("own.csv", x, False, scale, None).warnings == ()


@pytest.mark.parametrize("text", ["1", "1:0", "0:nan", "a:b", "0:1:2", ":", "0-1"])
def test_a_range_is_written_low_to_high(text: str) -> None:
    with pytest.raises(UserError, match="write it as LOW:HIGH"):
        parse_range("data.range", text)


def test_what_is_stated_fits_its_own_samples(tmp_path: Path) -> None:
    path = save(tmp_path / "own.npz", X.reshape(200, 16) * np.arange(1, 17))
    spec = read_samples(path).spec()
    x, notes, warnings = spec.inputs(read_samples(path, spec))
    assert (notes, warnings) == ((), ())
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-3)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (8, 8), (1, 8, 8)])
def test_a_data_set_of_another_task_is_told_by_its_shape(shape: tuple[int, ...]) -> None:
    """Also where the task's constants cannot be applied to these samples."""
    each = tuple(0.5 for _ in range(shape[0]))
    task = SampleSpec(shape, 43, standardisation=Standardisation(255, each, each))
    with pytest.raises(ConfigError) as told:
        load_data(DataSource("digits"), 1, 10, task)
    assert str(told.value) == (
        "dataset = digits: samples of shape (1, 8, 8) in 10 classes, but the task is for"
        f" {shape} in 43: name the data that `auror certs` was given"
    )
