"""``auror exclude``."""

from __future__ import annotations

from pathlib import Path

import click

from auror.cli.operating import RUN, ask, ids, listed, tell
from auror.cli.shared import EPILOG, FORMAT, one_line_errors


@click.command("exclude", epilog=EPILOG)
@RUN
@click.argument("clients", metavar="CLIENTS")
@FORMAT
@one_line_errors
def command(run: Path, clients: str, form: str) -> None:
    """Invite CLIENTS, such as "3,7-9", to no further round of a running server's training.

    RUN is the run folder of an auror-server, on this machine and of this user.
    [default: runs/server] They stay members: what they sent stays, and they count as missing for
    the floors that every client keeps, so only as many can be excluded as may be missing. Whoever
    is to count no more is revoked (`auror roster revoke`), which takes the operator's signature.
    """
    said = ask(run, "exclude", clients=ids(clients))
    tell(said, f"{run}: excluded by hand from the next round on: {listed(said['excluded'])}", form)
