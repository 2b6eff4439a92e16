"""``auror log``."""

from __future__ import annotations

from pathlib import Path

import click

from auror.cli.operating import RUN, ask, tell
from auror.cli.shared import EPILOG, FORMAT, one_line_errors
from auror.deployment.logs import LEVELS


@click.command("log", epilog=EPILOG)
@RUN
@click.option("--level", type=click.Choice([*LEVELS]), default=None,
              help="From now on; debug has all phases.  [default: only say which]")  # fmt: skip
@FORMAT
@one_line_errors
def command(run: Path, level: str | None, form: str) -> None:
    """Say, or choose, how much a running server writes to its log.

    RUN is the run folder of an auror-server, on this machine and of this user.
    [default: runs/server] After a restart the log is as the server's settings say.
    """
    said = ask(run, "log", level=level)
    tell(said, f"{run}: the log says {said['level']} and worse", form)
