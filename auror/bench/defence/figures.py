"""Figures of the defence: rounds to detection by plan, and a cohort as it was decoded.

``auror defend-bench --out`` writes the first beside its rows; ``scripts/decoded_cohort.py`` the
second.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from auror.bench.defence.rows import Row
from auror.experiments.result import DecodedEstimates
from auror.ids import ClientId
from auror.report.plots import HONEST, MALICIOUS, RC, svg_of

# Okabe and Ito's colours, told apart also by dash and marker.
_STYLES = {
    "confusion": ("#0072B2", "-", "o", "label confusion"),
    "output": ("#D55E00", "--", "s", "output layer"),
    "sketch": ("#009E73", "-.", "^", "sketch"),
}
_SMALL_SKETCH = ("#CC79A7", ":", "v")
_CLIENTS = 30
_BESIDE = 13
"""Columns drawn beside the attacked one."""


def frontier_figure(rows: Sequence[Row]) -> str | None:
    """Rounds until all attackers are found, by group size, as SVG; None without such rows.

    ``rows``: the table of ``frontier.summarise``. A panel per number of attackers of 30 (whole
    flips, T = 1), a line per plan, the counting bound dashed. A hollow marker on the line above: in
    half of the runs or more somebody was not found.
    """
    drawn = [
        row for row in rows
        if row.get("n") == _CLIENTS and row["bad"] and row["flipped"] == 1.0 and row["T"] == 1
    ]  # fmt: skip
    if not drawn:
        return None
    panels = sorted({row["bad"] for row in drawn})
    sizes = sorted({row["g"] for row in drawn})
    plans = list(dict.fromkeys((row["plan"], row["k"]) for row in drawn))
    missed = any(row["rounds"] is None for row in drawn)
    top = 1.12 * max(value for row in drawn for value in (row["rounds"], row["fewest"]) if value)
    with mpl.rc_context(RC):
        columns = min(2, len(panels))
        figure, grid = _panels(-(-len(panels) // columns), columns)
        for axes, bad in zip(grid, panels, strict=False):
            here = [row for row in drawn if row["bad"] == bad]
            _bound(axes, here, sizes)
            for nth, plan in enumerate(plans):
                shift = 0.09 * (nth - (len(plans) - 1) / 2)  # lines often coincide
                _line(axes, [r for r in here if (r["plan"], r["k"]) == plan], sizes, shift, top)
            if any(row["rounds"] is None for row in here):
                axes.axhline(top, color="0.6", lw=0.8, zorder=1)
                axes.annotate(
                    "not all found", (-0.25, top), xytext=(0, 3), textcoords="offset points",
                    fontsize=8.5, color="0.35",
                )  # fmt: skip
            axes.set_title(f"{bad} of {_CLIENTS} lie", fontsize=11)
            axes.set_xticks(range(len(sizes)), [str(size) for size in sizes])
            axes.set_ylim(0.0, (1.1 if missed else 0.95) * top)
            axes.set_xlabel("group size g")
            axes.set_ylabel("rounds until all are found")
            axes.label_outer()
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        handles = [_handle(*plan) for plan in plans]
        handles.append(Line2D([], [], color="0.45", ls=(0, (4, 3)), label="fewest possible"))
        figure.legend(
            handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=10
        )
        return svg_of(figure, "rounds until all attackers are found, by group size and plan")


def _panels(rows: int, columns: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(7.2, 2.7 * rows + 0.9), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    return figure, list(grid.flat)


def _bound(axes: Axes, rows: Sequence[Row], sizes: Sequence[int]) -> None:
    fewest = {row["g"]: row["fewest"] for row in rows if row["fewest"] is not None}
    at = [(sizes.index(size), fewest[size]) for size in sizes if size in fewest]
    axes.plot(*zip(*at, strict=True), color="0.45", ls=(0, (4, 3)), lw=1.4, zorder=1)


def _line(axes: Axes, rows: Sequence[Row], sizes: Sequence[int], shift: float, top: float) -> None:
    by = {row["g"]: row["rounds"] for row in rows}
    if not rows:
        return
    colour, dash, marker, _ = _style(rows[0]["plan"], rows[0]["k"])
    found = [(sizes.index(g) + shift, by[g]) for g in sizes if by.get(g) is not None]
    if found:
        axes.plot(*zip(*found, strict=True), dash, color=colour, marker=marker, ms=5, lw=1.6)
    missed = [sizes.index(g) + shift for g in sizes if g in by and by[g] is None]
    axes.plot(missed, [top] * len(missed), marker, color=colour, mfc="white", ms=6, lw=0)


def _style(plan: str, numbers: int) -> tuple[str, str, str, str]:
    colour, dash, marker, name = _STYLES[plan]
    if plan == "sketch" and numbers < 512:
        colour, dash, marker = _SMALL_SKETCH
    return colour, dash, marker, f"{name}, k = {numbers}"


def _handle(plan: str, numbers: int) -> Line2D:
    colour, dash, marker, label = _style(plan, numbers)
    return Line2D([], [], color=colour, ls=dash, marker=marker, ms=5, lw=1.6, label=label)


def cohort_figure(
    evidence: DecodedEstimates,
    malicious: Collection[ClientId],
    attacked: tuple[int, int],
    told: str,
) -> str:
    """What is decoded about every client, as SVG: all label pairs above, the largest below.

    ``evidence``: effects in honest spreads; ``attacked``: source and target class; ``told``: a
    line for the title: group size, rounds.
    """
    bad = [client in malicious for client in evidence.clients]
    # Sources together: neighbouring columns are what the samples of one class were labelled.
    order = sorted(range(len(evidence.pairs)), key=lambda i: evidence.pairs[i])
    pairs, effects = [evidence.pairs[i] for i in order], evidence.effects[:, order]
    rows = sorted(range(len(bad)), key=lambda row: (not bad[row], evidence.clients[row]))
    with mpl.rc_context(RC):
        figure = Figure(figsize=(7.2, 6.6), layout="constrained")
        FigureCanvasAgg(figure)
        above, below = figure.subplots(2, 1, height_ratios=(1.25, 1.0))
        figure.suptitle(told, fontsize=11)
        _heat(figure, above, effects[rows], pairs, attacked)
        above.set_yticks(
            range(len(rows)),
            [f"{evidence.clients[row]} ●" if bad[row] else f"{evidence.clients[row]}   "
             for row in rows],
            fontsize=6.5,
        )  # fmt: skip
        own = pairs.index(attacked)
        strips(below, effects, np.array(bad), own, lambda c: f"{pairs[c][0]}→{pairs[c][1]}", "pair")
        return svg_of(figure, "decoded effect of every client in every label pair")


def _heat(
    figure: Figure,
    axes: Axes,
    effects: NDArray[np.float64],
    pairs: list[tuple[int, int]],
    attacked: tuple[int, int],
) -> None:
    limit = max(float(np.abs(effects).max()), 1e-9)
    image = axes.imshow(effects, cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto")
    sources = [source for source, _target in pairs]
    edges = [at for at in range(1, len(pairs)) if sources[at] != sources[at - 1]]
    for edge in edges:
        axes.axvline(edge - 0.5, color="0.75", lw=0.7)
    middles = [sources.index(s) + (sources.count(s) - 1) / 2 for s in sorted(set(sources))]
    axes.set_xticks(middles, [f"{source}→" for source in sorted(set(sources))], fontsize=9)
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False)
    column = pairs.index(attacked)
    axes.annotate(
        f"{attacked[0]}→{attacked[1]}", (column, -0.5), xytext=(0, 12),
        textcoords="offset points", ha="center", fontsize=9,
        arrowprops={"arrowstyle": "->", "lw": 1.0},
    )  # fmt: skip
    axes.set_xlabel("looks like → labelled as (nine columns per class)")
    axes.set_ylabel("client  (● = malicious)")
    figure.colorbar(image, ax=axes, label="honest spreads", pad=0.01)


def strips(
    axes: Axes,
    effects: NDArray[np.float64],
    bad: NDArray[np.bool_],
    attacked: int,
    name: Callable[[int], str],
    told: str,
) -> None:
    """Every client in the ``attacked`` column of ``effects`` (clients, columns), then in those with
    the largest effect of any client, the malicious ones (``bad``) beside the honest ones.

    ``name``: of a column; ``told``: what is attacked, for the axis.
    """
    largest = np.argsort(-effects.max(axis=0), kind="stable")
    shown = [attacked, *[int(column) for column in largest if column != attacked][:_BESIDE]]
    for place, column in enumerate(shown):
        for who, side, marker, colour in ((~bad, -0.12, "o", HONEST), (bad, 0.12, "^", MALICIOUS)):
            values = effects[who, column]
            axes.plot(
                np.full(len(values), place + side), values, marker, color=colour, ms=4.5,
                alpha=0.75, mew=0, lw=0,
            )  # fmt: skip
    axes.axvline(0.5, color="0.45", lw=1, ls=":")
    axes.axhline(0.0, color="0.45", lw=0.8)
    axes.set_xticks(range(len(shown)), [name(column) for column in shown], fontsize=9)
    axes.grid(visible=False, axis="x")
    axes.set_xlabel(f"the attacked {told}, then those with the largest effect of any client")
    axes.set_ylabel("honest spreads")
    handles = [
        Line2D([], [], color=HONEST, marker="o", lw=0, label="honest"),
        Line2D([], [], color=MALICIOUS, marker="^", lw=0, label="malicious"),
    ]
    axes.legend(handles=handles, frameon=False, fontsize=10, loc="upper right")
