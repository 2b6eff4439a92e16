"""What all commands share: exit codes, one-line errors, ``--format``."""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import click

from auror.errors import UserError

P = ParamSpec("P")
R = TypeVar("R")

INTERRUPTED = 130
EPILOG = """\b
Exit codes:
  0    finished
  2    a setting or option cannot be used
  3    a certificate, key or policy is missing or does not fit
  4    a data set, run folder or other file cannot be loaded
  5    a port or peer cannot be reached, or a program did not come up
  130  interrupted
Results go to standard output, progress to standard error.
"""
FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json prints one JSON object on standard output and nothing else there.",
)


class Program(click.Group):
    """The whole command. A console that lacks a sign (cp1252 has no ≤) shows ? instead."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        return super().main(*args, **kwargs)


def one_line_errors(command: Callable[P, R]) -> Callable[P, R]:
    """A mistake of the operator is one line with the fix and an exit code, never a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except UserError as error:
            click.echo(f"auror: {' '.join(str(error).split())}", err=True)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("auror: interrupted", err=True)
            sys.exit(INTERRUPTED)

    return wrapped
