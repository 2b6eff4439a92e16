"""Figures of a run as SVG: deterministic, readable small, safe for colour-blind readers."""

from __future__ import annotations

import io
import re
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from auror.experiments.config import RunName
from auror.experiments.result import FRACTIONS, Defended, ExperimentResult, Metrics

# Okabe and Ito's colours, told apart also by dash and marker.
STYLES = {
    RunName.CLEAN: ("#0072B2", "-", "all honest"),
    RunName.UNDEFENDED: ("#D55E00", "--", "attacked, undefended"),
    RunName.ORACLE: ("#009E73", "-.", "honest clients alone"),
    RunName.DEFENDED: ("#000000", "-", "attacked, AUROR"),
}
FLAGGED, MALICIOUS, HONEST = "#CC79A7", "#D55E00", "#56B4E9"
RC: Any = {
    "svg.hashsalt": "auror",
    "svg.fonttype": "none",  # text stays text: selectable, and in the page's own font
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}
_MANY = 60
OWN_METRIC = "metric-"
"""What the names of figures of a task's own metrics begin with."""
_COLUMNS = 14


def label_of(run: RunName, result: ExperimentResult) -> str:
    """What is written beside the line of ``run``; the defended one names its rule."""
    rule = result.config.rule
    if run is RunName.DEFENDED and rule is not None:
        return f"attacked, {rule}"
    return STYLES[run][2]


def figures(result: ExperimentResult) -> dict[str, str]:
    """Name → SVG text, ready to be inlined; only those that the run has data for."""
    made = {
        "accuracy": _training(result, "accuracy"),
        "attack-success": _training(result, "attack_success"),
        **{f"{OWN_METRIC}{name}": _training(result, name) for name in result.own_metrics},
    }
    found = result.defended
    if found is not None and found.suspicion:
        made["suspicion"] = _suspicion(result, found)
        made["scores"] = _scores(result, found)
    if found is not None and found.evidence is not None:
        made["evidence"] = _evidence(result, found)
    return {name: svg for name, svg in made.items() if svg is not None}


def _training(result: ExperimentResult, metric: str) -> str | None:
    """Fractions in per cent, a task's own metrics as they are."""
    percent = metric in FRACTIONS

    def value(metrics: Metrics) -> float | None:
        found = metrics.to_dict().get(metric)
        return found if found is None or not percent else 100 * found

    with mpl.rc_context(RC):
        figure, axes = _figure(7.2, 3.6)
        drawn = False
        for run, outcome in result.outcomes.items():
            colour, dash, _label = STYLES[run]
            label = label_of(run, result)
            points = [(p.round + 1, value(p.metrics), p.era) for p in outcome.history]
            for era in sorted({era for *_, era in points}):
                line = [(x, y) for x, y, e in points if e == era and y is not None]
                if line:
                    drawn = True
                    xs, ys = zip(*line, strict=True)
                    width = 2.4 if run is RunName.DEFENDED else 1.6
                    name = label if era == 0 else None
                    axes.plot(xs, ys, dash, color=colour, lw=width, label=name)
        if not drawn:
            return None
        _mark_eras(axes, result)
        axes.set_xlabel("round")
        title = metric.replace("_", " ")
        axes.set_ylabel(f"{title}, %" if percent else title)
        axes.legend(frameon=False, fontsize=10, loc="best")
        return svg_of(figure, f"{title} after each round")


def _suspicion(result: ExperimentResult, found: Defended) -> str:
    malicious, flagged = set(result.malicious), set(found.flagged)
    with mpl.rc_context(RC):
        figure, axes = _figure(7.2, 3.6)
        for client in sorted(found.suspicion[-1].scores):
            colour, dash, width = HONEST, "-", 0.9
            if client in malicious:
                colour, dash, width = MALICIOUS, "--", 1.3
            line = [(s.round + 1, s.scores[client]) for s in found.suspicion if client in s.scores]
            xs, ys = zip(*line, strict=True)
            axes.plot(xs, ys, dash, color=colour, lw=width)
            if client in flagged:
                axes.plot(xs[-1], ys[-1], "x", color="black", ms=6)
        _mark_eras(axes, result)
        axes.set_xlabel("round")
        axes.set_ylabel("suspicion score")
        axes.legend(handles=_legend(), frameon=False, fontsize=10, loc="upper left")
        return svg_of(figure, "suspicion score of every client after each round")


def _scores(result: ExperimentResult, found: Defended) -> str:
    scores = found.suspicion[-1].scores
    order = sorted(scores, key=lambda client: (-scores[client], client))[:_MANY]
    malicious, flagged = set(result.malicious), set(found.flagged)
    with mpl.rc_context(RC):
        figure, axes = _figure(7.2, 3.4)
        bars = axes.bar(
            range(len(order)),
            [scores[client] for client in order],
            color=[MALICIOUS if client in malicious else HONEST for client in order],
        )
        for bar, client in zip(bars, order, strict=True):
            if client in malicious:
                bar.set_hatch("///")
                bar.set_edgecolor("white")
            if client in flagged:
                axes.plot(bar.get_x() + bar.get_width() / 2, max(bar.get_height(), 0), "x",
                          color="black", ms=6)  # fmt: skip
        axes.set_xticks(range(len(order)), [str(client) for client in order], fontsize=8)
        axes.tick_params(axis="x", rotation=90 if len(order) > 35 else 0)
        axes.grid(visible=False, axis="x")
        axes.set_xlabel("client, most suspicious first")
        axes.set_ylabel("final score")
        axes.legend(handles=_legend(), frameon=False, fontsize=10, loc="upper right")
        return svg_of(figure, "final suspicion score per client")


def _evidence(result: ExperimentResult, found: Defended) -> str | None:
    evidence = found.evidence
    if evidence is None or not evidence.effects.size:
        return None
    strongest = np.argsort(-np.abs(evidence.effects).max(axis=0), kind="stable")[:_COLUMNS]
    scores = found.suspicion[-1].scores if found.suspicion else {}
    rows = sorted(
        range(len(evidence.clients)), key=lambda row: -scores.get(evidence.clients[row], 0.0)
    )[:_MANY]
    shown = evidence.effects[rows][:, strongest]
    limit = max(float(np.abs(shown).max()), 1e-9)
    malicious = set(result.malicious)
    with mpl.rc_context(RC):
        figure, axes = _figure(7.2, max(3.0, 0.19 * len(rows) + 1.2))
        image = axes.imshow(shown, cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto")
        axes.set_xticks(
            range(len(strongest)),
            [f"{evidence.pairs[i][0]}→{evidence.pairs[i][1]}" for i in strongest],
            fontsize=9,
        )
        names = [evidence.clients[row] for row in rows]
        axes.set_yticks(
            range(len(rows)), [f"{c} ●" if c in malicious else f"{c}   " for c in names], fontsize=8
        )
        axes.grid(visible=False)
        axes.set_xlabel("looks like → labelled as (strongest pairs)")
        axes.set_ylabel("client  (● = malicious)")
        figure.colorbar(image, ax=axes, label="decoded effect, honest spreads")
        return svg_of(figure, "decoded evidence: effect per client and label pair")


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], color=HONEST, lw=2, label="honest"),
        Line2D([], [], color=MALICIOUS, lw=2, ls="--", label="malicious"),
        Line2D([], [], color="black", marker="x", lw=0, label="flagged"),
    ]


def _mark_eras(axes: Axes, result: ExperimentResult) -> None:
    """A line where the training started anew."""
    defended = result.outcomes.get(RunName.DEFENDED)
    starts = [p.round for p in defended.history if p.era > 0] if defended else []
    if starts:
        axes.axvline(min(starts) + 0.5, color="0.45", lw=1, ls=":")
        axes.annotate(
            "restart without the flagged",
            (min(starts) + 0.5, 0.0),
            xycoords=("data", "axes fraction"),
            xytext=(4, 4),
            textcoords="offset points",
            va="bottom",
            fontsize=9,
            color="0.3",
        )


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def svg_of(figure: Figure, title: str) -> str:
    """The figure as SVG text to be inlined, with ``title`` for those who cannot see it."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Title": title, "Creator": None})
    text = re.sub(r"^.*?(?=<svg)", "", buffer.getvalue(), count=1, flags=re.DOTALL)
    return text.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
