"""``auror pause``."""

from __future__ import annotations

from pathlib import Path

import click

from auror.cli.operating import RUN, ask, tell
from auror.cli.shared import EPILOG, FORMAT, one_line_errors


@click.command("pause", epilog=EPILOG)
@RUN
@FORMAT
@one_line_errors
def command(run: Path, form: str) -> None:
    """Let a running server begin no further round until `auror resume`; the one in progress ends.

    RUN is the run folder of an auror-server, on this machine and of this user.
    [default: runs/server] Clients stay connected, and the pause outlasts a restart of the server.
    """
    tell(ask(run, "pause"), f"{run}: no round begins before `auror resume {run}`", form)
