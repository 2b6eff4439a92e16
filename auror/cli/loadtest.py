"""``auror loadtest``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from auror.cli.flags import flags_of, given
from auror.cli.shared import CHECK, EPILOG, FORMAT, one_line_errors
from auror.programs.load_report import as_text
from auror.programs.loadtest import LoadTest, run_loadtest


@click.command("loadtest", epilog=EPILOG)
@flags_of(LoadTest)
@click.option("--out", type=click.Path(path_type=Path),
              help="New folder that gets report.html and loadtest.json.")  # fmt: skip
@CHECK
@FORMAT
@one_line_errors
def command(form: str, only_check: bool, out: Path | None, **options: Any) -> None:
    """Many synthetic clients against the real server; checks that every total is exact."""
    if only_check:
        from auror.cli.checks import check_loadtest  # noqa: PLC0415

        sys.exit(check_loadtest(lambda: LoadTest(**given(options)), out))
    test = LoadTest(**given(options))
    if out is not None:
        from auror.files import claim_folder  # noqa: PLC0415

        claim_folder(out, "out")
    report = run_loadtest(test, lambda line: click.echo(line, err=True))
    if out is not None:
        from auror.report.load_page import write_load_report  # noqa: PLC0415 - matplotlib

        write_load_report(report.to_dict(), out)
        click.echo(f"report: {out / 'report.html'}", err=True)
    click.echo(json.dumps(report.to_dict()) if form == "json" else as_text(report))
    if not report.exact:
        sys.exit(1)
