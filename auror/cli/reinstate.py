"""``auror reinstate``."""

from __future__ import annotations

from pathlib import Path

import click

from auror.cli.operating import RUN, ask, ids, listed, tell
from auror.cli.shared import EPILOG, FORMAT, one_line_errors


@click.command("reinstate", epilog=EPILOG)
@RUN
@click.argument("clients", metavar="CLIENTS")
@FORMAT
@one_line_errors
def command(run: Path, clients: str, form: str) -> None:
    """Invite CLIENTS, such as "3,7-9", again, whom `auror exclude` left out.

    RUN is the run folder of an auror-server, on this machine and of this user.
    [default: runs/server] Whom the training itself flagged or excluded only a signed version of the
    policy readmits: `auror roster reinstate`.
    """
    said = ask(run, "reinstate", clients=ids(clients))
    tell(said, f"{run}: excluded by hand from the next round on: {listed(said['excluded'])}", form)
