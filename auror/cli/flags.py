"""Flags made from parameter classes: name, type, default, meaning and range are the field's.

A flag that is not given is None, so that a command can tell what somebody asked for.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from auror.fields import FieldInfo, fields_of

F = TypeVar("F", bound=Callable[..., Any])
_TYPES: Mapping[Any, Any] = {int: int, float: float, Path: click.Path(path_type=Path)}


def flags_of(
    model: type, *only: str, leave_out: tuple[str, ...] = (), **texts: str
) -> Callable[[F], F]:
    """A flag per field of ``model``, or per field of ``only``; ``texts`` replaces meanings."""
    found = fields_of(model)
    names = [name for name in only or found if name not in leave_out]

    def decorate(command: F) -> F:
        for name in reversed(names):
            command = _flag(found[name], texts.get(name, found[name].meaning))(command)
        return command

    return decorate


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """What somebody asked for."""
    return {name: value for name, value in options.items() if value is not None}


def _flag(info: FieldInfo, meaning: str) -> Callable[[F], F]:
    words = [_sentence(meaning)]
    if info.kind is bool:
        flag = info.name.replace("_", "-")
        words.append(f"[default: {'' if info.default else 'no-'}{flag}]")
        return click.option(f"--{flag}/--no-{flag}", info.name, default=None, help="  ".join(words))
    if shown := _notes(info):
        words.append(f"[{'; '.join(shown)}]")
    kind = click.Choice(list(info.choices)) if info.choices else _TYPES.get(info.kind, str)
    return click.option(
        "--" + info.name.replace("_", "-"),
        info.name,
        type=kind,
        default=None,
        required=info.default is dataclasses.MISSING,
        help="  ".join(words),
    )


def _notes(info: FieldInfo) -> list[str]:
    notes = [] if info.range is None else [str(info.range)]
    if info.default in (dataclasses.MISSING, None, ""):
        return notes
    return [f"default: {info.default}", *notes]


def _sentence(text: str) -> str:
    """The first sentence, without the marks of the documentation."""
    return re.split(r"(?<=\.)\s+(?=[A-Z])", text.replace("``", ""), maxsplit=1)[0]
