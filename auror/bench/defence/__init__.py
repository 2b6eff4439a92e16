"""``auror defend-bench``: the defence measured from seeds, table by table.

A section is a module with ``run(bench) -> rows``; some also fold their rows
into fewer with ``summarise(rows)``. Rows are cached one by one, so a run that was broken off
goes on where it was.
"""

from __future__ import annotations

import csv
import importlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auror.bench.defence.figures import frontier_figure
from auror.bench.defence.rows import NOT_COMPUTED, Bench, Row, forget_damaged
from auror.bench.defence.sign_figures import calibration_figure
from auror.errors import ConfigError
from auror.learn.device import resolve_device

SECTIONS: Mapping[str, str] = {
    "calibration": "the stated error rate against the observed one, nobody lying",
    "false_flags": "false flags of the whole flow with nobody lying",
    "detection": "who is found of 10 to 40 % lying",
    "few_classes": "two to five classes: false alarms, and who is found",
    "signs": "who is found on traffic signs, pair by pair",
    "frontier": "rounds to detection by plan, group size, attackers, flipped part, partitions",
    "noniid": "label skew, beside the published algorithm at g = 1",
    "ablation": "what each rule of the verdict is worth: the verdict with it switched off",
    "attackers": "several pairs, two camps, many and one, blurred spreads, stickers on signs",
    "adaptive": "attackers who adapt: detection, and the damage when not detected",
    "watching": "label rows in a tenth of the rounds once everybody is decided, or in all",
    "baselines": "robust rules that need plaintext updates, under the same attacks",
    "fedgt": "15 clients, 1 → 7: FedGT's group test of whole updates beside ours of statistics",
    "paper_claims": "10, 20 and 30 % malicious, as the paper reports",
    "timing": "seconds and memory of one verdict, on one core",
}
"""Module → what its table shows."""

_FIGURES = {"frontier": frontier_figure, "calibration": calibration_figure}


@dataclass(frozen=True)
class BenchReport:
    """All sections that ran."""

    seeds: tuple[int, ...]
    reduced: bool
    rows: Mapping[str, Sequence[Row]]
    tables: Mapping[str, Sequence[Row]]
    seconds: Mapping[str, float]
    missing: Mapping[str, int] = field(default_factory=dict)
    """Rows that ``collect`` did not find in the cache, of sections with any."""

    @property
    def failures(self) -> int:
        """Rows that could not be computed; their ``reason`` says why."""
        return sum(row.get("reason") is not None for rows in self.rows.values() for row in rows)

    def to_dict(self) -> dict[str, Any]:
        """JSON values: the tables; raw rows go to files."""
        return {
            "seeds": list(self.seeds),
            "reduced": self.reduced,
            "failures": self.failures,
            "missing": dict(self.missing),
            "seconds": dict(self.seconds),
            "tables": {name: list(rows) for name, rows in self.tables.items()},
        }


def check_bench(sections: Sequence[str], bench: Bench) -> None:
    """What can be said before anything is written or computed.

    Raises:
        ConfigError: an unknown section, no seed, no such device, or no signs where ``bench`` says.
    """
    unknown = sorted(set(sections) - SECTIONS.keys())
    if unknown:
        raise ConfigError(f"only = {unknown[0]}: choose of {', '.join(SECTIONS)}")
    if not bench.seeds:
        raise ConfigError("seeds: choose 1 or more")
    if not bench.collect:
        resolve_device(bench.device)
    if bench.data_dir is not None and not (bench.data_dir / "gtsrb" / "GTSRB").is_dir():
        raise ConfigError(
            f"data_dir = {bench.data_dir} holds no gtsrb/GTSRB: unpack the signs there"
            " (docs/signs.md), or leave it out for drawn ones"
        )


def run_bench(sections: Sequence[str], bench: Bench) -> BenchReport:
    """Compute what is not in the cache yet.

    Raises:
        ConfigError: as :func:`check_bench`; or nothing is there to collect.
    """
    check_bench(sections, bench)
    if not bench.collect:
        forget_damaged(bench)
    rows, tables, seconds, missing = {}, {}, {}, {}
    for number, name in enumerate(sections):
        started = time.perf_counter()
        bench.say(f"{name} ({number + 1} of {len(sections)}): {SECTIONS[name]}")
        module = importlib.import_module(f"{__name__}.{name}")
        asked = module.run(bench)
        rows[name] = [row for row in asked if row.get("reason") != NOT_COMPUTED]
        if len(rows[name]) < len(asked):
            missing[name] = len(asked) - len(rows[name])
            bench.say(f"{name}: {len(rows[name])} of {len(asked)} rows are in the cache")
        fold = getattr(module, "summarise", None)
        tables[name] = fold(rows[name]) if fold is not None else rows[name]
        seconds[name] = round(time.perf_counter() - started, 1)
    if bench.collect and not any(rows.values()):
        raise ConfigError(
            f"cache = {bench.cache} holds no row of this code and these seeds: leave out collect to"
            " compute them"
        )
    return BenchReport(tuple(bench.seeds), bench.reduced, rows, tables, seconds, missing)


def write_rows(report: BenchReport, folder: Path) -> list[Path]:
    """``SECTION.csv`` with every raw row and ``SECTION.md`` with its table, ``tables.json`` of all
    sections, and the figures of the frontier and of the calibration."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, rows in report.rows.items():
        columns = list(dict.fromkeys(column for row in rows for column in row))
        path = folder / f"{name}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        page = path.with_suffix(".md")
        page.write_text(as_markdown(report, name), encoding="utf-8")
        written += [path, page]
    for name, draw in _FIGURES.items():
        drawn = draw(report.tables.get(name, ()))
        if drawn is not None:
            path = folder / f"{name}.svg"
            path.write_text('<?xml version="1.0"?>\n' + drawn, encoding="utf-8")
            written.append(path)
    path = folder / "tables.json"
    path.write_text(json.dumps(report.to_dict(), indent=1) + "\n", encoding="utf-8")
    return [*written, path]


def as_markdown(report: BenchReport, name: str) -> str:
    """The table of section ``name``, and what was run."""
    columns, shown = _shown(report.tables[name])
    seeds = sorted({row["seed"] for row in report.rows[name] if "seed" in row}) or report.seeds
    first, last = seeds[0], seeds[-1]
    command = f"auror defend-bench --only {name}{' --reduced' if report.reduced else ''}"
    run = f"seeds {first} to {last}; a row per run in [{name}.csv]({name}.csv)"
    lines = [
        f"# {SECTIONS[name].capitalize()}",
        "",
        f"`{command}`, {run}{_lacking(report, name)}.",
        "",
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
        *(f"| {' | '.join(row.get(column, '') for column in columns)} |" for row in shown),
    ]
    return "\n".join(lines) + "\n"


def as_text(report: BenchReport) -> str:
    """Tables for people."""
    parts = []
    for name, rows in report.tables.items():
        parts.append(
            f"{name}: {SECTIONS[name]} ({report.seconds[name]:.0f} s){_lacking(report, name)}"
        )
        columns, shown = _shown(rows)
        widths = {c: max([len(c), *(len(row.get(c, "")) for row in shown)]) for c in columns}
        parts.append("  ".join(c.ljust(widths[c]) for c in columns))
        parts += ["  ".join(row.get(c, "").ljust(widths[c]) for c in columns) for row in shown]
        parts.append("")
    return "\n".join(line.rstrip() for line in parts)


def _lacking(report: BenchReport, name: str) -> str:
    count = report.missing.get(name)
    return f"; {count} rows are not computed yet" if count else ""


def _shown(rows: Sequence[Row]) -> tuple[list[str], list[dict[str, str]]]:
    """Columns, and the cells as text."""
    shown = [{key: _cell(value) for key, value in row.items()} for row in rows]
    return list(dict.fromkeys(column for row in shown for column in row)), shown


def _cell(value: object) -> str:
    match value:
        case None:
            return "–"
        case float():
            return f"{value:.4g}"
        case list():
            return " … ".join(_cell(part) for part in value)
        case _:
            return str(value)
