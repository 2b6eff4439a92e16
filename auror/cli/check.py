"""``auror check``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from auror.cli.shared import FORMAT, one_line_errors

_EPILOG = """\b
Exit codes:
  0  a start would work
  1  something is to be mended: the lines with ✗ say what, and how
  2  nothing could be checked: FILE cannot be read, or is of no program
"""


@click.command("check", epilog=_EPILOG)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@FORMAT
@one_line_errors
def command(file: Path, form: str) -> None:
    """Check what the configuration FILE needs, before a start: ✓, or ✗ with the fix, a line each.

    FILE is a server.toml or a client.toml; the program itself does it (`auror-server --check`,
    `auror-client --check`), with its variables of the environment, in this folder. A client also
    looks at its server, over the path that its rounds will take, and measures clock and uplink. For
    a server it is to be run where it is not running yet: its ports and run folder are in use then.
    """
    from auror.programs.check import check_file  # noqa: PLC0415 - keeps --help quick

    sys.exit(0 if check_file(file, form) else 1)
