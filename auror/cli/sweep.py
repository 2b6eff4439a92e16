"""``auror sweep``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auror.cli.shared import CHECK, FORMAT, epilog_with, one_line_errors, told
from auror.deployment.checks import Checklist, check_writable
from auror.experiments.engine import ENGINES, Engine
from auror.params import WORKERS

if TYPE_CHECKING:
    from auror.experiments.manifest import Manifest
    from auror.experiments.sweep import Shard

_PATH = click.Path(path_type=Path)


@click.command("sweep", epilog=epilog_with(1, "a cell failed"))
@click.argument("manifest", type=_PATH)
@click.option("--out", type=_PATH, required=True, help="Folder of the sweep; finished cells stay.")
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default=Engine.name,
    show_default=True,
    help="Who computes: processes here, or a Ray cluster.",
)
@click.option(
    "--address",
    default=None,
    metavar="HOST:PORT",
    help="Of the Ray cluster.  [default: RAY_ADDRESS, or the one of this machine]",
)
@click.option(
    "--workers",
    type=int,
    default=None,
    help=f"Cells at a time.  [default: {WORKERS}; on Ray one for each of its cores]",
)
@click.option(
    "--shard",
    default=None,
    metavar="I/N",
    help="Only every N-th cell from the I-th on.  [default: all cells]",
)
@CHECK
@FORMAT
@one_line_errors
def command(
    manifest: Path, out: Path, engine: str, address: str | None, workers: int | None,
    shard: str | None, only_check: bool, form: str,
) -> None:  # fmt: skip
    """Run the grid of MANIFEST (TOML), a row per cell in rows.csv and rows.parquet.

    Start it again after a break: only what is missing is computed.
    On several machines give each a --shard; then bring their cells/ together in one folder and
    start it once without.
    """
    from auror.experiments.manifest import check_data, check_settings  # noqa: PLC0415 - quick --help
    from auror.experiments.sweep import Shard, found_in, run_sweep  # noqa: PLC0415

    part, where = None if shard is None else Shard.parse(shard), Engine(engine, workers, address)

    if only_check:
        checks = Checklist(told, form)
        read = checks.run("manifest", lambda: _read(manifest, part), _counted)
        cells = [] if read is None else read[1]
        fine = None
        if read is not None:
            fine = checks.run("settings", lambda: check_settings(*read), _fine)
        if fine:
            checks.run("data and task", lambda: check_data(cells), _loaded)
        checks.run("engine", where.check, str)
        if checks.run("folder", lambda: check_writable("out", out), str) and cells:
            checks.run("cells", lambda: found_in(out, manifest, cells), str)
        sys.exit(checks.finish())

    report = run_sweep(manifest, out, where, lambda line: click.echo(line, err=True), part)
    if form == "json":
        click.echo(json.dumps(report.to_dict()))
    else:
        then = "see rows.csv" if part is None else "without --shard it makes rows.csv of all cells"
        click.echo(
            f"{out}: {report.cells} cells, {report.computed} computed now, {report.failed} failed,"
            f" {report.seconds:.0f} s; {then}"
        )
    if report.failed:
        sys.exit(1)


def _read(path: Path, part: Shard | None) -> tuple[Manifest, list[dict[str, Any]]]:
    from auror.experiments.manifest import load_manifest  # noqa: PLC0415 - as above
    from auror.experiments.sweep import cells_of  # noqa: PLC0415

    found = load_manifest(path)
    return found, cells_of(found, part)


def _counted(read: tuple[Manifest, list[dict[str, Any]]]) -> str:
    return f"{len(read[1])} cells"


def _fine(cells: int) -> str:
    return f"of {cells} cells"


def _loaded(choices: int) -> str:
    return f"{choices} different"
