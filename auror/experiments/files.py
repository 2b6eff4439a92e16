"""Files that are whole or not there at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auror.errors import DataError
from auror.files import replace_file


def write_bytes(path: Path, content: bytes) -> None:
    """No reader ever sees half of it; folders are made where they are missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, content)


def write_text(path: Path, content: str) -> None:
    write_bytes(path, content.encode())


def write_json(path: Path, value: object) -> None:
    """Indented, and strict: NaN and infinity would not be JSON."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Raises DataError when the file is missing or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing: is {path.parent} a run folder?") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}") from error


def read_row(path: Path) -> dict[str, Any] | None:
    """The row of a table that is kept at ``path``, its ``reason`` in it; None: there is none, or it
    is damaged."""
    try:
        row = read_json(path)
    except DataError:
        return None
    return row if isinstance(row, dict) and "reason" in row else None


def name_of(key: Mapping[str, Any]) -> str:
    """A file name for what ``key`` describes: 24 hexadecimal digits of the SHA-256 of its
    canonical JSON."""
    text = json.dumps(dict(key), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
