"""``auror report`` on whatever it is given: a page per run folder, one page of all sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from auror.errors import ConfigError, DataError
from auror.experiments.finished import read_finished
from auror.experiments.runfolder import summary_of
from auror.experiments.sweep import CELLS, TABLE
from auror.report.grouping import Grouping
from auror.report.run_page import write_report
from auror.report.server_page import write_server_report
from auror.report.tradeoff import write_tradeoff

TRADEOFF = Path("tradeoff.html")
PAGE = "report.html"


@dataclass(frozen=True)
class Reported:
    """What was written."""

    pages: tuple[Path, ...]
    sweeps: Grouping | None
    """What the page of the sweeps shows; None where runs were reported."""


def report(folders: Sequence[Path], dial: str | None, out: Path | None) -> Reported:
    """Write ``out``, by default tradeoff.html of sweeps, or report.html in a run's folder.

    Raises:
        ConfigError: sweeps and runs at once, an option without effect, or see ``write_tradeoff``.
        DataError: a folder is neither, or the page cannot be written.
    """
    swept = [folder for folder in folders if (folder / TABLE).exists()]
    if swept and len(swept) == len(folders):
        page = out or TRADEOFF
        return Reported((page,), write_tradeoff(folders, dial, page))
    if swept:
        raise ConfigError(f"{swept[0]} is a sweep and others are runs: report them one by one")
    for folder in folders:
        if (folder / CELLS).is_dir():
            raise DataError(
                f"{folder} holds a sweep that is not complete: run `auror sweep` on it, over all"
                " cells and not a shard, until rows.parquet is there"
            )
    runs = [read_finished(folder) for folder in folders]
    given = next((run for run in runs if run.released is not None), None)
    if given is not None:
        raise ConfigError(
            f"{given.folder} is a client's: it saw no rounds to report; `auror export` and"
            " `auror evaluate` take its model"
        )
    if dial is not None:
        raise ConfigError(f"dial = {dial} has no effect on a run: leave it out, or name sweeps")
    if out is not None:
        raise ConfigError(
            f"out = {out} has no effect on a run: its page is {runs[0].folder / PAGE}"
        )
    for run in runs:
        kept = run.experiment
        if kept is None:
            write_server_report(run, run.folder / PAGE)
        else:
            result = replace(kept.result, task=run.task)
            write_report(run.folder, result, summary_of(result, run.folder), kept.manifest)
    return Reported(tuple(run.folder / PAGE for run in runs), None)
