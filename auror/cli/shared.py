"""What all commands share: exit codes, one-line errors, ``--format``."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from auror.deployment.console import one_line, say_machine_error, with_flags
from auror.entry import INTERRUPTED
from auror.errors import ConfigError, UserError, exit_code_of

P = ParamSpec("P")
R = TypeVar("R")

EPILOG = """\b
Exit codes:
  0    finished
  2    a setting or option cannot be used
  3    a certificate, key or policy is missing or does not fit
  4    a data set, run folder or other file cannot be loaded
  5    a port or peer cannot be reached, or a program did not come up
  11   the machine cannot go on: disk, memory, open files
  130  interrupted
Results go to standard output, progress to standard error.
"""


def epilog_with(code: int, meaning: str) -> str:
    """``EPILOG`` with a code that only some commands have, in its place."""
    lines = EPILOG.splitlines(keepends=True)
    after = next(k for k, line in enumerate(lines[2:], 2) if int(line.split()[0]) > code)
    return "".join([*lines[:after], f"  {code:<5}{meaning}\n", *lines[after:]])


def words_of(setting: str, given: tuple[str, ...]) -> list[str]:
    """What an option names that takes comma-separated words and may be given several times, each
    word once.

    Raises:
        ConfigError: it was given and names nothing, as an empty variable of a shell does.
    """
    words = [word.strip() for text in given for word in text.split(",") if word.strip()]
    if given and not words:
        raise ConfigError(f"{setting} = '' names nothing: leave it out, or name some")
    return list(dict.fromkeys(words))


FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json prints one JSON object on standard output and nothing else there.",
)
OUT = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="New run folder to write: configuration, rounds, verdict, model, report.",
)
CHECK = click.option(
    "--check",
    "only_check",
    is_flag=True,
    help="Load all that a start would load; say what is wrong and how to mend it.",
)
VERBOSE = click.option("--verbose", is_flag=True, help="Also print where the time went.")


def told(text: str) -> str:
    """An error of the library on one line, with the flags of the command that runs."""
    options = click.get_current_context().command.params
    flags = [one.opts[0] for one in options if isinstance(one, click.Option)]
    return with_flags(one_line(text), [flag.lstrip("-").replace("-", "_") for flag in flags])


def one_line_errors(command: Callable[P, R]) -> Callable[P, R]:
    """A mistake of the operator is one line with the fix and an exit code, never a traceback.

    The library's errors name fields; here they become the flags of the command that runs.
    """

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except UserError as error:
            click.echo(f"auror: {told(str(error))}", err=True)
            sys.exit(exit_code_of(error))
        except (OSError, MemoryError) as error:
            sys.exit(say_machine_error("auror", error))
        except KeyboardInterrupt:
            click.echo("auror: interrupted", err=True)
            sys.exit(INTERRUPTED)

    return wrapped
