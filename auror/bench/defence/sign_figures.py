"""Figures of what is new with many classes: the calibration curve, and a cohort by class.

``auror defend-bench --out`` writes the first beside its rows; ``scripts/decoded_cohort.py
--data-dir`` the second.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from auror.bench.defence.figures import strips
from auror.bench.defence.rows import Row
from auror.report.plots import RC, svg_of

Array = NDArray[np.float64]

_NONE = 0.002
"""Where an observed rate of 0 is drawn, on a logarithmic axis."""
_WAYS = (
    ("iid", "#0072B2", "o", "equally dealt"),
    ("dirichlet:1.0", "#D55E00", "s", "Dirichlet 1.0"),
    ("dirichlet:0.5", "#009E73", "^", "Dirichlet 0.5"),
    ("all", "#000000", "D", "all"),
)


def calibration_figure(rows: Sequence[Row]) -> str | None:
    """Stated against observed error rates, as SVG; None without such rows.

    ``rows``: the table of ``calibration.summarise``. A panel per data set, and one of all trainings
    together; bars are the 95 % intervals over trainings. Above the diagonal more alarms than stated
    were seen. A rate of 0 stands on the lowest line.
    """
    if not rows:
        return None
    panels = list(dict.fromkeys(str(row["dataset"]) for row in rows))
    with mpl.rc_context(RC):
        figure = Figure(figsize=(2.6 * max(len(panels), 2), 3.6), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)
        drawn = set()
        for axes, dataset in zip(grid.flat, panels, strict=True):
            here = [row for row in rows if row["dataset"] == dataset]
            axes.plot([_NONE, 1.0], [_NONE, 1.0], color="0.45", ls=(0, (4, 3)), lw=1.2, zorder=1)
            for nth, (way, colour, marker, told) in enumerate(_WAYS):
                mine = [r for r in here if str(r["partition"]).replace("-samples", "") == way]
                if mine:
                    drawn.add((colour, marker, told))
                    _points(axes, mine, 1.12 ** (nth - 1) if way != "all" else 1.0, colour, marker)
            count = sum(row["trainings"] for row in here if row["alpha"] == here[0]["alpha"])
            name = "all" if dataset == "all" else dataset
            axes.set_title(f"{name}, {count} trainings", fontsize=10)
            axes.set_xscale("log")
            axes.set_yscale("log")
            nominal = sorted({row["alpha"] for row in rows})
            axes.set_xticks(nominal, [f"{alpha:g}" for alpha in nominal])
            ticks = [0.01, 0.03, 0.1, 0.3, 1.0]
            axes.set_yticks([_NONE, *ticks], ["0", *(f"{tick:g}" for tick in ticks)])
            axes.minorticks_off()
            axes.set_xlim(0.006, 0.5)
            axes.set_ylim(_NONE / 1.3, 1.2)
            axes.set_xlabel("stated α")
            axes.set_ylabel("observed")
            axes.label_outer()
        figure.suptitle(
            "part of draws that alarm, nobody lying; bars: 95 % over trainings", fontsize=11
        )
        handles = [
            Line2D([], [], color=colour, marker=marker, ms=5, lw=0, label=told)
            for _way, colour, marker, told in _WAYS
            if (colour, marker, told) in drawn
        ]
        figure.legend(
            handles=handles, loc="outside lower center", ncols=len(handles), frameon=False,
            fontsize=10,
        )  # fmt: skip
        return svg_of(figure, "stated against observed rates of false alarms, with intervals")


def _points(axes: Axes, rows: Sequence[Row], shift: float, colour: str, marker: str) -> None:
    at = [row["alpha"] * shift for row in rows]
    shown = [max(row["observed"], _NONE) for row in rows]
    low = [max(row["interval"][0], _NONE) for row in rows]
    high = [max(row["interval"][1], _NONE) for row in rows]
    axes.vlines(at, low, high, color=colour, lw=1.6, alpha=0.6)
    axes.plot(at, shown, marker, color=colour, ms=5, lw=0)


def class_cohort_figure(
    effects: Array, malicious: Collection[int], source: int, names: Sequence[str], told: str
) -> str:
    """``effects`` (clients, classes) of a cohort as SVG: everybody above, malicious rows first; the
    attacked class and those with the largest effect of any client below."""
    bad = np.array([client in malicious for client in range(len(effects))])
    rows = sorted(range(len(bad)), key=lambda row: (not bad[row], row))
    with mpl.rc_context(RC):
        figure = Figure(figsize=(7.2, 7.0), layout="constrained")
        FigureCanvasAgg(figure)
        above, below = figure.subplots(2, 1, height_ratios=(1.25, 1.0))
        figure.suptitle(told, fontsize=11)
        limit = max(float(np.abs(effects).max()), 1e-9)
        image = above.imshow(effects[rows], cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto")
        labels = [f"{row} ●" if bad[row] else f"{row}   " for row in rows]
        above.set_yticks(range(len(rows)), labels, fontsize=6.5)
        above.set_xticks(range(0, effects.shape[1], 5))
        above.grid(visible=False)
        above.annotate(
            names[source], (source, -0.5), xytext=(0, 12), textcoords="offset points",
            ha="center", fontsize=9, arrowprops={"arrowstyle": "->", "lw": 1.0},
        )  # fmt: skip
        above.set_xlabel("class whose samples are labelled otherwise")
        above.set_ylabel("client  (● = malicious)")
        figure.colorbar(image, ax=above, label="honest spreads", pad=0.01)
        strips(below, effects, bad, source, str, "class")
        return svg_of(figure, "decoded effect of every client in every class")
