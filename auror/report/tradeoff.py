"""``auror report``: privacy against robustness, a panel per group of like runs, a point per dial
value, intervals over seeds.

x is what stays private: 1 − the R² with which the best linear estimator recovers a client's mean
update, or mean statistics, from everything opened. y is what stays robust: 1 − attack success, and
the part of the poisoners that was found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from auror.errors import DataError
from auror.experiments.files import write_text
from auror.experiments.sweep import MANIFEST, read_table
from auror.report.grouping import Group, Grouping, Mean, Point, group_rows, shown
from auror.report.pages import template
from auror.report.plots import RC, svg_of
from auror.version import __version__

X = {
    "update_recovery": "privacy of updates: 1 − update recovery",
    "statistic_recovery": "privacy of statistics: 1 − statistic recovery",
}
Y = {"attack_success": "1 − attack success", "tpr": "poisoners found"}
_STYLE = {"attack_success": ("#0072B2", "o"), "tpr": ("#D55E00", "s")}
_NEAR = 0.04
_ALONE = (4.8, 4.4)
_SMALL = (3.4, 3.0)
"""Inches of a panel: of a single group, and of one among several."""


def write_tradeoff(folders: Sequence[Path], dial: str | None, out: Path) -> Grouping:
    """Write the page ``out`` and its figures beside it; returns what it shows.

    Raises:
        ConfigError: a folder is no sweep, no such dial, or rows that contradict each other.
        DataError: the page cannot be written.
    """
    rows = [row for folder in folders for row in read_table(folder)]
    found = group_rows(rows, dial)
    drawn = figures(found)
    manifests = [(folder / MANIFEST).read_text(encoding="utf-8") for folder in folders]
    page = template("tradeoff.html", mean=_mean, shown=shown).render(
        figures=list(drawn.values()), found=found, manifests=manifests, version=__version__,
        seeds=sorted({row["seed"] for row in rows}), out=str(out),
        folders=[str(folder) for folder in folders], undrawn=undrawn(found),
    )  # fmt: skip
    try:
        for name, svg in drawn.items():
            own = out.with_suffix(".svg") if len(drawn) == 1 else out.with_name(
                f"{out.stem}-{name}.svg"
            )  # fmt: skip
            write_text(own, '<?xml version="1.0"?>\n' + svg)
        write_text(out, page)
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror}") from error
    return found


def undrawn(found: Grouping) -> list[str]:
    """Points that no panel shows, and why, a line each."""
    lines = []
    for group in found.groups:
        for point in group.points:
            lacking = [
                words
                for words, names in (("privacy account", X), ("attack to measure", Y))
                if all(point.means[name].value is None for name in names)
            ]
            if lacking:
                where = ", ".join(filter(None, (group.label, f"{found.dial} = {shown(point.at)}")))
                why = "every run failed" if not point.rows else f"no {' and no '.join(lacking)}"
                lines.append(f"{where}: {why}")
    return lines


def figures(found: Grouping) -> dict[str, str]:
    """Name → SVG text. One group: both kinds of privacy side by side. Several: a figure for each,
    the last facet in columns, the others in rows, on the same axes."""
    if len(found.groups) == 1:
        return {"both": _alone(found.groups[0], found.dial)}
    return {
        name: _multiples(found, x)
        for name, x in (("updates", "update_recovery"), ("statistics", "statistic_recovery"))
    }


def _alone(group: Group, dial: str) -> str:
    with mpl.rc_context(RC):
        drawing = Figure(figsize=(2 * _ALONE[0], _ALONE[1]), layout="constrained")
        FigureCanvasAgg(drawing)
        left, right = drawing.subplots(1, 2, sharey=True)
        for axes, x in ((left, "update_recovery"), (right, "statistic_recovery")):
            _panel(axes, group, x)
            axes.set_xlabel(X[x])
        left.set_ylabel("robustness")
        left.legend(frameon=False, loc="lower left")
        return svg_of(drawing, f"Privacy against robustness by {dial}")


def _multiples(found: Grouping, x: str) -> str:
    """Every group a panel, in the place that its facets have; what was not run stays blank."""
    *rest, last = found.facets
    columns = found.values(last)
    rows = list(dict.fromkeys(_place(group, rest) for group in found.groups))
    with mpl.rc_context({**RC, "font.size": 9}):
        size = (_SMALL[0] * max(len(columns), 2), _SMALL[1] * len(rows) + 0.5)
        drawing = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(drawing)
        grid = drawing.subplots(len(rows), len(columns), sharex=True, sharey=True, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for group in found.groups:
            row, column = rows.index(_place(group, rest)), columns.index(group.facets[last])
            axes = grid[row][column]
            axes.set_axis_on()
            axes.set_title("\n".join(f"{name} = {shown(v)}" for name, v in group.facets.items()),
                           fontsize=9)  # fmt: skip
            axes.tick_params(labelbottom=True, labelleft=True)
            if not _panel(axes, group, x):
                axes.text(0.5, 0.5, "nothing to draw:\nsee the table", ha="center", va="center")
        drawing.supxlabel(X[x])
        drawing.supylabel("robustness")
        handles = [_handle(y) for y in Y]
        drawing.legend(handles=handles, frameon=False, loc="outside upper right", ncols=2)
        facets = ", ".join(found.facets)
        return svg_of(drawing, f"{X[x].split(':')[0]} against robustness by {found.dial}; {facets}")


def _place(group: Group, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(shown(group.facets[name]) for name in names)


def _panel(axes: Any, group: Group, x: str) -> bool:
    """Both measures of robustness over ``x``; False when no point has both."""
    drawn = [_line(axes, group.points, x, y) for y in Y]
    for (right_of, above), names in _labels(group.points, x).items():
        axes.annotate(
            names, (right_of, above), xytext=(0, 13), textcoords="offset points",
            ha="center", fontsize=10,
        )  # fmt: skip
    axes.set_xlim(-0.04, 1.04)
    axes.set_ylim(-0.04, 1.12)
    return any(drawn)


def _robust(point: Point, y: str) -> float | None:
    value = point.means[y].value
    return 1 - value if y == "attack_success" and value is not None else value


def _labels(points: Sequence[Point], x: str) -> dict[tuple[float, float], str]:
    """Dial values by place; those of points that nearly coincide stand together."""
    found: dict[tuple[float, float], list[str]] = {}
    for point in points:
        private, heights = point.means[x].value, [_robust(point, y) for y in Y]
        above = next((height for height in heights if height is not None), None)
        if private is None or above is None:
            continue
        place = (1 - private, above)
        near = next((p for p in found if math.dist(p, place) < _NEAR), place)
        found.setdefault(near, []).append(shown(point.at))
    return {place: " ".join(names) for place, names in found.items()}


def _line(axes: Any, points: Sequence[Point], x: str, y: str) -> bool:
    places = [
        (1 - lost, height, point)
        for point in points
        if (height := _robust(point, y)) is not None and (lost := point.means[x].value) is not None
    ]
    if not places:
        return False
    colour, marker = _STYLE[y]
    axes.errorbar(
        [right for right, _, _ in places], [up for _, up, _ in places],
        xerr=[point.means[x].half or 0.0 for _, _, point in places],
        yerr=[point.means[y].half or 0.0 for _, _, point in places],
        color=colour, marker=marker, ms=6, lw=1.2, capsize=3, label=Y[y],
        ls="none" if any(isinstance(point.at, str) for point in points) else _dash(y),
    )  # fmt: skip
    return True


def _handle(y: str) -> Any:
    colour, marker = _STYLE[y]
    return mpl.lines.Line2D([], [], color=colour, marker=marker, ls=_dash(y), label=Y[y])


def _dash(y: str) -> str:
    return "-" if y == "attack_success" else "--"


def _mean(mean: Mean) -> str:
    if mean.value is None:
        return "–"
    return f"{mean.value:.3f}" + ("" if mean.half is None else f" ± {mean.half:.3f}")
