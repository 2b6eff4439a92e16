"""``auror runs``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auror.cli.shared import EPILOG, FORMAT, one_line_errors

if TYPE_CHECKING:
    from auror.report.runs import RunLine


@click.command("runs", epilog=EPILOG)
@click.argument("folder", metavar="RUNS", type=click.Path(path_type=Path))
@FORMAT
@one_line_errors
def command(folder: Path, form: str) -> None:
    """List the trainings of a standing server: RUNS is the folder of `auror-server --runs`.

    `auror status RUNS/NNNN`, `auror report`, `auror export` and `auror audit` take each of them.
    """
    from auror.report.runs import list_runs  # noqa: PLC0415 - keeps --help quick

    found = list_runs(folder)
    if form == "json":
        click.echo(json.dumps(found.to_dict(), allow_nan=False))
        return
    click.echo(f"a server {'stands' if found.standing else 'does not stand'} on {folder}")
    for line in found.runs:
        click.echo(as_text(line))
    if not found.runs:
        click.echo(f"no training yet: auror start {folder} --rounds N")


def as_text(line: RunLine) -> str:
    """One line for people."""
    planned = "" if line.rounds_planned is None else f", {line.rounds_done}/{line.rounds_planned}"
    metrics = {k: v for k, v in (line.metrics or {}).items() if v is not None}
    known = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in metrics.items())
    flagged = ", ".join(map(str, line.flagged))
    parts = [
        f"{line.run}  {line.state}{planned}{' rounds' if planned else ''}",
        known,
        f"flagged {flagged}" if flagged else "",
        "" if line.why is None else f"exit code {line.code}: {line.why}",
    ]
    return "; ".join(part for part in parts if part)
