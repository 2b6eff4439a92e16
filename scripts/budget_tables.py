"""The tables of docs/results/budget.md, from what ``budget_attacks.py`` measured."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Json = dict[str, Any]
Key = tuple[Any, ...]


def render(made: Sequence[Json]) -> str:
    """The page; every figure in it comes from ``made``, one entry per seed."""
    seeds = ", ".join(str(one["seed"]) for one in made)
    lines = [
        "# What a server that lies about models and totals recovers",
        "",
        _wrapped(
            "Rendered from `budget.json`, which `python scripts/budget_attacks.py` measures (seeds"
            f" {seeds}). 30 clients under the policy of `auror certs` (g = 5, c = 3), mnist5k, mlp,"
            " the pinned task; no client lies unless it says so. Local training and group draws"
            " are the project's own; sums are computed directly."
        ),
        "",
    ]
    for section in (_recovery, _imprint, _whose):
        lines += [*section(made), ""]
    return "\n".join(lines)


def _recovery(made: Sequence[Json]) -> list[str]:
    grouped = _grouped(
        (one["recovery"] for one in made), lambda row: (row["server"], row["rounds"])
    )
    lines = [
        "## Over rounds",
        "",
        _wrapped(
            "R² of the best linear estimate of a client's own mean over the rounds, as"
            " `auror.privacy` computes it: 0 = nothing, 1 = all; what all clients have in common is"
            " granted to it. *Mean*: over clients and seeds, in"
            " brackets the lowest and highest mean of a seed. *Worst*: the worst client of the"
            " worst seed. Where one client is aimed at (several choices per seed), *worst* is that"
            " client: mean, highest."
        ),
        "",
        "| what the server does | rounds | statistics: mean | worst | updates: mean | worst |",
        "|---|---|---|---|---|---|",
    ]
    for (server, rounds), seeds in grouped.items():
        cells = [str(server), str(rounds)]
        for what in ("statistics", "updates"):
            means = [statistics.mean(row[what]["mean"] for row in rows) for rows in seeds]
            worst = [row[what]["worst"] for rows in seeds for row in rows]
            aimed = seeds[0][0]["chosen"] is not None
            both = f"{_r2(statistics.mean(worst))}, {_r2(max(worst))}"
            cells += [_spread(means, _r2), both if aimed else _r2(max(worst))]
        lines.append(f"| {' | '.join(cells)} |")
    pixels = [one["pixels"] for one in made]
    still = _spread([one["constant"] for one in pixels], "{:.0f}".format)
    change = max(one["update_change"] for one in pixels)
    return [
        *lines,
        "",
        _item(
            "*honest run*: the project's own campaign, verdicts and audits included. Its groups and"
            " totals are used again in the rows *frozen* and *constant pixels moved*."
        ),
        _item("*first model*: of the era; the other one comes from the honest run."),
        _item(
            f"*constant pixels moved*: {still} pixels are dark in every sample of the server's own."
            f" Moving their weights by {100 * pixels[0]['move']:g} % of the model's norm changes"
            f" all updates together by {100 * change:.2g} % of their norm at most (a few samples"
            " of clients do light them)."
        ),
        _item(
            "*half left out*: all upload; half of the groups make the total, which is the floor."
        ),
        _item(
            "*cohorts of 20*: the chosen client and 19 others that change, totals of 10 with the"
            " chosen client in them; every third round is one of all 30."
        ),
        _item(
            "*C+{v,a}, C+{v,b}, C+{a,b}*: cohorts of 20, all of them in the total; C, a and b are"
            " drawn anew every three rounds. *D and D+{v}*: cohorts of 20 and 21 in turn, the same."
        ),
        _item("*220 rounds* are all attempts of the budget."),
        _item(
            "The last row is another policy (c = 9): who is flagged in the first training is not in"
            " the second."
        ),
    ]


def _imprint(made: Sequence[Json]) -> list[str]:
    rows = ([row for row in one["imprint"] if "images" in row] for one in made)
    grouped = _grouped(rows, lambda row: (row["training"], row["clients"], row["noise"]))
    lines = [
        "## Images from a model made to imprint them",
        "",
        _wrapped(
            "A hidden layer of brightness thresholds (`auror.learn.imprint`). *Images*: different"
            " training images seen at 30 dB or better, *PSNR*: median of theirs; mean over seeds,"
            " in brackets the lowest and highest."
        ),
        "",
        "| training | clients | noise | images | PSNR, dB | accuracy |",
        "|---|---|---|---|---|---|",
    ]
    for (training, clients, noise), seeds in grouped.items():
        flat = [row for found in seeds for row in found]
        psnr = [row["psnr"] for row in flat if row["psnr"] is not None]
        accuracy = [row["accuracy"] for row in flat if "accuracy" in row]
        cells = [
            training,
            str(clients),
            f"{noise:g}" if noise else "–",
            _spread([row["images"] for row in flat], "{:.0f}".format),
            _spread(psnr, "{:.0f}".format) if psnr else "–",
            f"{statistics.mean(accuracy):.3f}" if accuracy else "–",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    quiet = [row["accuracy"] for one in made for row in one["imprint"] if "images" not in row]
    return [
        *lines,
        "",
        _item("One total, unless it says ten; the server moves its thresholds between totals."),
        _item(
            "The first model of an era is pinned by its hash: an imprint can come from the second"
            " step on."
        ),
        _item(
            "*noise*: standard deviation of normal noise that each client adds to every entry of"
            " its update. Per seed the server takes the best of several settings. *Accuracy*: of"
            " honest training for 30 rounds with such noise; without it"
            f" {statistics.mean(quiet):.3f}. Auror adds no noise itself."
        ),
        _item("A total shows one image between two thresholds: 62 at most for 64 hidden units."),
    ]


def _whose(made: Sequence[Json]) -> list[str]:
    grouped = _grouped((one["whose"] for one in made), lambda row: (row["rounds"],))
    lines = [
        "## Whose a sample is",
        "",
        _wrapped(
            "AUC of naming the owner of a training sample among 30 clients after an honest run,"
            " over the 5 % most telling samples (`auror.privacy.whose`); .5 is guessing. Mean over"
            " seeds, in brackets the lowest and highest."
        ),
        "",
        "| rounds | from sums, g = 5 | in the clear, g = 1 |",
        "|---|---|---|",
    ]
    for (rounds,), seeds in grouped.items():
        flat = [row for found in seeds for row in found]
        cells = [_spread([row[name] for row in flat], _r2) for name in ("sums", "clear")]
        lines.append(f"| {rounds} | {' | '.join(cells)} |")
    return lines


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 118, break_on_hyphens=False)


def _item(text: str) -> str:
    return textwrap.fill(f"- {text}", 118, subsequent_indent="  ", break_on_hyphens=False)


def _grouped(
    seeds: Iterable[Sequence[Json]], key: Callable[[Json], Key]
) -> dict[Key, list[list[Json]]]:
    """Rows of equal key, per seed, in the order of the first seed."""
    found: dict[Key, list[list[Json]]] = {}
    for rows in seeds:
        one: dict[Key, list[Json]] = {}
        for row in rows:
            one.setdefault(key(row), []).append(row)
        for name, alike in one.items():
            found.setdefault(name, []).append(alike)
    return found


def _spread(values: Sequence[float], form: Callable[[float], str]) -> str:
    return f"{form(statistics.mean(values))} ({form(min(values))}–{form(max(values))})"


def _r2(value: float) -> str:
    """.87, but .996 near 1."""
    text = f"{value:.{2 if value < 0.985 else 3}f}"
    return text.lstrip("0") if value < 1 else text
