"""``auror evaluate``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from auror.cli.shared import EPILOG, FORMAT, one_line_errors


@click.command("evaluate", epilog=EPILOG)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=None,
    help="Other samples: npz, CSV or image folder, or what the loader of a task of one's own takes."
    "  [default: the run's test samples; a client's own samples]",
)
@FORMAT
@one_line_errors
def command(run: Path, data: Path | None, form: str) -> None:
    """Load the run folder RUN, measure its model again and print the metrics.

    RUN is a folder of simulate --out, of demo or of a server, or a client's of the final model.
    """
    from auror.experiments.evaluate import evaluate_run  # noqa: PLC0415 - keeps --help quick
    from auror.experiments.finished import read_finished  # noqa: PLC0415

    found = evaluate_run(read_finished(run), data)
    if form == "json":
        click.echo(json.dumps(found, allow_nan=False))
        return
    for name, value in found.items():
        shown = f"{value:.4f}" if isinstance(value, float) else "–" if value is None else value
        click.echo(f"{name:<16}{shown}")
