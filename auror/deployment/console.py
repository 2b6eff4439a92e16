"""What the three programs share at the console: any encoding, errors of one line, ✓ and ✗."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import click

from auror.entry import INTERRUPTED
from auror.errors import machine_error
from auror.registry import fault_in
from auror.version import __version__

OWN_CODE = 2
"""A setting named code that failed."""
HELP = {"help_option_names": ["-h", "--help"]}


class OneLine(click.Command):
    """A whole program. A mistake in its words, or in code that they name, is one line; a console
    that lacks a sign (cp1252 has no ≤, ASCII hardly anything) shows ? instead."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        tolerate_any_console()
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except click.UsageError as error:
            where = error.ctx.command_path if error.ctx is not None else self.name
            _end(self.name, f"{error.format_message()} See {where} --help", error.exit_code)
        except click.ClickException as error:
            _end(self.name, error.format_message(), error.exit_code)
        except click.Abort:
            _end(self.name, "interrupted", INTERRUPTED)
        except BrokenPipeError:  # `| head`: whoever read has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except Exception as error:
            if (said := fault_in(error)) is None:
                raise
            _end(self.name, f"{said} (in code of your own)", OWN_CODE)
        sys.exit(code if isinstance(code, int) else 0)


class CommandGroup(click.Group):
    """Commands, whose list holds the whole first sentence of each."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click's, which cuts it short."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [(name, one.get_short_help_str(1000)) for name, one in found if one is not None]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class Program(OneLine, CommandGroup):
    """A program with commands."""


VERSION = click.version_option(__version__, message="%(prog)s %(version)s")


class _Forgiving(io.FileIO):
    """Standard error that takes everything: what cannot be written is given up."""

    def write(self, content: Any, /) -> int:
        with contextlib.suppress(OSError):
            super().write(content)
        return len(memoryview(content).cast("B"))


def tolerate_any_console() -> None:
    """What standard output and error cannot encode becomes ``?`` and no error. Progress and logs
    that standard error does not take, on a full disk or after `| head`, cost no result."""
    error = sys.stderr
    if error is None:  # it was closed
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for good
    elif error is sys.__stderr__ and isinstance(error, io.TextIOWrapper):
        error.flush()
        raw = _Forgiving(error.fileno(), "wb", closefd=False)
        sys.stderr = io.TextIOWrapper(
            io.BufferedWriter(raw), error.encoding, line_buffering=True, write_through=True
        )
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def with_flags(text: str, options: Iterable[str]) -> str:
    """An error of the library, which names fields, as somebody with a command line reads it.

    ``rounds = 0: choose 1 or more`` becomes ``--rounds 0: …``, and ``group_size`` by itself
    ``--group-size``, for the names in ``options``; others stay.
    """
    for name in sorted(options, key=len, reverse=True):
        flag = "--" + name.replace("_", "-")
        text = re.sub(rf"(?<![\w.`\-]){re.escape(name)} = true\b", flag, text)
        text = re.sub(rf"(?<![\w.`\-]){re.escape(name)} = ", f"{flag} ", text)
        if "_" in name:
            text = re.sub(rf"(?<![\w.`\-]){re.escape(name)}(?![\w.])", flag, text)
    return text


def one_line(text: str) -> str:
    return printable(" ".join(text.split()))


def say_machine_error(program: str, error: OSError | MemoryError) -> int:
    """Say in one line what the machine that ``program`` runs on did; raises ``error`` where it is a
    fault of ours.

    Returns:
        The exit code.
    """
    said = machine_error(error)
    if said is None:
        raise error
    click.echo(f"{program}: {one_line(str(said))}", err=True)
    return said.exit_code


def printable(text: str) -> str:
    """What somebody else wrote reaches no terminal as its commands."""
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1] for sign in text
    )


def _end(name: str | None, text: str, code: int) -> NoReturn:
    click.echo(f"{name}: {one_line(text)}", err=True)
    sys.exit(code)
