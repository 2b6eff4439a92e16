"""``auror loadtest``."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from auror.cli.flags import flags_of, given
from auror.cli.shared import CHECK, EPILOG, FORMAT, one_line_errors
from auror.programs.loadtest import LoadTest, as_text, run_loadtest


@click.command("loadtest", epilog=EPILOG)
@flags_of(LoadTest)
@CHECK
@FORMAT
@one_line_errors
def command(form: str, only_check: bool, **options: Any) -> None:
    """Many synthetic clients against the real server; checks that every total is exact."""
    if only_check:
        from auror.cli.checks import check_loadtest  # noqa: PLC0415

        sys.exit(check_loadtest(lambda: LoadTest(**given(options))))
    test = LoadTest(**given(options))
    report = run_loadtest(test, lambda line: click.echo(line, err=True))
    click.echo(json.dumps(report.to_dict()) if form == "json" else as_text(report))
    if not report.exact:
        sys.exit(1)
