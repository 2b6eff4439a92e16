"""``report.html`` of a server's run folder: rounds, verdict and account, on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from auror.errors import DataError
from auror.experiments.files import write_text
from auror.experiments.finished import FinishedRun
from auror.experiments.result import FRACTIONS
from auror.report.pages import template
from auror.report.plots import RC, svg_of
from auror.report.run_page import number, percent, privacy_rows

_LINES = (("accuracy", "#000000", "-"), ("attack_success", "#D55E00", "--"))
_METRICS = "Metrics on the server's own test samples after every round."
_EVIDENCE = "How strong the evidence against the best set of clients is, and what it needs to be."


def write_server_report(run: FinishedRun, out: Path) -> None:
    """Write the page of a server's ``run``.

    Raises:
        DataError: it cannot be written.
    """
    try:
        write_text(out, server_page(run))
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror}") from error


def server_page(run: FinishedRun) -> str:
    """The page as HTML. ``run`` must be a server's: it has a policy."""
    policy = run.policy
    if policy is None:
        raise ValueError("a server's run has a policy")
    account, verdict = run.account or {}, run.verdict or {}
    accused = {int(client) for client in verdict.get("flagged", ())}
    settings = run.folder / "config.toml"
    drawn = [(_measured(run), _METRICS), (_evidence(run), _EVIDENCE)]
    return template("server.html", percent=percent, number=number).render(
        policy=policy,
        params=asdict(policy.params),
        rounds=list(zip(run.records, run.lines, strict=True)),
        accepted=sum(record.aborted is None for record in run.records),
        complete=run.complete,
        metrics=run.metrics.to_dict() if run.metrics else {},
        fractions=FRACTIONS,
        flagged=[int(client) for client in run.flagged],
        suspected=sorted(accused - set(run.flagged)),
        excluded=[int(client) for client in run.excluded],
        clients=verdict.get("clients", []),
        figures=[(svg, caption) for svg, caption in drawn if svg is not None],
        privacy=privacy_rows(account),
        privacy_smallest=account.get("smallest_group"),
        aborted=[],
        settings=settings.read_text(encoding="utf-8") if settings.exists() else "",
        data=run.data,
        versions=run.versions,
    )


def _measured(run: FinishedRun) -> str | None:
    lines = []
    for name, colour, dash in _LINES:
        found = [(p.round + 1, getattr(p.metrics, name)) for p in run.history]
        places = [(x, 100 * y) for x, y in found if y is not None]
        if places:
            lines.append((name.replace("_", " "), places, colour, dash))
    return _drawn(lines, "%", "metrics after each round") if lines else None


def _evidence(run: FinishedRun) -> str | None:
    lines = []
    for name, colour, dash in (("strength", "#000000", "-"), ("required", "#0072B2", ":")):
        found = [(line["index"] + 1, line.get(name)) for line in run.lines]
        places = [(x, y) for x, y in found if y is not None]
        if places:
            lines.append((name, places, colour, dash))
    return _drawn(lines, "log-evidence", "evidence after each round") if lines else None


_Line = tuple[str, list[tuple[int, float]], str, str]


def _drawn(lines: Sequence[_Line], unit: str, title: str) -> str:
    with mpl.rc_context(RC):
        figure = Figure(figsize=(7.2, 3.6), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        for label, places, colour, dash in lines:
            xs, ys = zip(*places, strict=True)
            axes.plot(xs, ys, dash, color=colour, label=label, marker="." if len(xs) < 40 else "")
        axes.set_xlabel("round")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylabel(unit)
        axes.legend(frameon=False, fontsize=10, loc="best")
        return svg_of(figure, title)
