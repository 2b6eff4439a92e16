"""One self-contained page about a run: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from auror.errors import DataError
from auror.experiments.config import RunName
from auror.experiments.files import write_text
from auror.experiments.result import ExperimentResult
from auror.report.pages import naming, template
from auror.report.plots import OWN_METRIC, figures, label_of

Json = dict[str, Any]
CAPTIONS = {
    "accuracy": "Accuracy on the test samples after every round of the four runs.",
    "attack-success": "How many test samples of the source class were labelled as the target"
    " class. A clean model makes this mistake too, so compare the lines.",
    "suspicion": "The score of every client as the verdict stood after each round. Scores come"
    " from group sums only; no client's own statistics were ever opened.",
    "scores": "The last scores. Hatched bars are the clients that really were malicious, which"
    " the defence is not told; a cross is a flag.",
    "evidence": "What the defence decoded: how much more than others a client labels what looks"
    " like one class as another.",
}


_OWN = "What the task measures, on the test samples, after every round of the four runs."


def write_report(folder: Path, result: ExperimentResult, summary: Json, manifest: Json) -> None:
    """Write ``plots/*.svg`` and ``report.html``.

    Raises:
        DataError: the folder cannot be written.
    """
    drawn = figures(result)
    try:
        for name, svg in drawn.items():
            write_text(folder / "plots" / f"{name}.svg", '<?xml version="1.0"?>\n' + svg)
        write_text(folder / "report.html", page(result, summary, manifest, drawn))
    except OSError as error:
        raise DataError(f"cannot write report in {folder}: {error.strerror}") from error


def page(result: ExperimentResult, summary: Json, manifest: Json, drawn: dict[str, str]) -> str:
    """The report as HTML; ``drawn`` are SVGs by name."""
    found = result.defended
    named = naming(result.task)
    return template("report.html", percent=percent, number=number, named=named).render(
        summary=summary,
        config=result.config.to_dict(),
        manifest=manifest,
        runs=[(label_of(run, result), run.value, summary[run.value]) for run in RunName],
        own_metrics=result.own_metrics,
        figures=[(drawn[name], caption) for name, caption in CAPTIONS.items() if name in drawn]
        + [(svg, _OWN) for name, svg in drawn.items() if name.startswith(OWN_METRIC)],
        verdict=found.verdict if found else None,
        clients=_clients(result),
        privacy=privacy_rows(summary["privacy"]) if summary["privacy"] else [],
        attack=result.config.attack,
        transport=result.transport.value,
        aborted=[r for r in found.records if r.aborted is not None] if found else [],
    )


def _clients(result: ExperimentResult) -> list[Json]:
    """A row per client: what is known, what was decided and why."""
    found = result.defended
    if found is None or not found.suspicion:
        return []
    plain = found.verdict or {}
    reasons = {int(entry["client"]): entry for entry in plain.get("clients", [])}
    scores = found.suspicion[-1].scores
    first = {c: s.round + 1 for s in reversed(found.suspicion) for c in s.flagged}
    recovery = found.privacy.get("statistic_recovery_of") or {}
    return [
        {
            "client": int(client),
            "score": scores[client],
            "flagged": client in found.flagged,
            "suspected": client in found.suspected,
            "since": first.get(client),
            "malicious": client in result.malicious,
            "poisoned": result.poisoned.get(client, 0),
            "confidence": reasons.get(client, {}).get("confidence"),
            "groups": reasons.get(client, {}).get("groups"),
            "reason": _reason(reasons.get(client, {}), client in found.flagged),
            "recovery": recovery.get(str(client)),
        }
        for client in sorted(scores, key=lambda c: (-scores[c], c))
    ]


def _reason(entry: Json, flagged: bool) -> str:
    """What the last verdict says, also of whom it does not accuse any more."""
    reason = str(entry.get("reason", ""))
    overruled = flagged and not entry.get("flagged", True)
    return f"{reason}; flagged after audited rounds" if overruled else reason


def privacy_rows(account: Json) -> list[tuple[str, str, str]]:
    """(name, value, meaning in plain words)."""
    collusion = account.get("collusion") or {}
    colluders = collusion.get("colluders")
    rows: list[tuple[str, object, str]] = [
        ("group size g", account["group_size"], "clients whose statistics are only seen as a sum"),
        ("smallest opened group", account["smallest_group"], "after dropouts"),
        (
            "leverage per round",
            account["leverage_per_round"],
            "part of one client's statistics that a single round's opening holds (1 = all)",
        ),
        (
            "openings",
            account["groups_opened"],
            f"group sums opened in {account['rounds_opened']} rounds, attempts included",
        ),
        (
            "rounds that opened label rows",
            account["rounds_watched"],
            "the others opened challenge rows only, which tell nobody apart",
        ),
        (
            "bits opened per group",
            account["bits_opened_per_group"],
            "64 for each statistic: the most that any encoding could put in",
        ),
        (
            "bits an honest sum can hold",
            account["bits_of_range_per_group"],
            "from the range of each statistic",
        ),
        (
            "totals per model",
            account["totals_per_model"],
            "accepted totals opened from one model; more than 1 would expose a difference",
        ),
        (
            f"openings with one honest member (c = {colluders})",
            collusion.get("single_honest_openings"),
            "expected number, if that many unknown clients collude with the server",
        ),
        (
            f"fewest honest members (c = {colluders})",
            collusion.get("likely_fewest_honest"),
            "median, over the run's openings that hold an honest member",
        ),
        (
            "statistics recovered",
            account["statistic_recovery"],
            "R² of the best linear estimate of a client's own mean: what finding anybody costs",
        ),
        (
            "updates recovered",
            account["update_recovery"],
            "the same for a client's own mean full update",
        ),
    ]
    return [(name, number(value), meaning) for name, value, meaning in rows]


def percent(value: float | None) -> str:
    """Of a fraction; – for what is not known."""
    return "–" if value is None else f"{100 * value:.1f} %"


def number(value: object) -> str:
    """Short, and readable at any size."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case float():
            if abs(value) >= 1000:
                return f"{value:,.0f}"
            return f"{value:.2f}" if abs(value) >= 0.01 or value == 0 else f"{value:.2g}"
        case _:
            return str(value)
