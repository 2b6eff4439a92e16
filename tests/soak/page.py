"""The Markdown page and the plot of a soak."""

from __future__ import annotations

import io
import re
import textwrap

import matplotlib as mpl
from figures import FEWEST_ROUNDS, MOST_DATABASE_GROWTH, MOST_GROWTH, STEP, Json, missed
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from auror.report.plots import RC


def page(soak: Json) -> str:
    """The Markdown page."""
    rounds, secrets = soak["rounds"], soak["secrets"]
    grown = {kind: max(values, default=float("nan")) for kind, values in soak["growth"].items()}
    wrong = missed(soak)
    lines = [
        "# A soak",
        "",
        "Made by `make soak`; data in `soak.json`.",
        "",
        _faults(soak),
        "",
        "| what | bound | measured |",
        "|---|---|---|",
        f"| rounds with a total | ≥ {FEWEST_ROUNDS} | {rounds['with_total']} |",
        f"| of them exact, by the plain sums of what clients quantised | all | {rounds['exact']} |",
        f"| other rounds: aborted, interrupted by a kill | | {rounds['others']} |",
        f"| round twice, lost, or out of order | 0 | {len(rounds['names'])} |",
        *(
            f"| memory of {who}, MB per 100 rounds | < {MOST_GROWTH:g} | {grown[kind]:.2f}"
            f" (of {len(soak['growth'][kind])}) |"
            for kind, who in (("server", "the server"), ("clients", "the client that grows most"))
        ),
        *(
            f"| memory at the end of {who} shorter lives, MB | <"
            f" {max(soak['levels'][kind]['long'], default=0) + MOST_GROWTH:.1f} |"
            f" {max(soak['levels'][kind]['short'], default=0):.1f}"
            f" (of {len(soak['levels'][kind]['short'])}) |"
            for kind, who in (("server", "the server's"), ("clients", "clients'"))
        ),
        *(
            f"| {name} of {kind} in the end, over those before faults (worst) | ≤ 0 |"
            f" {_worst(soak['base'][kind], key):g} |"
            for kind in ("server", "clients")
            for key, name in (("files", "open descriptors"), ("tasks", "asyncio tasks"))
        ),
        f"| database, kB per round: first half, second half | ≤ × {MOST_DATABASE_GROWTH} |"
        + " {:.0f}, {:.0f} |".format(*(each / 1e3 for each in soak["database"]["per_round"])),
        (
            f"| {secrets['searched']:,} secrets, found in {secrets['bytes'] / 1e6:.0f} MB of all"
            f" that was written | 0 | {len(secrets['hits'])} |"
        ),
        (
            "| tracebacks in logs; answers to who watched the health port | 0; > 0 |"
            f" {len(soak['tracebacks'])}; {soak['probed']} |"
        ),
        f"| cores of {soak['crashed']} crashed processes | 0 | {soak['cores']} |",
        f"| `auror audit verify`, exit code | 0 | {soak['audit']} |",
        "",
        "Secrets searched for: "
        + ", ".join(f"{kind} {count:,}" for kind, count in secrets["kinds"].items())
        + ".",
        "",
        "![memory, descriptors and tasks over rounds](soak.svg)",
        "",
        f"Median and, in brackets, the most, per {STEP} rounds:",
        "",
        (
            "| rounds | server: MB | descriptors | tasks | threads | clients: MB | descriptors |"
            " tasks | threads |"
        ),
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(row) for row in soak["series"]),
        "",
        "Every bound holds." if not wrong else "MISSED: " + "; ".join(wrong) + ".",
    ]
    return _wrapped(lines)


def _faults(soak: Json) -> str:
    faults = soak["faults"]
    return (
        f"{soak['seconds']:.0f} s, {soak['clients']} clients in {soak['processes']}"
        f" `auror-client` processes and one `auror-server` over mutual TLS, updates of"
        f" {soak['dim']:,} entries that nobody trains (load test), seed {soak['seed']}. Load of the"
        f" machine before: {soak['load'][0]:g}, after: {soak['load'][1]:g}."
        f" Faults: {faults['server kills']} kills of the server and"
        f" {faults['client kills']} of processes of clients (SIGKILL),"
        f" {faults['dropped connections']} dropped connections."
    )


def _worst(base: list[Json], name: str) -> float:
    return max((now - most for most, now in (one[name] for one in base)), default=float("nan"))


def _row(row: Json) -> str:
    cells = [f"{row['rounds']}–{row['rounds'] + STEP - 1}"]
    for kind in ("server", "clients"):
        for name, unit in (("rss", 1e6), ("files", 1), ("tasks", 1), ("threads", 1)):
            usual, most = row.get(kind, {}).get(name, [float("nan")] * 2)
            cells.append(f"{usual / unit:.{int(unit > 1)}f} ({most / unit:.{int(unit > 1)}f})")
    return "| " + " | ".join(cells) + " |"


def _wrapped(lines: list[str]) -> str:
    """Prose of at most 110 columns; tables as they are."""
    text: list[str] = []
    for line in lines:
        kept = line.startswith(("|", "!")) or not line
        text += [line] if kept else textwrap.wrap(line, 110, break_on_hyphens=False)
    return "\n".join(text) + "\n"


def plot(soak: Json) -> str:
    """SVG: memory, descriptors, tasks over rounds, the same for the same ``soak``."""
    rows = soak["series"]
    with mpl.rc_context(RC):
        figure = Figure(figsize=(7.2, 8.4), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(4, 1, sharex=True)
        for axes, (name, label, unit) in zip(
            panels,
            (
                ("rss", "RSS, MB", 1e6),
                ("files", "descriptors", 1),
                ("tasks", "asyncio tasks", 1),
                ("threads", "threads", 1),
            ),
            strict=True,
        ):
            for kind, colour in (("server", "#000000"), ("clients", "#0072B2")):
                here = [(row["rounds"], row[kind][name]) for row in rows if kind in row]
                at = [place for place, _ in here]
                axes.plot(at, [v[0] / unit for _, v in here], color=colour, label=f"{kind}, median")
                axes.plot(
                    at, [v[1] / unit for _, v in here], color=colour, ls=":", label=f"{kind}, most"
                )
            axes.set_ylabel(label)
            axes.set_ylim(bottom=0)
        panels[0].legend(fontsize=8, ncols=2)
        panels[-1].set_xlabel("rounds")
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return re.sub(r"[ \t]+$", "", out.getvalue(), flags=re.M)
