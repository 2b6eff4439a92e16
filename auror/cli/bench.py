"""``auror bench``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from auror.cli.shared import EPILOG, FORMAT, one_line_errors, words_of
from auror.errors import ConfigError
from auror.files import make_writable


@click.command("bench", epilog=EPILOG)
@click.argument("sections", nargs=-1, metavar="[SECTION]...")
@click.option("--only", multiple=True,
              help="Sizes to measure, of those that the SECTIONs have, comma-separated, such as"
                   " 100x100000 of secagg; a wrong name is answered with all of them."
                   "  [default: all]")  # fmt: skip
@click.option("--reduced", is_flag=True, help="One small size per section: seconds.")
@click.option("--peer", default="",
              help="flwr: Flower's SecAgg+ beside section secagg, the same sizes; installed into"
                   " ~/.cache/auror/peers once (300 MB).  [default: nobody]")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), default=None,
              help="File for floors, rows and hardware (JSON; seconds and bytes).")  # fmt: skip
@FORMAT
@one_line_errors
def command(
    sections: tuple[str, ...],
    only: tuple[str, ...],
    reduced: bool,
    peer: str,
    out: Path | None,
    form: str,
) -> None:
    """Measure what each step of SECTIONs costs, beside the machine's own floors: key stream,
    X25519, Ed25519 and copying on one core and on two. Sections: secagg, round, train,
    defence.  [default: all]"""
    from auror.bench.speed import (  # noqa: PLC0415 - keeps --help quick
        SECTIONS,
        as_text,
        run_speed,
        write_report,
    )
    from auror.experiments.progress import StderrReporter  # noqa: PLC0415 - the same

    sizes = words_of("only", only)
    if out is not None:
        if out.exists() and not out.is_file():
            raise ConfigError(f"out = {out} is no regular file: name one, or a new one")
        make_writable(out.parent, "out")
    with StderrReporter() as reporter:
        report = run_speed(sections or tuple(SECTIONS), sizes, reduced, reporter, peer)
    click.echo(json.dumps(report.to_dict()) if form == "json" else as_text(report))
    if out is not None:
        write_report(report, out)
        click.echo(f"wrote {out}", err=True)
