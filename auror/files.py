"""Replacing a file whole: after a crash a reader finds the old content or the new one. And
claiming a folder before a long run that will write into it."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from auror.errors import ConfigError


def replace_file(path: Path, content: bytes, mode: int = 0o644, *, durable: bool = True) -> None:
    """Write a temporary file beside ``path``, fsync it, rename it, fsync the folder; without the
    fsyncs where it need not be ``durable``: a crash of the machine may lose it then.

    The new file has ``mode`` less the umask from its first byte on, whatever mode the old one had.
    Writers of one path do not disturb each other: one of them is the last.

    Raises:
        OSError: the disk takes nothing more, the folder is gone, or a device or pipe is there; it
            names ``path``, and no temporary file is left.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):  # root may rename over /dev/null
        raise FileExistsError(errno.EEXIST, "no regular file is there", str(path))
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(descriptor)
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):  # a write that fails names no file
            error.filename, error.filename2 = str(path), None
        raise
    if durable:
        sync(path.parent)


def sync(path: Path) -> None:
    """What was written to the file ``path``, or renamed in the folder ``path``, survives a crash.

    Raises:
        OSError: the disk takes nothing more.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


Stamp = tuple[int, int, int]


def stamp_of(path: Path) -> Stamp | None:
    """Another one once the file has other content; None while it is being replaced."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


_LOOKING = ContextVar("looking", default=False)


@contextlib.contextmanager
def looking() -> Iterator[None]:
    """Inside it nothing may stay written: a check of what a start would load."""
    before = _LOOKING.set(True)
    try:
        yield
    finally:
        _LOOKING.reset(before)


def only_looking() -> bool:
    """Whether this is a check (``looking``)."""
    return _LOOKING.get()


def claim_folder(folder: Path, setting: str) -> None:
    """Make ``folder`` where it is not there, and write into it once: what cannot be written at
    the end of a run is found out at its start, and what is there is never overwritten.

    Raises:
        ConfigError: naming ``setting``; it holds something, or it cannot be made or written.
    """
    make_writable(folder, setting)
    if any(folder.iterdir()):
        raise ConfigError(
            f"{setting} = {folder} is not empty: choose a new folder, a run is never overwritten"
        )


def make_writable(folder: Path, setting: str) -> None:
    """Make ``folder`` where it is not there, and write into it once; what is there stays.

    Raises:
        ConfigError: naming ``setting``; it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{secrets.token_hex(8)}.new"
        replace_file(probe, b"")
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"{setting} = {folder}: no folder can be made or written there ({error.strerror});"
            " choose another one"
        ) from error
