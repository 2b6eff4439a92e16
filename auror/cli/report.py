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
@click.option(
    "--out",
    type=_PATH,
    default=None,
    help="Of sweeps: the page; figures go beside it as SVG.  [default: tradeoff.html]",
)
@FORMAT
@one_line_errors
def command(runs: tuple[Path, ...], dial: str | None, out: Path | None, form: str) -> None:
    """Write self-contained pages: report.html into each run folder RUN..., or one page on sweeps.

    RUN is a folder of simulate --out, of demo or of a server; or all of them are sweeps. On sweeps
    runs that differ in another dial than the seed and --dial stand in panels of their own.
    """
    from auror.errors import DataError  # noqa: PLC0415 - keeps --help quick
    from auror.experiments.progress import Heartbeat  # noqa: PLC0415

    if lost := next((run for run in runs if not run.is_dir()), None):
        raise DataError(f"{lost} is no folder: name that of a run or of a sweep")
    reading = f"reading {', '.join(map(str, runs))}"
    with Heartbeat(lambda silent: click.echo(f"{reading} … {silent:.0f} s", err=True)):
        from auror.report.any_page import report  # noqa: PLC0415 - takes seconds

        made = report(runs, dial, out)
    pages = ", ".join(map(str, made.pages))
    found = made.sweeps
    if form == "json":
        one = {"page": pages} if found else {"pages": [str(page) for page in made.pages]}
        click.echo(json.dumps({**one, **(found.to_dict() if found else {})}, allow_nan=False))
    elif found is None:
        click.echo(pages)
    else:
        apart = f" in {len(found.groups)} groups by {', '.join(found.facets)}"
        click.echo(
            f"{pages}: {found.runs} runs, {len(found.points)} points along {found.dial}"
            f"{apart if found.facets else ''}, {len(found.failed)} runs failed"
        )
