"""``auror defend-bench``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from auror.cli.shared import FORMAT, epilog_with, one_line_errors, words_of
from auror.errors import ConfigError
from auror.files import make_writable

_SEEDS = 10


@click.command("defend-bench", epilog=epilog_with(1, "a row could not be computed"))
@click.option("--seeds", type=int, default=None,
              help="Trainings per setting.  [default: 10, 1 with --reduced]")  # fmt: skip
@click.option("--first-seed", default=1000, show_default=True,
              help="The first of them; thresholds come from 2–30, 200–211, 4000–4009.")  # fmt: skip
@click.option("--data-dir", type=click.Path(path_type=Path), default=None, envvar="AUROR_DATA",
              show_envvar=True,
              help="Folder that holds gtsrb.  [default: drawn signs instead]")  # fmt: skip
@click.option("--device", default=None,
              help="Where signs are trained; GPUs round differently.  [default: cpu]")  # fmt: skip
@click.option("--only", multiple=True, help="Sections, comma-separated.  [default: all]")
@click.option("--reduced", is_flag=True, help="A setting or two per section: minutes.")
@click.option("--collect", is_flag=True,
              help="Tables of the rows that are in the cache: compute no other.")  # fmt: skip
@click.option("--cache", type=click.Path(path_type=Path), default=Path("runs/defend-bench"),
              show_default=True, help="Where rows are kept, to go on after a break.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), default=None,
              help="Folder for the raw rows (CSV) and the tables (Markdown, JSON).")  # fmt: skip
@FORMAT
@one_line_errors
def command(
    seeds: int | None,
    first_seed: int,
    data_dir: Path | None,
    device: str | None,
    only: tuple[str, ...],
    reduced: bool,
    collect: bool,
    cache: Path,
    out: Path | None,
    form: str,
) -> None:  # fmt: skip
    """Measure the defence from seeds: calibration, frontier, label skew, adaptive attackers,
    real or drawn signs, seconds of a verdict."""
    from auror.bench.defence import (  # noqa: PLC0415 - keeps --help quick
        SECTIONS,
        as_text,
        check_bench,
        run_bench,
        write_rows,
    )
    from auror.bench.defence.rows import Bench  # noqa: PLC0415 - the same

    sections = words_of("only", only) or list(SECTIONS)
    if reduced and seeds is not None and seeds > 1:
        raise ConfigError(f"seeds = {seeds} has no effect with --reduced: leave it out")
    count = (1 if reduced else _SEEDS) if seeds is None else seeds
    for name, value, least in (("seeds", count, 1), ("first_seed", first_seed, 0)):
        if value < least:
            raise ConfigError(f"{name} = {value}: choose {least} or more")
    chosen = range(first_seed, first_seed + count)
    bench = Bench(
        cache,
        chosen,
        reduced,
        lambda line: click.echo(line, err=True),
        data_dir,
        device=device or Bench.device,
        collect=collect,
    )
    check_bench(sections, bench)
    if not collect:
        make_writable(cache, "cache")
    if out is not None:
        make_writable(out, "out")
    report = run_bench(sections, bench)
    click.echo(json.dumps(report.to_dict()) if form == "json" else as_text(report))
    if out is not None:
        for path in write_rows(report, out):
            click.echo(f"wrote {path}", err=True)
    if report.failures:
        click.echo(f"auror: {report.failures} rows could not be computed: see above", err=True)
        sys.exit(1)
