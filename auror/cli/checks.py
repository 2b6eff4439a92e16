"""``--check`` of the commands that run long: load all that a start would, and say how it went."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from auror.cli.shared import told
from auror.deployment.checks import Checklist, check_unused

if TYPE_CHECKING:
    from auror.experiments.config import ExperimentConfig
    from auror.experiments.prepared import Prepared
    from auror.programs.loadtest import LoadTest


def check_experiment(
    settings: Callable[[], ExperimentConfig],
    out: Path | None,
    form: str,
    with_programs: bool = False,
) -> int:
    """Settings, data, task, device, run folder and report; ``with_programs``: the demo's processes.

    Returns:
        The exit code.
    """
    from auror.experiments.prepared import Prepared  # noqa: PLC0415 - keeps --help quick

    checks = Checklist(told, form)
    config = checks.run("settings", settings)
    if config is not None:
        for line in config.warnings:
            checks.warn(line)
        prepared = checks.run("data, task and device", lambda: Prepared.of(config), _prepared)
        if prepared is not None:
            for line in prepared.data.notes:
                checks.warn(line)
            checks.run("plan", prepared.check_statistics)
    if out is not None:
        checks.run("run folder", lambda: check_unused("out", out), str)
    checks.run("report", _load_report)
    if with_programs:
        _programs(checks)
    return checks.finish()


def check_loadtest(settings: Callable[[], LoadTest], out: Path | None, form: str) -> int:
    """Settings, open files, cluster, processes and report. Returns the exit code."""
    from auror.programs.loadtest import (  # noqa: PLC0415 - keeps --help quick
        check_cluster,
        open_files,
    )

    checks = Checklist(told, form)
    test = checks.run("settings", settings)
    if test is not None:
        checks.run("open files", lambda: open_files(test))
        if test.engine == "ray":
            checks.run("cluster", lambda: check_cluster(test), str)
    if out is not None:
        checks.run("report folder", lambda: check_unused("out", out), str)
        checks.run("report", _load_page)
    _programs(checks)
    return checks.finish()


def _programs(checks: Checklist) -> None:
    from auror.programs.processes import check_installed, scratch_folder  # noqa: PLC0415

    def scratch() -> Path:
        with scratch_folder() as folder:
            return folder.parent

    checks.run("server and client programs", check_installed)
    checks.run("folder for temporary files", scratch, str)


def _load_report() -> None:
    from auror.cli import output  # noqa: F401, PLC0415 - figures and templates load here


def _load_page() -> None:
    from auror.report import load_page  # noqa: F401, PLC0415 - figures and templates load here


def _prepared(found: Prepared) -> str:
    data = found.data
    classes = f"{len(data.train_y)} training samples in {data.classes} classes"
    return f"{data.name}, {classes}, on {found.device}"
