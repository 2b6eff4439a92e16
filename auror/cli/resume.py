"""``auror resume``."""

from __future__ import annotations

from pathlib import Path

import click

from auror.cli.operating import RUN, ask, tell
from auror.cli.shared import EPILOG, FORMAT, one_line_errors


@click.command("resume", epilog=EPILOG)
@RUN
@FORMAT
@one_line_errors
def command(run: Path, form: str) -> None:
    """Let a running server that was paused begin rounds again.

    RUN is the run folder of an auror-server, on this machine and of this user.
    [default: runs/server] A server that ended goes on with its run when it is started again.
    """
    tell(ask(run, "resume"), f"{run}: rounds begin again", form)
