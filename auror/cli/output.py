"""How the commands of ``auror`` show and keep what an experiment found."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from auror.cli.shared import told
from auror.experiments.config import RunName
from auror.experiments.result import FRACTIONS, REALLY_POISONED, ExperimentResult
from auror.experiments.runfolder import summary_of


def show(result: ExperimentResult, form: str, folder: Path | None, verbose: bool) -> None:
    """The outcome on standard output."""
    summary = summary_of(result, folder)
    if form == "json":
        print(json.dumps(summary, allow_nan=False))
    else:
        _table(summary)
        if folder is not None:
            print(f"run folder: {folder}  (open {folder / 'report.html'})")
    if verbose:
        stages = ", ".join(f"{name} {spent:.1f} s" for name, spent in summary["stages"].items())
        print(f"time: {stages}", file=sys.stderr)


def _table(summary: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False)
    shown = [found for run in RunName if (found := summary[run.value]) is not None]
    own = sorted({name for found in shown for name in found} - set(FRACTIONS))
    for title in ("run", "accuracy", "source recall", "attack success", *own):
        table.add_column(title, justify="left" if title == "run" else "right")
    for run in RunName:
        found = summary[run.value]
        if found is not None:
            values = [found[name] for name in FRACTIONS]
            fractions = ["–" if v is None else f"{v:.1%}" for v in values]
            others = [f"{found[name]:.4g}" if name in found else "–" for name in own]
            table.add_row(run.value, *fractions, *others)
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 100)
    console.print(table)
    if summary["plaintext_updates"]:
        _under_rule(summary)
    elif summary["flagged"] is not None:
        flagged = _clients(summary["flagged"])
        rates = [
            f"{name} {summary[key]:.0%}"
            for name, key in (("found", "tpr"), ("falsely flagged", "fpr"))
            if summary[key] is not None
        ]
        _malicious(summary)
        print(f"flagged:   {flagged}   ({', '.join(rates)})")
        if summary["suspected"]:
            names = _clients(summary["suspected"])
            print(f"suspected: {names}   (accused, not confirmed by enough rounds)")
        privacy = summary["privacy"]
        recovered = [
            f"{what} {privacy[key]:.0%}"
            for what, key in (("statistics", "statistic_recovery"), ("updates", "update_recovery"))
            if privacy[key] is not None
        ]
        if recovered:
            print(f"privacy:   recovered of single clients: {', '.join(recovered)}")
    for line in summary["warnings"]:
        print(f"warning:   {told(line)}")
    print(f"{summary['rounds_total']} rounds, {summary['seconds']:.0f} s")


def _clients(found: Sequence[object]) -> str:
    """Who they are; a number alone could be how many there are."""
    if not found:
        return "nobody"
    return f"client{'s' * (len(found) > 1)} {', '.join(map(str, found))}"


def _malicious(summary: dict[str, Any]) -> None:
    """Who attacks, and who of them does so little that the part that was found is not of them."""
    print(f"malicious: {_clients(summary['malicious'])}")
    slight = [name for name, n in summary["poisoned_samples"].items() if n < REALLY_POISONED]
    if slight:
        few = f"changed fewer than {REALLY_POISONED} labels: not counted as to be found"
        print(f"slight:    {_clients(slight)}   ({few})")


def _under_rule(summary: dict[str, Any]) -> None:
    """Who defended, whom it left out most of the time, and that nothing was private."""
    print(f"rule:      {summary['rule']}")
    _malicious(summary)
    if summary["left_out"] is not None:
        most = [client for client, part in summary["left_out"].items() if part > 0.5]
        rates = [
            f"{name} {summary[key]:.0%}"
            for name, key in (("of the malicious", "tpr"), ("of the honest", "fpr"))
            if summary[key] is not None
        ]
        print(f"left out:  {_clients(most)} most rounds   ({', '.join(rates)})")
    print("privacy:   none: the rule sees every client's update")
