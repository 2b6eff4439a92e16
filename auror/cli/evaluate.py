"""``auror evaluate``."""

from __future__ import annotations

from pathlib import Path

import click

from auror.cli.shared import EPILOG, FORMAT, one_line_errors


@click.command("evaluate", epilog=EPILOG)
@click.argument("run", type=click.Path(path_type=Path))
@FORMAT
@one_line_errors
def command(run: Path, form: str) -> None:
    """Load the run folder RUN, measure its model again and print the metrics."""
    from auror.cli.output import evaluated  # noqa: PLC0415 - keeps --help quick

    evaluated(run, form)
