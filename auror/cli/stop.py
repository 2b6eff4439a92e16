"""``auror stop``."""

from __future__ import annotations

from pathlib import Path

import click

from auror.cli.operating import RUN, ask, tell
from auror.cli.shared import EPILOG, FORMAT, one_line_errors


@click.command("stop", epilog=EPILOG)
@RUN
@click.option("--after-round", is_flag=True,
              help="Once the round in progress has ended: no work is lost.")  # fmt: skip
@FORMAT
@one_line_errors
def command(run: Path, after_round: bool, form: str) -> None:
    """End a running server before its training is over, as SIGTERM does; it ends with exit code 6.

    RUN is the run folder of an auror-server, on this machine and of this user.
    [default: runs/server] The round in progress is aborted unless its total is being opened, and
    clients are told. The same start goes on later. Where the last round of the training ends, the
    training is over, and so is the server, with exit code 0.
    """
    when = "once the round in progress has ended" if after_round else "now"
    said = ask(run, "stop", after_round=after_round)
    tell(said, f"{run}: the server ends {when}; start it again to go on", form)
