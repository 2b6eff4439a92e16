"""``auror simulate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from auror.cli.flags import flags_of
from auror.cli.shared import CHECK, EPILOG, FORMAT, OUT, VERBOSE, one_line_errors
from auror.experiments.options import Options, experiment_config


@click.command("simulate", epilog=EPILOG)
@flags_of(Options)
@OUT
@VERBOSE
@CHECK
@FORMAT
@one_line_errors
def command(form: str, out: Path | None, verbose: bool, only_check: bool, **options: Any) -> None:
    """Train with attackers and defence in one process, without network."""
    if only_check:
        from auror.cli.checks import check_experiment  # noqa: PLC0415

        sys.exit(check_experiment(lambda: experiment_config(options), out, form))
    config = experiment_config(options)
    from auror.cli.output import show  # noqa: PLC0415 - keeps --help quick
    from auror.experiments.experiment import run_experiment  # noqa: PLC0415
    from auror.experiments.progress import StderrReporter  # noqa: PLC0415
    from auror.files import claim_folder  # noqa: PLC0415
    from auror.library.experiment import save_run  # noqa: PLC0415

    if out is not None:
        claim_folder(out, "out")
    with StderrReporter() as report:
        result = run_experiment(config, report)
    if out is not None:
        save_run(out, result)
    show(result, form, out, verbose)
