"""A file that is replaced whole."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from auror.files import replace_file

KILLED = """
import os, signal, sys
from pathlib import Path
from auror.files import replace_file
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
replace_file(Path(sys.argv[1]), b"new")
"""
"""Dies like a process without power: no handler, nothing cleaned up."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "kept.json"
    path.write_bytes(b"old")
    return path


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def only(path: Path) -> bool:
    return list(path.parent.iterdir()) == [path]


def test_the_new_content_is_there_and_nothing_else(old: Path) -> None:
    replace_file(old, b"new")
    assert old.read_bytes() == b"new"
    replace_file(old, b"")
    assert old.read_bytes() == b""
    assert only(old)


def test_what_holds_the_old_file_keeps_it(old: Path) -> None:
    with old.open("rb") as reader:
        replace_file(old, b"new")
        assert reader.read() == b"old"


@pytest.mark.parametrize(
    ("mask", "mode", "expected"),
    [(0o022, 0o644, 0o644), (0o077, 0o644, 0o600), (0o000, 0o600, 0o600), (0o022, 0o666, 0o644)],
)
def test_the_mode_is_the_one_asked_for_less_the_umask(
    old: Path, umask: Callable[[int], int], mask: int, mode: int, expected: int
) -> None:
    old.chmod(0o666)
    umask(mask)
    replace_file(old, b"new", mode)
    assert old.stat().st_mode & 0o777 == expected


def test_nobody_else_reads_it_before_it_has_its_name(
    old: Path, umask: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: seen.append(os.fstat(file).st_mode & 0o777))
    umask(0)
    replace_file(old, b"new", 0o600)
    assert seen[0] == 0o600


def test_the_content_is_durable_before_its_name_and_the_name_after(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[bool, bytes]] = []

    def fsync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        folder = os.path.samestat(found, old.parent.stat())
        assert folder or found.st_size == 3
        seen.append((folder, old.read_bytes()))

    monkeypatch.setattr(os, "fsync", fsync)
    replace_file(old, b"new")
    assert seen == [(False, b"old"), (True, b"new")]


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_what_fails_before_the_rename_leaves_the_old_file_and_no_litter(
    old: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left") as caught:
        replace_file(old, b"new")
    assert caught.value.filename == str(old)
    assert old.read_bytes() == b"old"
    assert only(old)


def test_what_is_not_bytes_leaves_the_old_file_and_no_litter(old: Path) -> None:
    with pytest.raises(TypeError):
        replace_file(old, "text")  # type: ignore[arg-type]
    assert old.read_bytes() == b"old"
    assert only(old)


def test_a_folder_that_cannot_be_made_durable_is_an_error(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content may be the new one by then; whoever asked is not told that it is safe."""

    def fsync(descriptor: int) -> None:
        if os.path.samestat(os.fstat(descriptor), old.parent.stat()):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output"):
        replace_file(old, b"new")
    assert only(old)


def test_killed_before_the_rename_the_old_file_stays_and_the_next_write_works(old: Path) -> None:
    child = subprocess.run([sys.executable, "-c", KILLED, str(old)], check=False)
    assert child.returncode == -signal.SIGKILL
    assert old.read_bytes() == b"old"
    replace_file(old, b"newer")
    assert old.read_bytes() == b"newer"


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "missing" / "x", b"new")


def test_what_is_no_regular_file_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(FileExistsError, match="no regular file") as caught:
        replace_file(pipe, b"new")
    assert (caught.value.filename, pipe.is_fifo()) == (str(pipe), True)
    assert list(tmp_path.iterdir()) == [pipe]
