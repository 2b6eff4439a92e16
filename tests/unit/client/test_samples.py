"""Own samples: which settings select them, and what broken files are told."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from auror_client.config import load_config
from auror_client.samples import load_npz
from auror_client.trainer import TorchTrainer, make_trainers

from auror.deployment.settings import to_toml
from auror.errors import ConfigError, DataError
from auror.ids import ClientId

X, Y = np.zeros((20, 1, 8, 8), np.float32), np.arange(20) % 10


def saved(**arrays: object) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


GOOD = saved(x=X, y=Y)


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


# Which settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["file", "environment", "flag"])
def test_a_named_file_is_meant(tmp_path: Path, layer: str) -> None:
    path = tmp_path / "client.toml"
    path.write_text('[data]\nnpz = "own.npz"\n' if layer == "file" else "")
    environment = {"AUROR_CLIENT__DATA__NPZ": "own.npz"} if layer == "environment" else {}
    flags = ['data.npz="own.npz"'] if layer == "flag" else []
    config = load_config(path, environment, flags)
    assert (config.data.dataset, config.data.npz) == ("npz", "own.npz")


def test_printed_settings_select_the_same_data(tmp_path: Path) -> None:
    for flags in (["data.npz=own.npz"], [], ["data.dataset=synthetic"]):
        config = load_config(None, {}, flags)
        path = tmp_path / "printed.toml"
        path.write_text(to_toml(config))
        assert load_config(path, {}, []).data == config.data


@pytest.mark.parametrize(
    "flags",
    [
        ["data.npz=a.npz", "data.dataset=mnist5k"],
        ["data.npz=a.npz", "data.dataset=synthetic"],
        ["data.dataset=npz"],
        ["data.dataset=npz", 'data.npz=""'],
    ],
)
def test_settings_that_contradict_each_other_are_both_named(flags: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, {}, flags)
    assert "data.npz" in str(caught.value)
    assert "data.dataset" in str(caught.value)


@pytest.mark.parametrize(
    "flag",
    [
        "data.data_dir=there",
        "data.partition=shards:2",
        "data.parts=3",
        "data.part=0",
        "data.seed=2",
        "data.attack=flip:4:9",
        'data.malicious="0"',
    ],
)
def test_a_setting_without_effect_is_refused(flag: str) -> None:
    for choice in ("data.npz=a.npz", "data.dataset=synthetic"):
        with pytest.raises(ConfigError, match="has no effect") as caught:
            load_config(None, {}, [choice, flag])
        assert flag.partition("=")[0] in str(caught.value)
    assert load_config(None, {}, [flag]).data.dataset == "mnist5k"


# Which files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (X, Y),
        (X.astype(np.float64), Y.astype(np.float64)),
        (X.astype(np.uint8), Y.astype(np.uint8)),
        (X > 0, Y > 0),
        (np.asfortranarray(X), Y.astype(">i2")),
    ],
)
def test_plain_numbers_are_read(tmp_path: Path, x: np.ndarray, y: np.ndarray) -> None:
    path = tmp_path / "own.npz"
    np.savez_compressed(path, x=x, y=y, more=np.zeros(3))
    got_x, got_y = load_npz(path)
    assert (got_x.dtype, got_y.dtype) == (np.float32, np.int64)
    np.testing.assert_array_equal(got_x, x)
    np.testing.assert_array_equal(got_y, y)
    config = load_config(None, {}, [f'data.npz="{path}"'])
    assert isinstance(make_trainers(config, [ClientId(0)], 3)[ClientId(0)], TorchTrainer)


def changed(array: np.ndarray, place: tuple[int, ...], value: float) -> np.ndarray:
    array = array.astype(np.float64)
    array[place] = value
    return array


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "not an npz file"),
    "text": (lambda: b"x,y\n1,2\n", "not an npz file"),
    "a single array": (lambda: npy(X), "not an npz file"),
    "cut short": (lambda: GOOD[: len(GOOD) // 2], "cut short"),
    "a flipped byte": (lambda: GOOD[:900] + bytes([GOOD[900] ^ 255]) + GOOD[901:], "damaged"),
    "no x": (lambda: saved(y=Y), "no array x, only 'y'"),
    "no y": (lambda: saved(x=X, z=Y), "no array y, only 'x', 'z'"),
    "nothing": (zipped, "only nothing"),
    "text in the archive": (lambda: zipped(x=b"1,2,3", y=npy(Y)), "x is damaged"),
    "half an array": (lambda: zipped(x=npy(X)[:-9], y=npy(Y)), "x is damaged"),
    "objects": (lambda: saved(x=X, y=np.array([{}] * 20)), "y is damaged, or holds objects"),
    "complex": (lambda: saved(x=X * 1j, y=Y), "x holds complex64"),
    "dates": (lambda: saved(x=X, y=Y.astype("M8[D]")), "y holds datetime64"),
    "words": (lambda: saved(x=X, y=Y.astype("U3")), "y holds <U3"),
    "records": (lambda: saved(x=X, y=np.zeros(20, [("a", "i4")])), "not real numbers"),
    "flat samples": (lambda: saved(x=X.reshape(20, 64), y=Y), "x must be"),
    "one label too few": (lambda: saved(x=X, y=Y[1:]), "x must be"),
    "no samples": (lambda: saved(x=X[:0], y=Y[:0]), "x must be"),
    "a scalar": (lambda: saved(x=np.float32(1), y=np.int64(1)), "x must be"),
    "NaN in x": (lambda: saved(x=changed(X, (3, 0, 2, 1), np.nan), y=Y), "x[3, 0, 2, 1] is nan"),
    "inf in x": (lambda: saved(x=changed(X, (0, 0, 0, 7), -np.inf), y=Y), "x[0, 0, 0, 7] is -inf"),
    "too large": (lambda: saved(x=changed(X, (1, 0, 0, 0), 1e39), y=Y), "x[1, 0, 0, 0] is 1e+39"),
    "NaN label": (lambda: saved(x=X, y=changed(Y, (4,), np.nan)), "y[4] is nan"),
    "infinite label": (lambda: saved(x=X, y=changed(Y, (4,), np.inf)), "y[4] is inf"),
    "fraction": (lambda: saved(x=X, y=Y + 0.7), "y[0] is 0.7, and 20 of 20 labels"),
    "negative": (lambda: saved(x=X, y=Y - 1), "y[0] is -1, and 2 of 20 labels"),
    "beyond int64": (lambda: saved(x=X, y=Y.astype("u8") + np.uint64(1 << 63)), "y[0] is 922"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_file_is_one_line_with_the_file_and_the_fix(tmp_path: Path, fault: str) -> None:
    make, says = BROKEN[fault]
    path = tmp_path / "own.npz"
    path.write_bytes(make())
    with pytest.raises(DataError) as caught:
        load_npz(path)
    said = str(caught.value)
    assert said.startswith(f"data.npz = {path}: ")
    assert says in said
    assert "\n" not in said
    assert "pickle" not in said
    assert caught.value.exit_code == 4


def test_no_file_and_a_folder_are_said(tmp_path: Path) -> None:
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            load_npz(path)


def test_no_damage_gets_past_as_another_error(tmp_path: Path) -> None:
    """Headers, directory and data changed at random, within the archive (its checksums catch
    that) and within an array before it was packed (nothing but the reader catches that)."""
    rng = np.random.default_rng(1)
    path = tmp_path / "own.npz"
    plain = npy(X[:, :, :1, :1])
    small, said = zipped(x=plain, y=npy(Y)), list[str]()
    for trial in range(600):
        inside = bytearray(plain if trial % 2 else small)
        end = 128 if trial % 2 else len(inside)
        for place in rng.integers(0, end, size=rng.integers(1, 4)):
            inside[place] = rng.integers(256)
        path.write_bytes(zipped(x=bytes(inside), y=npy(Y)) if trial % 2 else bytes(inside))
        try:
            load_npz(path)
        except DataError as error:
            said.append(str(error))
    assert len(said) > 400
    assert not any("pickle" in line or "\n" in line for line in said)
