"""``auror loadtest``."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from auror.cli.flags import flags_of, given
from auror.cli.shared import EPILOG, FORMAT, one_line_errors
from auror.programs.loadtest import LoadTest, as_text, run_loadtest


@click.command("loadtest", epilog=EPILOG)
@flags_of(LoadTest)
@FORMAT
@one_line_errors
def command(form: str, **options: Any) -> None:
    """Many synthetic clients against the real server; checks that every total is exact."""
    test = LoadTest(**given(options))
    report = run_loadtest(test, lambda line: click.echo(line, err=True))
    click.echo(json.dumps(report.to_dict()) if form == "json" else as_text(report))
    if not report.exact:
        sys.exit(1)
