"""``auror report``: privacy against robustness, a point per dial value, intervals over seeds.

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
from scipy.stats import t as student

from auror import __version__
from auror.errors import ConfigError, DataError
from auror.experiments.files import write_text
from auror.experiments.sweep import Row, read_table
from auror.report.pages import template
from auror.report.plots import RC, svg_of

X = {
    "update_recovery": "privacy of updates: 1 − update recovery",
    "statistic_recovery": "privacy of statistics: 1 − statistic recovery",
}
Y = {"attack_success": "1 − attack success", "tpr": "poisoners found"}
_STYLE = {"attack_success": ("#0072B2", "o"), "tpr": ("#D55E00", "s")}
_CONFIDENCE = 0.95
_NEAR = 0.04


def write_tradeoff(folders: Sequence[Path], dial: str, out: Path) -> list[Row]:
    """Write the page ``out`` and its figure beside it; returns the points.

    Raises:
        ConfigError: a folder is no sweep, or no row has ``dial`` and what the figure needs.
        DataError: the page cannot be written.
    """
    rows = [row for folder in folders for row in read_table(folder)]
    points = summarise(rows, dial)
    svg = figure(points, dial)
    manifests = [(folder / "manifest.toml").read_text(encoding="utf-8") for folder in folders]
    page = template("tradeoff.html", number=_number).render(
        svg=svg, dial=dial, points=points, manifests=manifests, version=__version__,
        seeds=sorted({row["seed"] for row in rows}), runs=len(rows), out=str(out),
        folders=[str(folder) for folder in folders],
        failed=[row for row in rows if row["reason"] is not None],
    )  # fmt: skip
    try:
        write_text(out, page)
        write_text(out.with_suffix(".svg"), '<?xml version="1.0"?>\n' + svg)
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror}") from error
    return points


def summarise(rows: Sequence[Row], dial: str) -> list[Row]:
    """Means over the runs of every dial value, with half the width of their 95 % interval."""
    needed = (*X, *Y, "accuracy")
    usable = [row for row in rows if row["reason"] is None and row.get(dial) is not None]
    usable = [row for row in usable if all(row.get(name) is not None for name in needed)]
    if not usable:
        raise ConfigError(
            f"no row has {dial} with {', '.join(needed)}: sweep over {dial} with attackers and the"
            " defended run"
        )
    values = sorted({row[dial] for row in usable}, key=lambda value: (str(type(value)), value))
    points = []
    for value in values:
        found = [row for row in usable if row[dial] == value]
        point: Row = {dial: value, "runs": len(found)}
        for name in needed:
            point[name], point[f"{name} ±"] = interval([float(row[name]) for row in found])
        point["fpr"] = math.fsum(float(row["fpr"]) for row in found) / len(found)
        points.append(point)
    return points


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half the width of Student's 95 % interval; 0 for a single value."""
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, 0.0
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    quantile = float(student.ppf(0.5 + _CONFIDENCE / 2, len(values) - 1))
    return mean, quantile * math.sqrt(variance / len(values))


def figure(points: Sequence[Row], dial: str) -> str:
    """Two panels as SVG text."""
    with mpl.rc_context(RC):
        drawing = Figure(figsize=(9.6, 4.4), layout="constrained")
        FigureCanvasAgg(drawing)
        left, right = drawing.subplots(1, 2, sharey=True)
        for axes, x in ((left, "update_recovery"), (right, "statistic_recovery")):
            for y in Y:
                _line(axes, points, x, y)
            for (right_of, above), names in _labels(points, x, dial).items():
                axes.annotate(
                    names, (right_of, above), xytext=(0, 13), textcoords="offset points",
                    ha="center", fontsize=10,
                )  # fmt: skip
            axes.set_xlabel(X[x])
            axes.set_xlim(-0.04, 1.04)
            axes.set_ylim(-0.04, 1.12)
        left.set_ylabel("robustness")
        left.legend(frameon=False, loc="lower left")
        return svg_of(drawing, f"Privacy against robustness by {dial}")


def _labels(points: Sequence[Row], x: str, dial: str) -> dict[tuple[float, float], str]:
    """Dial values by place; those of points that nearly coincide stand together."""
    found: dict[tuple[float, float], list[str]] = {}
    for point in points:
        place = (1 - point[x], 1 - point["attack_success"])
        near = next((p for p in found if math.dist(p, place) < _NEAR), place)
        found.setdefault(near, []).append(str(point[dial]))
    return {place: " ".join(names) for place, names in found.items()}


def _line(axes: Any, points: Sequence[Row], x: str, y: str) -> None:
    colour, marker = _STYLE[y]
    up = [1 - point[y] if y == "attack_success" else point[y] for point in points]
    axes.errorbar(
        [1 - point[x] for point in points], up,
        xerr=[point[f"{x} ±"] for point in points], yerr=[point[f"{y} ±"] for point in points],
        color=colour, marker=marker, ms=6, lw=1.2, capsize=3,
        ls="-" if y == "attack_success" else "--", label=Y[y],
    )  # fmt: skip


def _number(value: float) -> str:
    return f"{value:.3f}"
