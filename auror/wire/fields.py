"""Checks of single wire fields. Everything that comes from a peer passes one of these first."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TypeVar, cast

import numpy as np

from auror.errors import ProtocolError
from auror.ids import DIGEST_BYTES, ClientId, Digest
from auror.recall import recalled
from auror.secagg.sharing import Share

Entry = TypeVar("Entry")

COMMITMENTS = 3
"""Shared secrets per dealer, hence digests per row of commitments."""
_LENGTH_DELIMITED = 2
_VARINT_BYTES = 10
NO_MESSAGE = "not a protobuf message of this protocol"
_UNCOUNTED_BYTES = 1 << 16
"""Of a body whose entries take 2 MB at most, however many they are."""
_ROW = struct.Struct(f"{DIGEST_BYTES}s" * COMMITMENTS)


class WireError(ProtocolError):
    """Bytes from a peer that are not a message of this protocol."""


def exact(name: str, raw: bytes, size: int) -> bytes:
    """``raw``, which must have ``size`` bytes."""
    if len(raw) != size:
        raise WireError(f"{name}: {len(raw)} bytes, {size} expected")
    return raw


def at_most(name: str, raw: bytes, size: int) -> bytes:
    """``raw``, which must have no more than ``size`` bytes."""
    if len(raw) > size:
        raise WireError(f"{name}: {len(raw)} bytes, at most {size} allowed")
    return raw


def words(name: str, raw: bytes, width: int, most: int) -> bytes:
    """``raw``: whole words of ``width`` bytes, at most ``most`` of them."""
    if len(raw) % width:
        raise WireError(f"{name}: {len(raw)} bytes are not words of {width}")
    return at_most(name, raw, most * width)


def digest(name: str, raw: bytes) -> Digest:
    return Digest(exact(name, raw, DIGEST_BYTES))


def digests(name: str, raw: bytes) -> tuple[Digest, ...]:
    """One row of commitments: three digests, one after the other."""
    row = _ROW.unpack(exact(name, raw, _ROW.size))
    return cast("tuple[Digest, ...]", row)  # 10^5 in a round


def proof(name: str, raw: bytes, known: int) -> tuple[Digest, ...]:
    """Hashes of a Merkle tree over at most ``known`` entries."""
    words(name, raw, DIGEST_BYTES, known)
    starts = range(0, len(raw), DIGEST_BYTES)
    return tuple(Digest(raw[start : start + DIGEST_BYTES]) for start in starts)


def share(name: str, raw: bytes) -> Share:
    try:
        return Share.from_bytes(raw)
    except ValueError as error:
        raise WireError(f"{name}: {error}") from error


def clients(name: str, ids: Sequence[int], known: int) -> tuple[ClientId, ...]:
    """``ids``: strictly increasing and below ``known``, the size of the roster."""
    last = -1
    for client in ids:
        if not last < client < known:
            raise WireError(f"{name}: client {client} is out of order or unknown")
        last = client
    return cast("tuple[ClientId, ...]", tuple(ids))


@recalled(16)  # the sets of a round, each in a message to everybody
def bitmap(clients: tuple[ClientId, ...]) -> bytes:
    """A set of clients: bit i of byte i // 8, from the lowest, is client i."""
    bits = np.zeros(max(clients, default=-1) + 1, dtype=np.uint8)
    bits[list(clients)] = 1
    return np.packbits(bits, bitorder="little").tobytes()


@lru_cache(maxsize=16)
def client_set(name: str, raw: bytes, known: int) -> tuple[ClientId, ...]:
    """The clients of a bitmap, sorted: all below ``known``, and no byte more than they take. The
    clients of a process are told the same sets, and hold them once."""
    if at_most(name, raw, (known + 7) // 8) and not raw[-1]:
        raise WireError(f"{name}: a bitmap that ends with an empty byte")
    bits = np.unpackbits(np.frombuffer(raw, dtype=np.uint8), bitorder="little")
    found = np.flatnonzero(bits).tolist()
    if found and found[-1] >= known:
        raise WireError(f"{name}: client {found[-1]} is unknown")
    return tuple(map(ClientId, found))


def entries(
    name: str, items: Sequence[Entry], key: Callable[[Entry], int], known: int
) -> Iterator[tuple[ClientId, Entry]]:
    """Entries of a map over clients, checked for order, duplicates and unknown clients."""
    ids = clients(name, [key(item) for item in items], known)
    return zip(ids, items, strict=True)


def one_of(name: str, value: int, lowest: int, highest: int) -> int:
    if not lowest <= value <= highest:
        raise WireError(f"{name}: {value} is outside {lowest} … {highest}")
    return value


def check_shape(name: str, body: bytes, number: int, most: int) -> None:
    """``body`` is one message in field ``number``, as :func:`embedded` writes it, with at most
    ``most`` fields of its own, which are counted where it is large.

    Before it is parsed: an entry of two bytes becomes an object of fifty, and those of all kinds
    are parsed, whichever is announced.

    Raises:
        WireError: it is another message, or has more fields. Of fields that cannot be parsed
            nothing is said.
    """
    tag = _varint(number << 3 | _LENGTH_DELIMITED)
    if not body.startswith(tag):
        raise WireError(f"announced as {name}, but it is another message")
    size, at = _read_varint(body, len(tag))
    if at + size != len(body):
        raise WireError(NO_MESSAGE)
    found = 0
    while at < len(body) and len(body) > _UNCOUNTED_BYTES:
        found += 1
        if found > most:
            raise WireError(f"{name}: more than {most} fields")
        at = _after_field(body, at)


def _after_field(body: bytes, at: int) -> int:
    """Where the field at ``at`` ends; beyond the body for what is none."""
    key, at = _read_varint(body, at)
    match key & 7:
        case 0:
            return _read_varint(body, at)[1]
        case 1:
            return at + 8
        case 2:
            size, at = _read_varint(body, at)
            return at + size
        case 5:
            return at + 4
        case _:  # groups are not of this protocol
            raise WireError(NO_MESSAGE)


def _read_varint(body: bytes, at: int) -> tuple[int, int]:
    """The number at ``at``, and where what follows it begins.

    Raises:
        WireError: it has no end.
    """
    value = 0
    for shift, septet in enumerate(body[at : at + _VARINT_BYTES]):
        value |= (septet & 0x7F) << 7 * shift
        if septet < 0x80:
            return value, at + shift + 1
    raise WireError(NO_MESSAGE)


def joined(parts: Iterable[bytes]) -> bytes:
    return b"".join(parts)


def embedded(number: int, *parts: bytes) -> bytes:
    """A message in field ``number`` of another one: tag, length, and ``parts`` of its encoding
    (https://protobuf.dev/programming-guides/encoding/#length-types)."""
    body = b"".join(parts)
    return b"".join((_varint(number << 3 | _LENGTH_DELIMITED), _varint(len(body)), body))


def _varint(value: int) -> bytes:
    septets = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([*(septet | 0x80 for septet in septets[:-1]), septets[-1]])
