"""``auror replay``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from auror.cli.shared import EPILOG, FORMAT, one_line_errors


@click.command("replay", epilog=EPILOG)
@click.argument("run", type=click.Path(path_type=Path))
@FORMAT
@one_line_errors
def command(run: Path, form: str) -> None:
    """Repeat the gRPC run RUN from its recorded randomness and compare the models bit for bit."""
    from auror.experiments.progress import StderrReporter  # noqa: PLC0415 - keeps --help quick
    from auror.programs.replay import replay_run  # noqa: PLC0415

    with StderrReporter() as report:
        found = replay_run(run, report)
    if form == "json":
        click.echo(json.dumps(asdict(found)))
    else:
        verdict = "the same model, bit for bit" if found.equal else "ANOTHER MODEL"
        click.echo(f"{run}: {found.rounds} rounds replayed, {verdict}")
        if not found.equal:
            click.echo(f"first difference after round {found.first_difference}")
    if not found.equal:
        sys.exit(1)
