"""Secrets, searched for where none may be: logs, databases, blobs, error texts, cores.

A secret is found as it is and in the forms in which programs write bytes and numbers: hexadecimal,
base64 (over line ends too), escapes, lists of numbers, one large number, float64 for float32, and
inside the cells of a database. Compressed data are not unpacked: nothing is written compressed.
"""

from __future__ import annotations

import base64
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray
from witness import read_secrets

_PREFIX = 8
_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(40)
_CORE = b"\x7fELF"
_PIECE = 1 << 24
_SQLITE = b"SQLite format 3\0"
_HEX = re.compile(rb"[0-9a-fA-F]{32,}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{40,}")
_LINE_END = re.compile(rb"(?<=[A-Za-z0-9+/])(?:\r?\n|\\n)(?=[A-Za-z0-9+/])")
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})|\\u00([0-9a-f]{2})|\\([nrt\\'\"])")
_PLAIN = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_NUMBER = rb"-?\d+(?:\.\d*)?(?:e[-+]?\d+)?"
_NUMBERS = re.compile(_NUMBER + rb"(?:[\s,]+" + _NUMBER + rb"){7,}")
_LARGE = re.compile(rb"\d{60,80}")


@dataclass(frozen=True)
class Hit:
    """A secret where it may not be."""

    path: Path
    kind: str
    form: str

    def __str__(self) -> str:
        return f"{self.path}: {self.kind} ({self.form})"


class Canaries:
    """What to search for: values of 16 bytes or more, by kind."""

    def __init__(self, secrets: Iterable[tuple[str, bytes]]) -> None:
        unique = {value: kind for kind, value in secrets if len(value) >= 2 * _PREFIX}
        values = sorted(unique, key=lambda value: int.from_bytes(value[:_PREFIX], "little"))
        self._values = values
        self._kinds = [unique[value] for value in values]
        self._keys = np.array(
            [int.from_bytes(value[:_PREFIX], "little") for value in values], dtype=np.uint64
        )
        self._likely = np.zeros(1 << 24, dtype=bool)
        self._likely[_mixed(self._keys)] = True

    def __len__(self) -> int:
        return len(self._values)

    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        return {kind: self._kinds.count(kind) for kind in sorted(set(self._kinds))}

    def some_of_each(self) -> list[bytes]:
        """One of each kind, to plant."""
        return [self._values[self._kinds.index(kind)] for kind in self.counts()]

    def search(self, root: Path, without: Iterable[Path] = ()) -> tuple[list[Hit], int]:
        """Everything below ``root``, but not below ``without``: hits, and bytes looked at."""
        left_out, hits, size = tuple(without), list[Hit](), 0
        for path in sorted(root.rglob("*")):
            if path.is_file() and not any(path.is_relative_to(one) for one in left_out):
                size += path.stat().st_size
                hits += self.search_file(path)
        return hits, size

    def search_file(self, path: Path) -> list[Hit]:
        found = self._in_file(path, path.read_bytes())
        return [Hit(path, kind, form) for kind, form in sorted(found)]

    def _in_file(self, path: Path, raw: bytes) -> set[tuple[str, str]]:
        found = self.in_bytes(raw)
        if raw.startswith(_SQLITE):
            cells = self.in_bytes(_joined(_cells(path)))
            found |= {(kind, f"{form}, in a cell") for kind, form in cells}
        return found

    def in_bytes(self, raw: bytes) -> set[tuple[str, str]]:
        """(kind, form) of what ``raw`` holds."""
        return {(kind, form) for form, data in _forms(raw) for kind in self._in(data)}

    def _in(self, data: bytes) -> set[str]:
        """Kinds of what ``data`` holds; a piece at a time, for memory's sake."""
        return {
            self._kinds[i]
            for begin in range(0, len(data), _PIECE)
            for shift in range(_PREFIX)
            for i in self._at(data, begin + shift)
        }

    def _at(self, data: bytes, offset: int) -> Iterator[int]:
        """Which secrets begin at ``offset``, ``offset`` + 8 … of ``data``, within one piece."""
        count = min(_PIECE, len(data) - offset) // _PREFIX
        if count <= 0:
            return
        keys: NDArray[np.uint64] = np.frombuffer(data, dtype="<u8", offset=offset, count=count)
        places = np.flatnonzero(self._likely[_mixed(keys)])
        begins = np.searchsorted(self._keys, keys[places], "left")
        ends = np.searchsorted(self._keys, keys[places], "right")
        for there in np.flatnonzero(begins < ends):
            at = offset + int(places[there]) * _PREFIX
            first, last = int(begins[there]), int(ends[there])
            yield from (i for i in range(first, last) if data.startswith(self._values[i], at))


def _mixed(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return (keys * _MIX) >> _SHIFT


def _forms(raw: bytes) -> Iterator[tuple[str, bytes]]:
    yield "as it is", raw
    if raw.startswith(_CORE):  # hundreds of megabytes of memory as it was
        return
    yield (
        "hexadecimal",
        _joined(
            bytes.fromhex(run[start : len(run) - (len(run) - start) % 2].decode())
            for run in _HEX.findall(raw)
            for start in (0, 1)
        ),
    )
    yield (
        "base64",
        _joined(
            _decoded(run[start:])
            for run in _BASE64.findall(_LINE_END.sub(b"", raw))
            for start in range(4)
        ),
    )
    if _ESCAPE.search(raw):
        yield "escaped", _ESCAPE.sub(_unescaped, raw)
    for run in _LARGE.findall(raw):
        value = int(run)
        yield "a number", value.to_bytes(34, "little")
        yield "a number", value.to_bytes(34, "big").lstrip(b"\0")
    for run in _NUMBERS.findall(raw):
        numbers = np.array([float(word) for word in re.split(rb"[\s,]+", run)])
        yield "numbers", numbers.astype("<f4").tobytes()
        if (numbers == np.floor(numbers)).all() and 0 <= numbers.min() <= numbers.max() < 2**32:
            yield "numbers", numbers.astype("<u4").tobytes()
            if numbers.max() < 256:
                yield "numbers", numbers.astype("u1").tobytes()


def _joined(parts: Iterable[bytes]) -> bytes:
    """One piece to search is much quicker than many short ones."""
    return b"\0".join(parts)


def _decoded(run: bytes) -> bytes:
    whole = run[: len(run) - (len(run) % 4 == 1)].translate(bytes.maketrans(b"-_", b"+/"))
    return base64.b64decode(whole + b"=" * (-len(whole) % 4))


def _unescaped(match: re.Match[bytes]) -> bytes:
    digits = match[1] or match[2]
    return bytes.fromhex(digits.decode()) if digits else _PLAIN.get(match[3], match[3])


def _cells(path: Path) -> Iterator[bytes]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            for row in database.execute(f'SELECT * FROM "{table}"'):
                for cell in row:
                    if isinstance(cell, str | bytes):
                        yield cell.encode() if isinstance(cell, str) else cell


def deployment_keys(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Private keys of everybody in a deployment's folder: TLS, identities, operator, CA."""
    for path in sorted(folder.rglob("*")):
        raw = path.read_bytes() if path.is_file() else b""
        if b"PRIVATE KEY" not in raw:
            continue
        key = serialization.load_pem_private_key(raw, password=None)
        if isinstance(key, Ed25519PrivateKey):
            yield (
                "operator's key" if "operator" in path.parts else "identity",
                key.private_bytes_raw(),
            )
        elif isinstance(key, EllipticCurvePrivateKey):
            yield "TLS key", key.private_numbers().private_value.to_bytes(32, "big")


def of_run(folder: Path) -> Canaries:
    """Everything secret of a run below ``folder`` whose programs ran under a witness."""
    return Canaries(_all(folder))


def _all(folder: Path) -> Iterator[tuple[str, bytes]]:
    yield from deployment_keys(folder / "certs")
    for path in sorted((folder / "seen").glob("*.secrets")):
        for kind, value in read_secrets(path):
            yield kind, value
            if kind == "update":
                yield kind, np.frombuffer(value, dtype="<f4").astype("<f8").tobytes()
    for path in sorted((folder / "inputs").glob("*.npy")):
        yield "quantised update", quantised(np.load(path))


def quantised(values: NDArray[np.uint32]) -> bytes:
    """Eight entries in a row, the first two of them not 0: what to search for."""
    start = np.flatnonzero((values[:-8] != 0) & (values[1:-7] != 0))[0]
    return values[start : start + 8].astype("<u4").tobytes()
