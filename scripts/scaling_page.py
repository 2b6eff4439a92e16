"""What a client costs in docs/scaling.md, between the marks, and its plot, from load tests' rows.

for n in 50 100 200 300 400 600 800 1200 1600; do    # each into a folder of its own
    auror loadtest --clients $n --dim 10000 --rounds 3 --out runs/$n
    cp runs/$n/loadtest.json docs/results/loadtest/growth/$n.json
done
python scripts/scaling_page.py --plan     # time the plan's operations on this machine anew
python scripts/scaling_page.py            # write table and plot from rows and plan
"""

from __future__ import annotations

import argparse
import json
import math
import os
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

from auror.programs.loadtest import LoadTest
from auror.report.plots import RC, svg_of
from auror.round.arithmetic import check_round
from auror.secagg.topology import Topology
from auror.tools.costs import Demand
from auror.tools.plan import make_plan

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "scaling.md"
GROWTH = ROOT / "docs" / "results" / "loadtest" / "growth"
PLAN, PLOT = GROWTH / "plan.json", GROWTH / "growth.svg"
BEGIN, END = "<!-- cost: scripts/scaling_page.py -->\n", "<!-- end of cost -->\n"
FAR = {100_000: 15, 1_000_000: 12}
"""Clients → bits of an entry, the most that the ring of 32 bits holds of so many."""
SURE = 0.95

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Cost:
    """What is fitted: a client's part in a round."""

    key: str
    name: str
    of: Callable[[Row], float]
    panel: int
    colour: str


def _each(row: Row, name: str) -> float:
    return float(row[name] / row["test"]["clients"])


def _rounds(row: Row) -> int:
    return int(row["rounds_finished"] + row["rounds_aborted"])


def _memory(row: Row) -> float:
    """Beyond what the server holds before anybody is connected."""
    alone = row["moments"][0]["server_rss"]
    return float((row["server_peak_rss_bytes"] - alone) / row["test"]["clients"] / 1e3)


_BLUE, _ORANGE = "#0072B2", "#E69F00"
COSTS = (
    Cost("server", "server, CPU ms", lambda r: 1e3 * _each(r, "server_cpu_per_round"), 0, _BLUE),
    Cost("client", "client, CPU ms", lambda r: 1e3 * _each(r, "swarm_cpu_per_round"), 0, _ORANGE),
    Cost("up", "up, kB", lambda r: _each(r, "bytes_up") / _rounds(r) / 1e3, 1, _BLUE),
    Cost("down", "down, kB", lambda r: _each(r, "bytes_down") / _rounds(r) / 1e3, 1, _ORANGE),
    Cost("memory", "server's memory, kB", _memory, 2, _BLUE),
)
_PANELS = ("CPU ms a client and round", "kB a client and round", "kB of the server a client")


@dataclass(frozen=True)
class Fit:
    """factor · n^exponent through logarithms, by least squares."""

    exponent: float
    factor: float
    half: float
    """Half the width of the exponent's interval (``SURE``)."""
    spread: float
    """Standard deviation of the logarithms' residuals."""
    ns: tuple[int, ...]

    @classmethod
    def of(cls, ns: Sequence[int], values: Sequence[float]) -> Fit:
        x, y = np.log(ns), np.log(values)
        line = stats.linregress(x, y)
        residuals = y - (line.intercept + line.slope * x)
        spread = math.sqrt(float(np.sum(residuals**2)) / (len(ns) - 2))
        times = float(stats.t.ppf((1 + SURE) / 2, len(ns) - 2))
        return cls(
            float(line.slope), math.exp(line.intercept), times * float(line.stderr), spread,
            tuple(ns),
        )  # fmt: skip

    def at(self, n: float) -> float:
        return float(self.factor * n**self.exponent)

    def times(self, n: float) -> float:
        """The interval of the curve at ``n`` is from at(n) / times to at(n) · times."""
        x = np.log(self.ns)
        away = (math.log(n) - x.mean()) ** 2 / float(np.sum((x - x.mean()) ** 2))
        t = float(stats.t.ppf((1 + SURE) / 2, len(self.ns) - 2))
        return math.exp(t * self.spread * math.sqrt(1 / len(self.ns) + away))


def rows() -> list[Row]:
    """By clients."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in GROWTH.glob("[0-9]*.json")]
    return sorted(found, key=lambda row: int(row["test"]["clients"]))


def wired(row: Row) -> Topology:
    """The graph that a row's rounds had."""
    test = LoadTest(**row["test"])
    return check_round(test.params(), test.clients)


def plans(measured: Sequence[Row]) -> list[dict[str, Any]]:
    """What the plan says, with this machine's speeds, of the largest size measured and of
    ``FAR``."""
    last, found = LoadTest(**measured[-1]["test"]), []
    for clients, bits in {last.clients: last.quantisation_bits, **FAR}.items():
        params = replace(last.params(), quantisation_bits=bits)
        made = make_plan(Demand(clients=clients, colluders=0, params=params, dim=last.dim))
        found.append(
            {
                "clients": clients,
                "bits": bits,
                "degree": made.topology.degree,
                "load_average": os.getloadavg()[0],
                **asdict(made.cost),
            }
        )
    return found


def section(measured: Sequence[Row], planned: Sequence[Row]) -> str:
    """What stands between the marks."""
    return "\n" + "\n".join(_section(measured, planned)) + "\n\n"


def _section(measured: Sequence[Row], planned: Sequence[Row]) -> Iterator[str]:
    fits = fitted(measured)
    sparse = [row["test"]["clients"] for row in measured if not wired(row).complete]
    test, machine = measured[0]["test"], measured[0]["machine"]
    others = [row["cores"]["others"] for row in measured]
    yield _filled(
        f"{test['dim']:,} entries, {test['rounds']} rounds, dropout {test['dropout']:g},"
        f" {test['classes']} classes; {machine['cores']} cores ({machine['processor']}), of which"
        f" other programs took {max(others):.2f} at most meanwhile. The CPU's seconds"
        " still differ by a quarter from hour to hour: both cores are part of a larger machine."
        " Every total was exact. Bytes are message bodies and frames, the model among them."
        " Memory is the server's peak less what it holds before anybody is connected."
    )
    for row in measured:
        if row["rounds_aborted"]:
            yield ""
            yield _filled(
                f"With {row['test']['clients']:,} clients {row['rounds_aborted']} of"
                f" {_rounds(row)} rounds had no total; what they cost is in the means."
            )
    yield ""
    yield f"| clients | neighbours | {' | '.join(cost.name for cost in COSTS)} |"
    yield "|---" * (2 + len(COSTS)) + "|"
    for row in measured:
        cells = [f"{row['test']['clients']:,}", str(wired(row).degree)]
        cells += [f"{cost.of(row):.1f}" for cost in COSTS]
        yield f"| {' | '.join(cells)} |"
    cells = [f"{fit.exponent:+.2f} ± {fit.half:.2f}" for fit in fits.values()]
    yield f"| **exponent in n** | | {' | '.join(cells)} |"
    yield ""
    yield _filled(
        f"The exponents are fitted to the sizes from {sparse[0]} on, with intervals of"
        f" {100 * SURE:.0f} %: in smaller cohorts everybody is everybody's neighbour, so a client's"
        " cost grows with all others there. They are of one client's cost: with 0 the whole"
        " server's is linear."
    )
    yield ""
    yield "![Cost of a client by clients](results/loadtest/growth/growth.svg)"
    yield ""
    yield _filled(
        "Beyond what was measured: *fit* is the curve, with the factor within which its interval"
        " is; *plan* is `auror plan` with nobody colluding, and the model added to what comes"
        f" down. Its seconds are operations counted and timed at a load average of"
        f" {planned[0]['load_average']:.0f}, of the arithmetic alone, and its server only unmasks."
    )
    yield ""
    yield "| clients | | " + " | ".join(cost.name for cost in COSTS) + " |"
    yield "|---" * (2 + len(COSTS)) + "|"
    for plan in planned:
        n = plan["clients"]
        cells = [f"{_short(fit.at(n))} ×/÷ {fit.times(n):.2g}" for fit in fits.values()]
        yield f"| {n:,} | fit | {' | '.join(cells)} |"
        cells = [_short(value) for value in plan_values(plan, test["dim"]).values()]
        yield f"| | plan | {' | '.join(cells)} | – |"
    yield ""
    near, far = planned[0], planned[-1]
    known, farthest = plan_values(near, test["dim"]), plan_values(far, test["dim"])
    n = near["clients"]
    parts = {key: f"{100 * known[key] / fits[key].at(n):.0f} %" for key in ("client", "server")}
    wider = farthest["down"] / fits["down"].at(far["clients"])
    within = fits["server"].times(far["clients"])
    yield _filled(
        f"At {n:,} clients the plan's operations are {parts['client']} of a client's CPU, and"
        f" unmasking is {parts['server']} of the server's: the rest is messages, one by one through"
        f" gRPC and Python, and the verdict. At {far['clients']:,} what comes down is planned"
        f" {wider:.1f} × the fit: the bitmaps of the sets, n / 8 bytes each, are lost in what was"
        " measured and nine tenths of it there. So for bytes the formula is to be believed, which"
        " counts them, not a power law. For the CPU neither is: the plan leaves out what the"
        f" messages cost, and the fit, within a factor of {within:.2g},"
        f" supposes that nothing new costs anything until {far['clients'] // n:,} times as many."
    )


def fitted(measured: Sequence[Row]) -> dict[str, Fit]:
    """Of every cost, through the sizes with a sparse graph."""
    sparse = [row for row in measured if not wired(row).complete]
    ns = [int(row["test"]["clients"]) for row in sparse]
    return {cost.key: Fit.of(ns, [cost.of(row) for row in sparse]) for cost in COSTS}


def plan_values(plan: Row, dim: int) -> dict[str, float]:
    """In the units of ``COSTS``."""
    return {
        "server": 1e3 * plan["server_seconds"] / plan["clients"],
        "client": 1e3 * plan["client_seconds"],
        "up": plan["client_bytes_up"] / 1e3,
        "down": (plan["client_bytes_down"] + 4 * dim) / 1e3,
    }


def plot(measured: Sequence[Row]) -> str:
    """SVG: points, hollow where the graph is complete, and the fits."""
    fits = fitted(measured)
    with mpl.rc_context(RC):
        figure = Figure(figsize=(10, 3.4), layout="constrained")
        FigureCanvasAgg(figure)
        for axes, title in zip(figure.subplots(1, len(_PANELS)), _PANELS, strict=True):
            axes.set_title(title, fontsize=11)
            axes.set_xscale("log")
            axes.set_xlabel("clients")
        for cost in COSTS:
            axes, fit = figure.axes[cost.panel], fits[cost.key]
            for row in measured:
                inside = "white" if wired(row).complete else cost.colour
                axes.plot(
                    row["test"]["clients"], cost.of(row), "o", color=cost.colour, mfc=inside, ms=5
                )
            curve = np.geomspace(fit.ns[0], fit.ns[-1], 50)
            axes.plot(
                curve, [fit.at(n) for n in curve], color=cost.colour,
                label=f"{cost.name.partition(',')[0]}: n^{fit.exponent:.2f}",
            )  # fmt: skip
        for axes in figure.axes:
            axes.legend(frameon=False, fontsize=10, loc="best")
            axes.set_ylim(bottom=0)
            axes.minorticks_off()
            ticks = [row["test"]["clients"] for row in measured][::2]
            axes.set_xticks(ticks, [f"{n:,}" for n in ticks])
        return svg_of(figure, "cost of a client by clients")


def page(text: str) -> str:
    """``text`` with the section of the committed rows.

    Raises:
        ValueError: a mark is missing.
    """
    head, rest = text.split(BEGIN)
    _old, tail = rest.split(END)
    planned = json.loads(PLAN.read_text(encoding="utf-8"))
    return head + BEGIN + section(rows(), planned) + END + tail


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _filled(text: str) -> str:
    return textwrap.fill(text, 120)


def main() -> None:
    """Write the section and the plot, or the plan."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--plan", action="store_true", help="time the plan's operations, no more")
    if parser.parse_args().plan:
        PLAN.write_text(json.dumps(plans(rows()), indent=1) + "\n", encoding="utf-8")
        return
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    PLOT.write_text(plot(rows()), encoding="utf-8")


if __name__ == "__main__":
    main()
