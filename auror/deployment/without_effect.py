"""Settings that change nothing beside others: an error, not a surprise after a day.

A program lists its cases in one table; what only a policy or a task tells is refused where that is
known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from auror.deployment.settings import Section
from auror.errors import ConfigError

Config = TypeVar("Config", bound=Section)


@dataclass(frozen=True, slots=True)
class WithoutEffect(Generic[Config]):
    """Settings that have no effect under a condition."""

    keys: tuple[str, ...]
    """``section.name`` each."""
    when: Callable[[Config], bool]
    why: str
    """What makes it so, e.g. "with session.defend = false"; settings in braces are filled in."""


def refuse_idle(config: Config, table: Iterable[WithoutEffect[Config]]) -> None:
    """Nothing in ``config`` is set that a case of ``table`` makes idle.

    A printed configuration lists all settings, so only a value that is not the default counts.

    Raises:
        ConfigError: the first such setting.
    """
    for case in table:
        if case.when(config):
            for key in case.keys:
                name, _dot, leaf = key.partition(".")
                section = getattr(config, name)
                value = getattr(section, leaf)
                if value != type(section).model_fields[leaf].default:
                    sections = {one: getattr(config, one) for one in type(config).model_fields}
                    raise ConfigError(
                        f"{key} = {value} has no effect {case.why.format(**sections)}: leave it out"
                    )
