"""Logs of both programs: key-value events on standard error, as text or JSON lines.

Secrets have redacted reprs and no event carries keys, masks, shares or updates (rule 6).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import structlog

from auror.deployment.console import one_line

LEVELS: Mapping[str, int] = MappingProxyType(
    {
        "debug": logging.DEBUG,
        "info": logging.INFO,
        "warning": logging.WARNING,
        "error": logging.ERROR,
    }
)
"""What a log says: debug has every phase of a round too."""


def configure(form: Literal["console", "json"], quiet: bool = False, verbose: bool = False) -> None:
    """Set up structlog for this process; ``quiet`` keeps warnings and errors only, ``verbose`` the
    phases of a round too."""
    level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=18)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _printable,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )


def level() -> str:
    """The name in ``LEVELS`` of what is said now."""
    now = structlog.get_config()["wrapper_class"]
    made = structlog.make_filtering_bound_logger
    return next((name for name, number in LEVELS.items() if made(number) is now), "debug")


def set_level(name: str) -> None:
    """From now on say what ``LEVELS`` has under ``name``, and worse."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(LEVELS[name]))


def _printable(
    _log: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """What a peer says reaches no terminal as its commands, and makes no further line."""
    return {key: one_line(said) if isinstance(said, str) else said for key, said in event.items()}


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    found: structlog.typing.FilteringBoundLogger = structlog.get_logger(component=name)
    return found
