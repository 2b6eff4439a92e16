"""``auror report``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from auror.cli.shared import EPILOG, FORMAT, one_line_errors

_PATH = click.Path(path_type=Path)


@click.command("report", epilog=EPILOG)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=_PATH)
@click.option(
    "--dial",
    default=None,
    help="Points lie along it.  [default: group_size, else a number that varies]",
)
@click.option("--out", type=_PATH, default=Path("tradeoff.html"), show_default=True,
              help="The page; the figures go beside it as SVG.")  # fmt: skip
@FORMAT
@one_line_errors
def command(runs: tuple[Path, ...], dial: str | None, out: Path, form: str) -> None:
    """Draw privacy against robustness from the sweeps RUN... into one self-contained page.

    Runs that differ in another dial than the seed and --dial stand in panels of their own.
    """
    from auror.report.tradeoff import write_tradeoff  # noqa: PLC0415 - keeps --help quick

    found = write_tradeoff(runs, dial, out)
    if form == "json":
        click.echo(json.dumps({"page": str(out), **found.to_dict()}, allow_nan=False))
    else:
        apart = f" in {len(found.groups)} groups by {', '.join(found.facets)}"
        click.echo(
            f"{out}: {found.runs} runs, {len(found.points)} points along {found.dial}"
            f"{apart if found.facets else ''}, {len(found.failed)} runs failed"
        )
