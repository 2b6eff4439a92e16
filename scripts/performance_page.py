"""Render docs/performance.md from what ``auror bench`` measured, before and after.

python scripts/performance_page.py [--check]

The rows: ``auror bench --out FILE`` without the size 1000x10000 (``after.json``), and ``auror bench
round --only 1000x10000 --out FILE`` (``thousand-after.json``); ``before.json`` and
``thousand-before.json`` are the same bench of the code that the changes began with; ``auror bench
secagg --peer flwr --out FILE`` (``flwr.json``).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from auror.bench.speed import title

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results" / "bench"
BEFORE, AFTER = RESULTS / "before.json", RESULTS / "after.json"
THOUSAND = RESULTS / "thousand-before.json", RESULTS / "thousand-after.json"
PEER = RESULTS / "flwr.json"
PAGE = ROOT / "docs" / "performance.md"

Report = Mapping[str, Any]
_RATES = (
    ("stream_bytes", "AES-256-CTR, added to a 32-bit accumulator, GB/s", 1e9),
    ("agreements", "X25519, thousand/s", 1e3),
    ("verifications", "Ed25519 verified, thousand/s", 1e3),
    ("copied_bytes", "memory copied, GB/s", 1e9),
)
_GOALS = {
    "server: unmask": (1.3, 0.015, "1.3 × the floor of two cores + 15 ms"),
    "server: all": (2.0, 0.030, "2 × it + 30 ms"),
}
"""Step → times the floor of two cores, seconds on top, and that in words."""
_COMMANDS = """\
    auror bench                                   # all sections, minutes
    auror bench secagg --reduced                  # one small size, seconds
    auror bench secagg --only 1000x100000 --format json
"""
_MEANING = """\
*CPU* is time of the process on all cores together: other programs on the machine hardly count.
*Clock* is that of the machine, with whatever else ran on it: nothing but this in the newer run; the
one before, on another processor, shared its two cores with other work, so compare ratios. The
*floor* of a step is the key stream, the key agreements and the signatures that no implementation of
the protocol can do without, at the rates of the same run; of the server's steps it is that of the
whole unmasking or round, so that their ratios add up. A client agrees with its neighbours when it
deals shares; envelopes are opened with the same keys, beside the same floor. *Before* is the same
bench on the code that the changes began with. No test asserts a time. The floors of training and of
verdicts are their own: a forward and a backward pass per batch, one client after the other, which
training at once may fall below; and plain least squares.
"""
_VARIES = """\
The neighbours of a rented machine count as well: within a day, with floors alike, the same code
took 1.4 to 2.1 CPU seconds for a round of 1,000 and 260 to 405 ms to unmask theirs."""


def read(path: Path) -> Report:
    """A report that ``auror bench --out`` wrote."""
    found: Report = json.loads(path.read_text(encoding="utf-8"))
    return found


def committed() -> str:
    """The page of the committed reports."""
    return page(read(BEFORE), read(AFTER), (read(THOUSAND[0]), read(THOUSAND[1])), read(PEER))


def page(before: Report, after: Report, thousand: tuple[Report, Report], peer: Report) -> str:
    """The whole of docs/performance.md."""
    lines = [
        "# Performance",
        "",
        "Tables of `python scripts/performance_page.py`, from what one command measures anywhere:",
        "",
        _COMMANDS,
        textwrap.fill(_MEANING, 120),
        "",
        *_machine(before, after),
    ]
    for section, rows in after["rows"].items():
        words = title(section)
        lines += ["", f"## {words[0].upper()}{words[1:]}", ""]
        lines += (
            _table(before["rows"].get(section, []), rows)
            if "graph" in rows[0]
            else _plain_table(rows)
        )
    if after["rows"].get("secagg"):
        named = "; ".join(f"{name}: {words}" for name, (_, _, words) in _GOALS.items())
        told = f"{named}. Clocks count on two cores that do nothing else, as here. {_VARIES}"
        lines += [
            "",
            "## Against the goals",
            "",
            textwrap.fill(told, 120),
            "",
            *_goals(after["rows"]["secagg"]),
        ]
    lines += ["", "## A thousand clients", "", textwrap.fill(_growth(after, thousand[1]), 120), ""]
    lines += _table(*(report["rows"]["round"] for report in thousand))
    lines += ["", "## Beside Flower", "", *_beside(peer)]
    return "\n".join(lines) + "\n"


def _growth(small: Report, large: Report) -> str:
    """Of the server's CPU time of a whole round, in n."""
    one, other = (
        next(row for row in report["rows"]["round"] if row["name"] == "server: whole round")
        for report in (small, large)
    )
    times = other["cpu_seconds"] / one["cpu_seconds"]
    exponent = math.log(times) / math.log(other["n"] / one["n"])
    return (
        f"`auror bench round --only {other['n']}x{other['d']}`, a run of its own with its own"
        f" floors. From {one['n']} to {other['n']:,} clients the server's CPU time grows like"
        f" n^{exponent:.2f}; the degree of the graph grows with n, from {one['degree']} to"
        f" {other['degree']}."
    )


def _beside(report: Report) -> Iterator[str]:
    """Ours and the peer's in one run, and how many times as much the peer takes."""
    hardware = report["hardware"]
    ours = {_key(row): row for row in report["rows"]["secagg"]}
    # a client's step is the same whatever is lost later
    steps = {(row["name"], row["n"], row["d"]): row for row in report["rows"]["secagg"]}
    yield textwrap.fill(
        f"The same sums by {title('flwr').removeprefix('the same sums by ')}:"
        f" `auror bench secagg --peer flwr`, one run ({hardware['processor']}, {hardware['cores']}"
        " cores that other programs used as well, so CPU times and their ratios count). Its"
        " functions are called step by step, without messages, on the same graphs.",
        120,
    )
    yield ""
    yield "| step | n | d | k | dropouts | Auror, CPU ms | Flower, CPU ms | times |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in report["rows"]["flwr"]:
        name = row["name"].removeprefix("flwr: ")
        own = ours.get((name, *_key(row)[1:])) or steps[name, row["n"], row["d"]]
        cells = (
            name, f"{row['n']:,}", f"{row['d']:,}", str(row["degree"]), f"{row['dropout']:.0%}",
            _milliseconds(own["cpu_seconds"]), _milliseconds(row["cpu_seconds"]),
            f"{row['cpu_seconds'] / own['cpu_seconds']:,.0f}",
        )  # fmt: skip
        yield f"| {' | '.join(cells)} |"


def _machine(before: Report, after: Report) -> Iterator[str]:
    hardware = after["hardware"]
    yield "## The machine"
    yield ""
    yield textwrap.fill(
        f"{hardware['processor']}, {hardware['cores']} cores, {hardware['memory_gb']} GB;"
        f" Python {hardware['python']}, numpy {hardware['numpy']}, cryptography"
        f" {hardware['cryptography']} with {hardware['openssl']}. *Before*:"
        f" {before['hardware']['processor']}.",
        120,
    )
    yield ""
    yield "| floor | one core | two at once | one core, before | two at once, before |"
    yield "|---|---|---|---|---|"
    for key, unit, scale in _RATES:
        rates = (
            report["floors"][cores][key] / scale
            for report in (after, before)
            for cores in ("one_core", "two_cores")
        )
        yield f"| {unit} | {' | '.join(f'{rate:.1f}' for rate in rates)} |"


def _table(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterator[str]:
    """CPU milliseconds, and multiples of the floor, side by side."""
    known = {_key(row): row for row in before}
    yield "| step | n | d | k | dropouts | CPU ms | before | clock ms | CPU / floor | before |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for row in after:
        was = known.get(_key(row))
        cells = (
            row["name"],
            f"{row['n']:,}",
            f"{row['d']:,}",
            str(row["degree"]),
            f"{row['dropout']:.0%}",
            _milliseconds(row["cpu_seconds"]),
            "–" if was is None else _milliseconds(was["cpu_seconds"]),
            _milliseconds(row["seconds"]),
            f"{row['ratio_to_floor']:.2f}",
            "–" if was is None else f"{was['ratio_to_floor']:.2f}",
        )
        yield f"| {' | '.join(cells)} |"


def _plain_table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Every column; seconds as milliseconds."""
    yield (
        "| "
        + " | ".join(name.replace("_seconds", " ms").replace("_", " ") for name in rows[0])
        + " |"
    )
    yield "|---" * len(rows[0]) + "|"
    for row in rows:
        cells = (_milliseconds(v) if k.endswith("_seconds") else _said(v) for k, v in row.items())
        yield f"| {' | '.join(cells)} |"


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _goals(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Of the server; they are of the clock."""
    yield "| step | n | d | dropouts | CPU ms | clock ms | goal, clock ms |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        if row["name"] in _GOALS and row["dropout"] > 0:
            times, more, _ = _GOALS[row["name"]]
            cells = (
                row["name"], f"{row['n']:,}", f"{row['d']:,}", f"{row['dropout']:.0%}",
                _milliseconds(row["cpu_seconds"]), _milliseconds(row["seconds"]),
                _milliseconds(times * row["floor_seconds_two_cores"] + more),
            )  # fmt: skip
            yield f"| {' | '.join(cells)} |"


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("name", "n", "d", "degree", "dropout"))


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:,.1f}" if seconds < 1 else f"{1e3 * seconds:,.0f}"


def main() -> None:
    """Write the page, or say whether it is what the committed rows make."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if it differs")
    made = committed()
    if not parser.parse_args().check:
        PAGE.write_text(made, encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != made:
        sys.exit(f"{PAGE.name} is not what the rows make: python scripts/performance_page.py")


if __name__ == "__main__":
    main()
