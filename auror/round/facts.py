"""What must survive a crash, a type per fact, and the one place that turns facts into JSON.

A server appends facts to its journal (rule 4 of SECURITY.md); a client replaces its one fact,
:class:`ClientMemory` (rule 3). Nothing in a fact is secret.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, get_args, get_origin, get_type_hints

from auror.ids import ClientId, Digest, RoundId
from auror.round.client.memory import ClientMemory


@dataclass(frozen=True)
class RoundBegun:
    """Before anybody is invited."""

    round_id: RoundId
    transcript: Digest
    """T"""
    cohort: tuple[ClientId, ...]
    era: int
    step: int
    attempt: int
    model: Digest
    """Of the model that it trains: clients book attempts and totals on its step."""
    parent: Digest


@dataclass(frozen=True)
class UploadKept:
    """One client's masked input is spooled."""

    client: ClientId
    digest: Digest


@dataclass(frozen=True)
class DealersFixed:
    """Before U2 goes out."""

    dealt: tuple[ClientId, ...]


@dataclass(frozen=True)
class Attempted:
    """Before U2 goes out: clients may count an attempt at the model."""

    disputed: bool
    watched: bool
    """Its label rows are opened for certain."""


@dataclass(frozen=True)
class UploadsFixed:
    """Before U3 goes out."""

    digest: Digest
    """What clients sign in phase 3a."""


@dataclass(frozen=True)
class GroupsDrawn:
    """Before all r go out."""

    seed: bytes
    view: Digest
    """h"""
    groups: tuple[tuple[ClientId, ...], ...]
    """Whose statistics may be opened together from now on."""
    watched: bool
    """Label rows may be among them."""


@dataclass(frozen=True)
class SumsOpened:
    """Before the defence sees them."""

    sent: tuple[ClientId, ...]
    groups: tuple[tuple[ClientId, ...], ...]


@dataclass(frozen=True)
class SetAccepted:
    """Before A goes out."""

    accepted: tuple[ClientId, ...]


@dataclass(frozen=True)
class UnmaskingBegun:
    """Before the agreement goes out: clients may help to open a total."""


@dataclass(frozen=True)
class Marked:
    """Before a round is given up: who was proven to hold a liar."""

    marks: tuple[tuple[ClientId, ...], ...]


ServerFact = (
    RoundBegun
    | UploadKept
    | DealersFixed
    | Attempted
    | UploadsFixed
    | GroupsDrawn
    | SumsOpened
    | SetAccepted
    | UnmaskingBegun
    | Marked
)
Fact = ServerFact | ClientMemory

KINDS: Mapping[str, type[Fact]] = MappingProxyType(
    {
        "round": RoundBegun,
        "upload": UploadKept,
        "dealt": DealersFixed,
        "attempt": Attempted,
        "uploaded": UploadsFixed,
        "drawn": GroupsDrawn,
        "opened": SumsOpened,
        "accepted": SetAccepted,
        "unmasking": UnmaskingBegun,
        "marks": Marked,
        "memory": ClientMemory,
    }
)
"""The name of each fact in a journal."""

_NAMES = {kind: name for name, kind in KINDS.items()}
_hints = cache(get_type_hints)


def encode(fact: Fact) -> str:
    """One line of JSON: the fact's kind and its fields by name, bytes as hexadecimal."""
    return json.dumps({"kind": _NAMES[type(fact)], **_plain(fact)}, separators=(",", ":"))


def decode(line: str) -> Fact:
    """The inverse of :func:`encode`.

    Raises:
        ValueError: ``line`` is not what it wrote.
    """
    raw = json.loads(line)
    kind = KINDS.get(str(raw.get("kind"))) if isinstance(raw, dict) else None
    if kind is None:
        raise ValueError(f"not a fact: {line[:80]}")
    fact: Fact = _fact(kind, raw)
    return fact


def decode_memory(text: str) -> ClientMemory:
    """Raises ValueError when ``text`` is not an encoded memory."""
    match decode(text):
        case ClientMemory() as memory:
            return memory
        case other:
            raise ValueError(f"not a client's memory: {type(other).__name__}")


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    match value:
        case bytes():
            return value.hex()
        case tuple():
            return [_plain(one) for one in value]
        case Mapping():
            return {key: _plain(one) for key, one in value.items()}
        case _:
            return value


def _fact(kind: type, raw: Mapping[str, Any]) -> Any:
    try:
        return kind(**{name: _typed(hint, raw[name]) for name, hint in _hints(kind).items()})
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a {kind.__name__}: {error!r}") from error


def _typed(hint: Any, raw: Any) -> Any:
    """``raw``, as JSON has it, as a value of type ``hint``. Raises ValueError, TypeError."""
    hint = getattr(hint, "__supertype__", hint)  # ClientId is an int, Digest bytes
    if is_dataclass(hint) and isinstance(hint, type) and isinstance(raw, dict):
        return _fact(hint, raw)
    match get_origin(hint), raw:
        case type() as origin, list() if origin is tuple:
            return tuple(_typed(get_args(hint)[0], one) for one in raw)
        case type() as origin, dict() if origin is Mapping:
            return MappingProxyType({k: _typed(get_args(hint)[1], v) for k, v in raw.items()})
        case None, str() if hint is bytes:
            return bytes.fromhex(raw)
    if type(raw) is not hint:
        raise TypeError(f"{raw!r} where {hint} is due")
    return raw
