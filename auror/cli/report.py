"""``auror report``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from auror.cli.shared import EPILOG, FORMAT, one_line_errors

_PATH = click.Path(path_type=Path)


@click.command("report", epilog=EPILOG)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=_PATH)
@click.option("--dial", default="group_size", show_default=True, help="A point per value of it.")
@click.option("--out", type=_PATH, default=Path("tradeoff.html"), show_default=True,
              help="The page; the figure goes beside it as SVG.")  # fmt: skip
@FORMAT
@one_line_errors
def command(runs: tuple[Path, ...], dial: str, out: Path, form: str) -> None:
    """Draw privacy against robustness from the sweeps RUN... into one self-contained page."""
    from auror.report.tradeoff import write_tradeoff  # noqa: PLC0415 - keeps --help quick

    points = write_tradeoff(runs, dial, out)
    if form == "json":
        click.echo(json.dumps({"page": str(out), "points": points}))
    else:
        click.echo(f"{out}: {len(points)} points")
