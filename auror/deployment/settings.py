"""Settings of the two programs: a TOML file, then the environment, then flags; one model checks.

Later layers win. An unknown key is an error that names the nearest known one.
"""

from __future__ import annotations

import difflib
import enum
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from auror.errors import ConfigError

Tree = dict[str, Any]


class Section(BaseModel):
    """A part of the settings: frozen, and no key beside the declared ones."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


Model = TypeVar("Model", bound=Section)


def load(
    model: type[Model],
    path: Path | None,
    prefix: str,
    environment: Mapping[str, str],
    flags: Sequence[str] = (),
    moved: Mapping[str, str] = MappingProxyType({}),
) -> Model:
    """Build ``model`` from the file, ``PREFIX__SECTION__KEY`` variables and ``key=value`` flags.

    ``moved``: settings or sections that are none any more, and where they went.

    Raises:
        ConfigError: one line naming the source, the setting and the fix.
    """
    tree: Tree = {}
    known = _Known(tuple(_leaves(model)), moved)
    if path is not None:
        file = _read(path)
        _check_keys(file, model, known, str(path))
        _merge(tree, file)
    for name, value in sorted(environment.items()):
        if name.startswith(prefix + "__"):
            key = name[len(prefix) + 2 :].lower().replace("__", ".")
            _set(tree, model, known, key, value, name)
    given: dict[str, str] = {}
    for flag in flags:
        key, equals, value = flag.partition("=")
        if not equals:
            raise ConfigError(f"{flag}: write it as section.key=value")
        if key.strip() in given:
            raise ConfigError(
                f"{key.strip()} is set twice: {given[key.strip()]} and {flag}; leave one out"
            )
        given[key.strip()] = flag
        _set(tree, model, known, key.strip(), value.strip(), flag)
    return validated(model, tree, "" if path is None else f"{path}: ")


def validated(model: type[Model], tree: Mapping[str, Any], source: str = "") -> Model:
    """``tree`` as settings. Raises ConfigError: one line, after ``source``."""
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        shown = "" if first["type"] == "missing" else f" = {_shown(first['input'])}"
        raise ConfigError(f"{source}{key}{shown}: {message}") from error


def to_toml(settings: Section) -> str:
    """The settings as TOML, each key with its meaning above it."""
    lines: list[str] = []
    for name, info in type(settings).model_fields.items():
        section = getattr(settings, name)
        if not isinstance(section, Section):
            raise TypeError(f"{name} is not a section")
        lines += [f"# {line}" for line in (info.description or "").splitlines()]
        lines.append(f"[{name}]")
        for key, detail in type(section).model_fields.items():
            lines += [f"# {line}" for line in (detail.description or "").splitlines()]
            lines.append(f"{key} = {_toml(getattr(section, key))}")
        lines.append("")
    return "\n".join(lines)


def _read(path: Path) -> Tree:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # a byte order mark or none
    except FileNotFoundError as error:
        raise ConfigError(f"no configuration file {path}: name another one") from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def _leaves(model: type[BaseModel], above: str = "") -> Iterator[str]:
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, Section):
            yield from _leaves(info.annotation, f"{above}{name}.")
        else:
            yield above + name


@dataclass(frozen=True)
class _Known:
    """Settings that there are, and those that there were."""

    keys: tuple[str, ...]
    moved: Mapping[str, str]


def _check_keys(
    tree: Tree, model: type[BaseModel], known: _Known, source: str, above: str = ""
) -> None:
    for name, value in tree.items():
        info = model.model_fields.get(name)
        if info is None:
            key = above + name
            if key in known.moved and isinstance(value, dict) and value:
                key += f".{next(iter(value))}"
            siblings = [above + sibling for sibling in model.model_fields]
            raise _unknown(key, known, source, siblings)
        if isinstance(info.annotation, type) and issubclass(info.annotation, Section):
            if not isinstance(value, dict):
                raise ConfigError(f"{source}: {above}{name} is a section: write [{above}{name}]")
            _check_keys(value, info.annotation, known, source, f"{above}{name}.")


def _unknown(key: str, known: _Known, source: str, siblings: Sequence[str] = ()) -> ConfigError:
    went = known.moved.get(key, known.moved.get(key.partition(".")[0]))
    if went is not None:
        return ConfigError(f"{source}: {key} {went}")
    near = difflib.get_close_matches(key, [*siblings, *known.keys], 1, 0.5)
    if not near:  # the right name in the wrong section, or a bare name
        leaf = {candidate.rsplit(".", 1)[-1]: candidate for candidate in known.keys}
        near = [leaf[name] for name in difflib.get_close_matches(key.rsplit(".", 1)[-1], leaf, 1)]
    hint = f"did you mean {near[0]}?" if near else "print_config lists all keys"
    return ConfigError(f"{source}: unknown key {key}; {hint}")


def _set(
    tree: Tree, model: type[BaseModel], known: _Known, key: str, text: str, source: str
) -> None:
    if key not in known.keys:
        raise _unknown(key, known, source)
    *sections, leaf = key.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
    value = _value(text)
    # a port or a folder named 12 is text where text is meant
    tree[leaf] = text if _wants_text(model, key) and not isinstance(value, str) else value


def _wants_text(model: type[BaseModel], key: str) -> bool:
    kind: Any = model
    for name in key.split("."):
        kind = kind.model_fields[name].annotation
    return kind in (str, Path)


def _value(text: str) -> Any:
    """TOML where it parses (numbers, booleans, lists, quoted text), else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _merge(into: Tree, other: Tree) -> None:
    for key, value in other.items():
        if isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


def _shown(value: Any) -> str:
    return json.dumps(value, default=str)


def _toml(value: Any) -> str:
    if isinstance(value, enum.Enum):
        return _toml(value.value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(str(value))
