"""Small signed files: JSON of named texts and numbers, one text per content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from auror.errors import CredentialsError
from auror.files import replace_file

LARGEST = 16 << 20
"""Bytes: a policy of ten thousand members is a quarter of it."""


def canonical_json(content: Mapping[str, str | int]) -> bytes:
    """Sorted keys, no blanks."""
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def parse_canonical(raw: bytes, kinds: Mapping[str, type]) -> dict[str, str | int]:
    """``raw`` with exactly the keys of ``kinds``, each a ``str`` or an ``int``.

    Raises:
        ValueError: it is no such text.
    """
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError("no JSON") from error
    if not isinstance(found, dict) or found.keys() != kinds.keys():
        raise ValueError(f"not the fields {', '.join(sorted(kinds))}")
    for name, kind in kinds.items():
        if type(found[name]) is not kind:
            raise ValueError(f"{name} is no {kind.__name__}")
    if canonical_json(found) != raw:
        raise ValueError("not in canonical form")
    return found


def read_small(path: Path, made_by: str, most: int = LARGEST) -> bytes:
    """The content of ``path``, a file that ``made_by`` writes, of ``most`` bytes.

    Raises:
        CredentialsError: it is missing, cannot be read, or is larger than any such file.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(most + 1)
    except OSError as error:
        raise CredentialsError(
            f"cannot read {path}: {error.strerror}; name the file that {made_by} made"
        ) from error
    if len(raw) > most:
        raise CredentialsError(f"{path} is no file that {made_by} made: it is too large")
    return raw


def write_whole(path: Path, content: bytes) -> None:
    """Replace ``path`` whole. Raises CredentialsError: it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    except OSError as error:
        raise CredentialsError(f"cannot write {path}: {error.strerror}") from error
