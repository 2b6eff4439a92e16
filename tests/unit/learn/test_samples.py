"""Own samples: what npz files, tables and image folders give, and what broken ones are told."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sample_files import image, refused

from auror.errors import ConfigError, DataError
from auror.learn.readers import raw
from auror.learn.samples import SampleSpec, read_samples

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
    got = read_samples(path)
    assert got.x.dtype == (np.float64 if x.dtype == np.float64 else np.float32)
    assert got.y.dtype == np.int64
    assert got.whole == (x.dtype.kind != "f")
    np.testing.assert_array_equal(got.x, x)
    np.testing.assert_array_equal(got.y, y)


def header(shape: tuple[int, ...]) -> bytes:
    """An array of zeros that says it had ``shape``, with the bytes of 20 images."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    return buffer.getvalue() + X.tobytes()


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
    "text samples": (lambda: saved(x=X.astype("S3"), y=Y), "x holds |S3"),
    "a huge header": (lambda: zipped(x=header((10**13, 1, 8, 8)), y=npy(Y)), "x is damaged"),
    "a negative shape": (lambda: zipped(x=header((-20, 1, 8, 8)), y=npy(Y)), "x is damaged"),
    "more header than data": (lambda: zipped(x=header((21, 1, 8, 8)), y=npy(Y)), "x is damaged"),
    "records": (lambda: saved(x=X, y=np.zeros(20, [("a", "i4")])), "not real numbers"),
    "flat samples": (lambda: saved(x=X.reshape(-1)[:20], y=Y), "x must be"),
    "labels with two axes": (lambda: saved(x=X, y=Y[:, None]), "x must be"),
    "one label too few": (lambda: saved(x=X, y=Y[1:]), "x must be"),
    "no samples": (lambda: saved(x=X[:0], y=Y[:0]), "holds no samples"),
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
        read_samples(path)
    said = str(caught.value)
    assert said.startswith(f"--data = {path}: ")
    assert says in said
    assert "\n" not in said
    assert "pickle" not in said
    assert caught.value.exit_code == 4


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
            read_samples(path)
        except DataError as error:
            said.append(str(error))
    assert len(said) > 400
    assert not any("pickle" in line or "\n" in line for line in said)


def test_a_small_archive_that_grows_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "own.npz"
    np.savez_compressed(path, x=np.zeros((1000, 1, 28, 28)), y=np.zeros(1000))
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(raw, "MOST_BYTES", 2**20)
    with pytest.raises(DataError, match=r"x: its samples take 0.0 GiB .*name a smaller part"):
        read_samples(path)


# Tables -------------------------------------------------------------------------------------------


def table(folder: Path, text: str | bytes, name: str = "own.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        "a,b,y\n1,2.5,0\n-3,4e2,1\n",
        "\ufeffa,b,y\r\n1,2.5,0\r\n-3,4e2,1\r\n",
        "a;b;y\n1;2.5;0\n-3;4e2;1",
        "a\tb\ty\n1\t2.5\t0\n-3\t4e2\t1\n",
        'a | b|y\n1|2.5 |0\n\n"-3"| 4e2|1\n\n',
        "\ufeffa,b,y\n1,2.5,0\n-3,4e2,1\n".encode("utf-16-le"),
    ],
    ids=["commas", "BOM and CRLF", "semicolons", "tabs", "bars and blanks", "UTF-16"],
)
def test_tables_are_read_however_they_are_separated(tmp_path: Path, text: str | bytes) -> None:
    found = read_samples(table(tmp_path, text))
    np.testing.assert_array_equal(found.x, [[1, 2.5], [-3, 400]])
    np.testing.assert_array_equal(found.y, [0, 1])
    assert (found.features, found.names, found.y.dtype) == (("a", "b"), None, np.int64)


def test_any_column_holds_the_labels_and_words_name_classes(tmp_path: Path) -> None:
    path = table(tmp_path, "a,kind,b\n1,oak,2\n3,ash,4\n5,oak,6\n")
    found = read_samples(path, label_column="kind")
    np.testing.assert_array_equal(found.x, [[1, 2], [3, 4], [5, 6]])
    np.testing.assert_array_equal(found.y, [1, 0, 1])
    assert found.names == ("ash", "oak")
    spec = found.spec()
    site = table(tmp_path, "b,kind,a\n4,ash,3\n", "site.csv")
    other = read_samples(site, spec, label_column="kind")
    np.testing.assert_array_equal(other.x, [[3, 4]])  # the operator's order
    np.testing.assert_array_equal(other.y, [0])


BROKEN_TABLES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "is empty"),
    "header only": ("a,b,y\n", "a header and no rows"),
    "no header": ("1,2,0\n3,4,1\n", "first line holds a sample (1, ..., 0)"),
    "no header and words": ("1,2,u\n3,4,v\n5,6,u\n", "first line holds a sample (1, ..., u)"),
    "one column": ("y\n0\n1\n", "no column beside 'y'"),
    "unnamed column": ("a,,y\n1,2,0\n", "column 2 has no name"),
    "a name twice": ("a,a,y\n1,2,0\n", "two columns are named 'a'"),
    "ragged": ("a,b,y\n1,2,0\n1,0\n1,2,3,0\n", "line 3 has 2 cells, the header 3, and so have 2"),
    "text cell": ("a,b,y\n1,2,0\n1,north,0\n", "line 3, column 'b' is 'north', not a number"),
    "decimal commas": ("a;b;y\n1,5;2;0\n", "line 2, column 'a' is '1,5', not a number; write"),
    "empty cell": ("a,b,y\n1,,0\n", "line 2, column 'b' is empty"),
    "NaN cell": ("a,b,y\n1,nan,0\n", "line 2, column 'b' is nan, which cannot"),
    "infinite cell": ("a,b,y\n1,-inf,0\n", "line 2, column 'b' is -inf"),
    "too large": ("a,b,y\n1,1e39,0\n", "line 2, column 'b' is 1e39"),
    "digits with underscores": ("a,b,y\n1,1_0,0\n", "'1_0', not a number"),
    "no label": ("a,b,y\n1,2,\n", "line 2, column 'y' is empty: a row without a label"),
    "fraction": ("a,b,y\n1,2,0\n1,2,0.7\n", "line 3, column 'y' is 0.7, and 1 of 2 labels"),
    "negative": ("a,b,y\n1,2,-1\n", "line 2, column 'y' is -1"),
    "NaN label": ("a,b,y\n1,2,nan\n", "line 2, column 'y' is nan"),
    "mixed labels": ("a,y\n1,0\n1,b\n", "mixes numbers and words: line 2 is '0', line 3 is 'b'"),
    "a quote left open": ('a,b,y\n1,"2,0\n', "is no CSV"),
    "another encoding": ("a,größe,y\n1,2,0\n".encode("cp1252"), "line 1 is not UTF-8 text"),
    "binary": (bytes(range(256)), "is not UTF-8 text"),
    "half of UTF-16": ("\ufeffa,y\n1,0".encode("utf-16-le")[:-1], "is not UTF-8 text"),
    "an npz file": (GOOD, "is not UTF-8 text"),
}


@pytest.mark.parametrize("fault", BROKEN_TABLES)
def test_a_broken_table_is_one_line_with_the_place_and_the_fix(tmp_path: Path, fault: str) -> None:
    text, says = BROKEN_TABLES[fault]
    path = table(tmp_path, text)
    refused(path, says)


def test_a_label_column_is_named_or_refused(tmp_path: Path) -> None:
    path = table(tmp_path, "a,kind,b\n1,0,2\n")
    with pytest.raises(DataError, match=r"no label column 'kid', but 'a', 'kind', 'b'; did you"):
        read_samples(path, label_column="kid")
    archive = tmp_path / "own.npz"
    archive.write_bytes(GOOD)
    with pytest.raises(ConfigError, match="no effect: this is no CSV"):
        read_samples(archive, label_column="kind")


# Image folders ------------------------------------------------------------------------------------


def test_labels_beyond_the_task_s_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    path.write_bytes(GOOD)
    spec = SampleSpec((1, 8, 8), 8)
    refused(path, "y[8] is 8, and 4 of 20 labels are no class numbers; the task's classes", spec)
    rows = table(tmp_path, "a,b,y\n1,2,0\n1,2,3\n")
    refused(rows, "line 3, column 'y' is 3, and 1 of 2 labels", SampleSpec((2,), 3))
    named = SampleSpec((2,), 2, names=("ash", "oak"))
    words = table(tmp_path, "a,b,y\n1,2,ash\n1,2,elm\n", "words.csv")
    refused(words, "line 3, column 'y' is 'elm', which is none of the task's classes", named)
    image(tmp_path / "trees" / "elm" / "0.png")
    refused(
        tmp_path / "trees",
        "folder 'elm' is none of the task's classes, and so are 1 of 1 labels; name the classes",
        SampleSpec((1, 6, 4), 2, names=("ash", "oak")),
    )


def test_shapes_and_columns_must_be_the_task_s(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    path.write_bytes(GOOD)
    refused(path, "samples have shape (1, 8, 8), the task's (3, 8, 8)", SampleSpec((3, 8, 8), 10))
    image(tmp_path / "trees" / "0" / "0.png")
    refused(
        tmp_path / "trees",
        "0/0.png is 6x4 pixels with 1 channel, the task's samples are 8x8 pixels with 3 channels",
        SampleSpec((3, 8, 8), 10),
    )
    rows = table(tmp_path, "a,c,y\n1,2,0\n")
    spec = SampleSpec((2,), 2, features=("a", "b"))
    refused(rows, "has no column 'b': 1 of the task's 2 features are missing", spec)


def test_real_targets_are_read_where_the_task_has_no_classes(tmp_path: Path) -> None:
    rows = table(tmp_path, "a,y\n1,0.5\n2,-7\n")
    found = read_samples(rows, SampleSpec((1,), None))
    np.testing.assert_array_equal(found.y, np.float32([0.5, -7]))
    assert found.y.dtype == np.float32
    bad = table(tmp_path, "a,y\n1,0.5\n2,inf\n", "bad.csv")
    refused(bad, "line 3, column 'y' is inf, and 1 of 2 targets", SampleSpec((1,), None))


@pytest.mark.parametrize(
    ("labels", "says"),
    [([0, 2, 2], "no sample has label 1, and the largest is 2"), ([0, 0], "all samples are of")],
)
def test_the_operator_s_samples_have_every_class(
    tmp_path: Path, labels: list[int], says: str
) -> None:
    path = tmp_path / "own.npz"
    np.savez(path, x=X[: len(labels)], y=labels)
    with pytest.raises(DataError, match=says):
        read_samples(path).spec()


# What the system does not give --------------------------------------------------------------------


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    for name in ("none.npz", "none.csv", "none"):
        refused(tmp_path / name, "cannot be read (no such file or directory)")


def test_what_is_neither_file_nor_folder_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    refused(tmp_path / "pipe.csv", "is neither a file nor a folder")
    refused(Path("/dev/zero"), "is neither a file nor a folder")


@pytest.mark.parametrize("what", ["own.npz", "own.csv", "trees", "trees/oak", "trees/oak/0.png"])
def test_no_permission_is_said(tmp_path: Path, what: str) -> None:
    (tmp_path / "own.npz").write_bytes(GOOD)
    table(tmp_path, "a,b,y\n1,2,0\n")
    image(tmp_path / "trees" / "oak" / "0.png")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    (tmp_path / what).chmod(0)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)
        path = tmp_path / what.split("/", maxsplit=1)[0]
        refused(path, "cannot be read")
    finally:
        if root:
            os.seteuid(0)
        (tmp_path / what).chmod(0o755)


def test_a_file_of_another_kind_is_told_which_kinds_there_are(tmp_path: Path) -> None:
    path = tmp_path / "samples.toml"
    path.write_text("x = 1\n")
    refused(path, ", or name a .csv or .tsv file or a folder")
