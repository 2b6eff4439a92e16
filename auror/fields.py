"""What a parameter class says about its fields: default, meaning and range, each written once.

A field's default is the class's, its meaning the docstring below it, its range an annotation
(``Annotated[int, Range(1)]``); ``Like(Other)`` takes meaning and range of the field of that name in
another class. Flags, help texts and error messages are made from these.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import itertools
import math
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from auror.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Range:
    """The values that a number may have; None where there is no end."""

    least: float | None = None
    most: float | None = None
    above: float | None = None
    """Larger than this, which is itself no value."""
    below: float | None = None

    def __contains__(self, value: float) -> bool:
        return (
            (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        """``1 or more``, ``0 … 0.5``, ``0 … 1, below 1``."""
        if self.above is not None and self.below is not None:
            return f"between {_short(self.above)} and {_short(self.below)}"
        low = self.least if self.above is None else self.above
        high = self.most if self.below is None else self.below
        edges = [
            *([f"above {self.above:g}"] if self.above is not None else []),
            *([f"below {self.below:g}"] if self.below is not None else []),
        ]
        if low is not None and high is not None:
            return ", ".join([f"{_short(low)} … {_short(high)}", *edges])
        if self.least is not None:
            return f"{_short(self.least)} or more"
        if self.most is not None:
            return f"at most {_short(self.most)}"
        return edges[0] if edges else "any number"


@dataclass(frozen=True, slots=True)
class Like:
    """The field means what the one of its name means in ``model``, and has its range."""

    model: type


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """One field of a parameter class."""

    name: str
    kind: Any
    """``int``, ``float``, ``str``, ``bool``, ``Path``, a ``Literal`` or another class."""
    optional: bool
    """Whether None is a value."""
    default: Any
    """``dataclasses.MISSING`` where there is none."""
    meaning: str
    """The docstring below the field, on one line; empty when its source is not at hand."""
    range: Range | None

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values of a ``Literal``, else nothing."""
        return typing.get_args(self.kind) if typing.get_origin(self.kind) is typing.Literal else ()


@functools.cache
def fields_of(model: type) -> Mapping[str, FieldInfo]:
    """Every field of the dataclass ``model``, in its order."""
    hints = typing.get_type_hints(model, include_extras=True)
    meanings = _meanings(model)
    found = {}
    for field in dataclasses.fields(model):
        kind, optional, extras = _taken_apart(hints[field.name])
        limits = next((extra for extra in extras if isinstance(extra, Range)), None)
        meaning = meanings.get(field.name, "")
        for like in (extra for extra in extras if isinstance(extra, Like)):
            other = fields_of(like.model)[field.name]
            limits, meaning = limits or other.range, meaning or other.meaning
        default = field.default
        if default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        found[field.name] = FieldInfo(field.name, kind, optional, default, meaning, limits)
    return types.MappingProxyType(found)


def default_of(model: type, name: str) -> Any:
    """The default of a field; KeyError when there is no such field."""
    return fields_of(model)[name].default


def check_fields(instance: object) -> None:
    """Every number of ``instance`` is of its type, finite and within its range.

    Raises:
        ConfigError: the first that is not, with its field, its value and the values to choose from.
    """
    model: type = type(instance)
    for name, info in _numbers(model):
        value = getattr(instance, name)
        if value is None and info.optional:
            continue
        if info.kind is int and type(value) is not int:
            raise ConfigError(f"{name} = {value}: give a whole number")
        if type(value) not in (int, float) or not math.isfinite(value):
            raise ConfigError(f"{name} = {value}: give a number")
        if info.range is not None and value not in info.range:
            raise ConfigError(f"{name} = {value}: choose {info.range}")
    for name, info in fields_of(model).items():
        if info.choices and (value := getattr(instance, name)) not in info.choices:
            raise ConfigError(f"{name} = {value}: choose of {', '.join(map(str, info.choices))}")


@functools.cache
def _numbers(model: type) -> tuple[tuple[str, FieldInfo], ...]:
    return tuple((n, info) for n, info in fields_of(model).items() if info.kind in (int, float))


def _taken_apart(hint: Any) -> tuple[Any, bool, list[Any]]:
    """Type, whether None is a value too, and what the annotation says beside."""
    extras: list[Any] = []
    optional = False
    while True:
        origin = typing.get_origin(hint)
        if origin is Annotated:
            hint, *more = typing.get_args(hint)
            extras += more
        elif origin in (typing.Union, types.UnionType) and type(None) in typing.get_args(hint):
            others = [part for part in typing.get_args(hint) if part is not type(None)]
            if len(others) != 1:
                return hint, True, extras
            optional, hint = True, others[0]
        else:
            return hint, optional, extras


def _meanings(model: type) -> dict[str, str]:
    found: dict[str, str] = {}
    for parent in reversed(model.__mro__[:-1]):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(parent)))
        except (OSError, TypeError, SyntaxError):
            continue  # a distribution without sources: help texts are shorter then
        found |= dict(_documented(tree.body[0]))
    return found


def _documented(tree: ast.AST) -> Iterator[tuple[str, str]]:
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    for field, after in itertools.pairwise(body):
        match field, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, " ".join(text.split())


def _short(value: float) -> str:
    return f"{int(value):,}" if float(value).is_integer() else f"{value:g}"
