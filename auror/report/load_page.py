"""``report.html`` of a load test: phases, cores, memory, and what the rounds waited for."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from auror.errors import DataError
from auror.experiments.files import write_json, write_text
from auror.report.pages import template
from auror.report.plots import RC, svg_of
from auror.report.run_page import number

PAGE, ROWS = "report.html", "loadtest.json"
Report = Mapping[str, Any]
_SERVER, _SWARM, _OTHERS = ("#0072B2", "server"), ("#E69F00", "clients"), ("0.75", "others")
_TIMES = (("p50", "#56B4E9"), ("p95", "#0072B2"), ("longest", "#000000"))


def write_load_report(report: Report, folder: Path) -> None:
    """Write page and rows of ``report``, as ``LoadReport.to_dict`` has it, into ``folder``.

    Raises:
        DataError: they cannot be written.
    """
    try:
        write_json(folder / ROWS, dict(report))
        write_text(folder / PAGE, load_page(report))
    except OSError as error:
        raise DataError(f"cannot write into {folder}: {error.strerror}") from error


def load_page(report: Report) -> str:
    """The page as HTML."""
    moments = report["moments"]
    drawn = [
        (_phases(report["phases"]), "Seconds from the start of a phase to a client's answer."),
        (_cores(moments, report), "Cores at work, by whom; the line is what there is."),
        (_memory(moments), "Memory that the programs hold (resident), all processes of clients."),
    ]
    return template("load.html", number=number).render(
        report=report,
        test=report["test"],
        figures=[(svg, caption) for svg, caption in drawn if svg is not None],
    )


def _phases(phases: Mapping[str, Mapping[str, float]]) -> str:
    with mpl.rc_context(RC):
        figure, axes = _figure(0.42 * len(phases) + 1.2)
        names = list(phases)
        for offset, (which, colour) in enumerate(_TIMES):
            places = [row + 0.26 * (offset - 1) for row in range(len(names))]
            label = "whole phase, longest" if which == "longest" else which
            axes.barh(
                places, [phases[name][which] for name in names], 0.25, color=colour, label=label
            )
        axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("seconds")
        axes.legend(frameon=False, fontsize=10, loc="best")
        return svg_of(figure, "seconds per phase")


def _cores(moments: Sequence[Mapping[str, Any]], report: Report) -> str | None:
    if len(moments) < 3:
        return None
    times, server, swarm, others = [], [], [], []
    for before, after in itertools.pairwise(moments):
        span = after["seconds"] - before["seconds"]
        if span <= 0:
            continue
        times.append(after["seconds"])
        server.append(max(0.0, after["server_cpu"] - before["server_cpu"]) / span)
        swarm.append(max(0.0, sum(after["swarm_cpu"]) - sum(before["swarm_cpu"])) / span)
        whole = (after["machine_cpu"] - before["machine_cpu"]) / span
        others.append(max(0.0, whole - server[-1] - swarm[-1]))
    with mpl.rc_context(RC):
        figure, axes = _figure(3.2)
        styles = (_SERVER, _SWARM, _OTHERS)
        axes.stackplot(
            times, server, swarm, others,
            colors=[colour for colour, _ in styles], labels=[label for _, label in styles],
        )  # fmt: skip
        there_are = (report["cores"] or {}).get("all", report["machine"]["cores"])
        axes.axhline(there_are, color="black", lw=1, ls=":")
        axes.set_ylim(0, 1.3 * there_are)
        _rounds(axes, moments)
        axes.set_xlabel("seconds since the programs were started")
        axes.set_ylabel("cores")
        axes.legend(frameon=False, fontsize=10, loc="upper left", ncols=3)
        return svg_of(figure, "cores at work")


def _memory(moments: Sequence[Mapping[str, Any]]) -> str | None:
    if not moments:
        return None
    times = [one["seconds"] for one in moments]
    with mpl.rc_context(RC):
        figure, axes = _figure(3.0)
        for key, dash, (colour, label) in (
            ("server_rss", "-", _SERVER), ("swarm_rss", "--", _SWARM)
        ):  # fmt: skip
            axes.plot(times, [one[key] / 1e6 for one in moments], dash, color=colour, label=label)
        _rounds(axes, moments)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("seconds since the programs were started")
        axes.set_ylabel("MB")
        axes.legend(frameon=False, fontsize=10, loc="upper left")
        return svg_of(figure, "memory")


def _rounds(axes: Axes, moments: Sequence[Mapping[str, Any]]) -> None:
    """Where rounds were played."""
    for before, after in itertools.pairwise(moments):
        if before["playing"] and after["playing"]:
            axes.axvspan(before["seconds"], after["seconds"], color="0.93", lw=0, zorder=0)


def _figure(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.2, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()
