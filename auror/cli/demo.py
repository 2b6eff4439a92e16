"""``auror demo``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click

from auror.cli.flags import flags_of
from auror.cli.shared import CHECK, EPILOG, FORMAT, OUT, VERBOSE, one_line_errors
from auror.errors import ConfigError
from auror.experiments.options import Options, experiment_config

_FAST_ROUNDS = 12
_RUNS = Path("runs")
_SIMULATED = (
    "aggregation", "rule", "detector", "error_rate", "alpha", "tau", "runs",
    "dropout_before", "dropout_after", "data", "label_column", "data_range",
)  # fmt: skip
"""Dials that a run with real programs has not."""


@click.command("demo", epilog=EPILOG)
@flags_of(Options, leave_out=_SIMULATED)
@click.option("--fast", is_flag=True, help=f"{_FAST_ROUNDS} rounds: a look in under a minute.")
@OUT
@VERBOSE
@CHECK
@FORMAT
@one_line_errors
def command(
    form: str, out: Path | None, verbose: bool, fast: bool, only_check: bool, **options: Any
) -> None:
    """Four runs; the defended one with server and clients as processes over gRPC and mTLS."""
    if fast and options["rounds"] is not None:
        raise ConfigError(f"rounds = {options['rounds']} and --fast contradict each other")
    chosen = {**options, "rounds": _FAST_ROUNDS} if fast else options
    if only_check:
        from auror.cli.checks import check_experiment  # noqa: PLC0415

        sys.exit(check_experiment(lambda: experiment_config(chosen), out, form, with_programs=True))
    config = experiment_config(chosen)
    from auror.cli.output import show  # noqa: PLC0415 - keeps --help quick
    from auror.experiments.progress import StderrReporter  # noqa: PLC0415
    from auror.library.experiment import save_run  # noqa: PLC0415
    from auror.programs.demo import run_demo  # noqa: PLC0415

    folder = out or _RUNS / time.strftime("demo-%Y%m%d-%H%M%S", time.gmtime())
    with StderrReporter() as report:
        result = run_demo(config, folder, report)
    save_run(folder, result)
    show(result, form, folder, verbose)
