"""Replacing a file whole: after a crash a reader finds the old content or the new one."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def replace_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a temporary file beside ``path``, fsync it, rename it, fsync the folder.

    The new file has ``mode`` less the umask from its first byte on, whatever mode the old one had.
    Writers of one path do not disturb each other: one of them is the last.

    Raises:
        OSError: the disk takes nothing more, or the folder is gone; no temporary file is left.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
