"""``auror loadtest``."""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from auror.cli.flags import flags_of, given
from auror.cli.shared import CHECK, FORMAT, epilog_with, one_line_errors
from auror.errors import ConfigError
from auror.programs import load_hold, load_remote, load_text
from auror.programs.load_hold import HoldTest, run_hold
from auror.programs.load_remote import RemoteTest, run_remote
from auror.programs.loadtest import LoadTest, run_loadtest

ROWS = "loadtest.json"


@click.command("loadtest", epilog=epilog_with(1, "a total was not exact, or was not had"))
@flags_of(LoadTest)
@click.option("--hold", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
              help="Play no round: connect as many clients as open files allow, and hold them for"
                   " so long.")  # fmt: skip
@click.option("--server", metavar="HOST:PORT",
              help="Play the clients of a deployment that runs elsewhere, with --certs.",
              )  # fmt: skip
@click.option("--certs", type=click.Path(path_type=Path),
              help="Folder of that deployment, as `auror certs` made it; what its clients must not"
                   " forget is kept in loadtest/ there.")  # fmt: skip
@click.option("--dataset",
              help="With --server: what its clients train on, as `auror certs` was given it, e.g."
                   " digits.  [default: mnist5k, or what the task loads]")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path),
              help="New folder that gets loadtest.json and, of played rounds, report.html.",
              )  # fmt: skip
@CHECK
@FORMAT
@one_line_errors
def command(form: str, only_check: bool, out: Path | None, **options: Any) -> None:
    """Many synthetic clients against the real server; checks that every total is exact."""
    asked = given(options)
    if "server" in asked or "certs" in asked:
        sys.exit(_remote(form, only_check, out, asked))
    if "dataset" in asked:
        raise ConfigError("--dataset has no effect without --server: leave it out")
    if "hold" in asked:
        sys.exit(_hold(form, only_check, out, asked))
    if only_check:
        from auror.cli.checks import check_loadtest  # noqa: PLC0415

        sys.exit(check_loadtest(lambda: LoadTest(**asked), out, form))
    test = LoadTest(**asked)
    _claim(out)
    report = run_loadtest(test, _say)
    if out is not None:
        from auror.report.load_page import write_load_report  # noqa: PLC0415 - matplotlib

        write_load_report(report.to_dict(), out)
        click.echo(f"report: {out / 'report.html'}", err=True)
    click.echo(json.dumps(report.to_dict()) if form == "json" else load_text.as_text(report))
    sys.exit(0 if report.passed else 1)


def _hold(form: str, only_check: bool, out: Path | None, asked: dict[str, Any]) -> int:
    test = HoldTest(**_only(HoldTest, asked, "--hold"))
    if only_check:
        raise ConfigError("--check has no effect with --hold: leave it out")
    _claim(out)
    report = run_hold(test, _say)
    _end(form, out, report.to_dict(), load_hold.as_text(report))
    return 0


def _remote(form: str, only_check: bool, out: Path | None, asked: dict[str, Any]) -> int:
    for name in ("server", "certs"):
        if name not in asked:
            raise ConfigError(f"--{name} is missing: --server and --certs go together")
    test = RemoteTest(**_only(RemoteTest, asked, "--server"))
    if only_check:
        raise ConfigError("--check has no effect with --server: use `auror-client --check`")
    _claim(out)
    report = run_remote(test, _say)
    _end(form, out, report.to_dict(), load_remote.as_text(report))
    return report.exit_code


def _only(kind: type, asked: dict[str, Any], flag: str) -> dict[str, Any]:
    """``asked``, if all of it is for ``kind``."""
    known = {field.name for field in fields(kind)}
    for name in asked.keys() - known:
        option = "--" + name.replace("_", "-")
        raise ConfigError(f"{option} has no effect with {flag}: leave it out")
    return asked


def _say(line: str) -> None:
    click.echo(line, err=True)


def _claim(out: Path | None) -> None:
    if out is not None:
        from auror.files import claim_folder  # noqa: PLC0415

        claim_folder(out, "out")


def _end(form: str, out: Path | None, rows: dict[str, Any], text: str) -> None:
    if out is not None:
        from auror.experiments.files import write_json  # noqa: PLC0415

        write_json(out / ROWS, rows)
    click.echo(json.dumps(rows) if form == "json" else text)
