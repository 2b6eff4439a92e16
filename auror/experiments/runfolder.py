"""The folder a run leaves behind: written whole, read back whole.

config.json        every setting, as resolved
summary.json       the published JSON object
verdict.json       who is flagged and why, the verdict after every round, decoded evidence
rounds.jsonl       a line per round and run: metrics, and for the defended run its record
task.json          what was trained, as an operator would sign it
model.safetensors  the final model's tensors by name
manifest.json      versions, platform, command, which data, digests of the files above
plots/*.svg        figures
report.html        all of it on one page, self-contained
"""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auror.deployment.model_file import MODEL_FILE, model_bytes, read_model
from auror.errors import DataError
from auror.experiments.config import ExperimentConfig, Medium, RunName
from auror.experiments.files import read_json, write_bytes, write_json, write_text
from auror.experiments.result import (
    DecodedEstimates,
    Defended,
    ExperimentResult,
    HistoryPoint,
    Metrics,
    RunOutcome,
    Suspicion,
    UnderRule,
)
from auror.experiments.versions import versions
from auror.ids import ClientId
from auror.round.record import RoundRecord
from auror.round.record_json import record_from_json, record_to_json

Json = dict[str, Any]
TASK_FILE = "task.json"
_NAMED = (
    "config.json", "summary.json", "verdict.json", "rounds.jsonl", TASK_FILE, MODEL_FILE,
)  # fmt: skip
_NO_METRICS = ("run", "round", "era", "record")


@dataclass(frozen=True)
class SavedRun:
    """A run folder read back. Models other than the final one are not kept."""

    result: ExperimentResult
    summary: Json
    manifest: Json
    model: NDArray[np.float32]
    task: bytes
    """Canonical text of what was trained."""


def write_run(folder: Path, result: ExperimentResult, task: bytes, data: Json) -> Json:
    """Write everything but plots and report; returns the manifest.

    ``task``: the canonical text; ``data``: see ``auror.learn.fingerprint``.

    Raises:
        DataError: the folder cannot be written.
    """
    try:
        write_json(folder / "config.json", result.config.to_dict())
        write_json(folder / "summary.json", summary_of(result, folder))
        write_json(folder / "verdict.json", _verdict(result))
        lines = [json.dumps(line, allow_nan=False) for line in _rounds(result)]
        write_text(folder / "rounds.jsonl", "".join(f"{line}\n" for line in lines))
        write_bytes(folder / TASK_FILE, task)
        write_bytes(folder / MODEL_FILE, model_bytes(task, result.model))
        manifest = _manifest(folder, result, data)
        write_json(folder / "manifest.json", manifest)
    except OSError as error:
        raise DataError(f"cannot write run folder {folder}: {error.strerror}") from error
    return manifest


def read_run(folder: Path) -> SavedRun:
    """Read back what ``write_run`` wrote.

    Raises:
        DataError: a file is missing, damaged or of another version.
    """
    summary = read_json(folder / "summary.json")
    manifest = read_json(folder / "manifest.json")
    for name in _NAMED:
        _check_digest(folder / name, manifest)
    config = ExperimentConfig.from_dict(read_json(folder / "config.json"))
    model = read_model(folder / MODEL_FILE)
    try:
        result = _result(
            config, summary, read_json(folder / "verdict.json"), _lines(folder), manifest, model
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder} was written by another version of auror: {error}") from error
    return SavedRun(result, summary, manifest, model, (folder / TASK_FILE).read_bytes())


def summary_of(result: ExperimentResult, folder: Path | None) -> Json:
    """The published object; with the transport and the folder where there are any to name."""
    summary = result.summary()
    if result.transport is not Medium.MEMORY:
        summary["transport"] = result.transport.value
    if folder is not None:
        summary["run"] = str(folder)
    return summary


def _check_digest(path: Path, manifest: Json) -> None:
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    if manifest.get("sha256", {}).get(path.name) != digest:
        raise DataError(f"{path} is not the file that was written: its digest differs")


def _manifest(folder: Path, result: ExperimentResult, data: Json) -> Json:
    return {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions(),
        "seed": result.config.seed,
        "data": data,
        "sha256": {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in _NAMED
        },
    }


def _verdict(result: ExperimentResult) -> Json | None:
    found = result.defended
    if found is None:
        return None
    return {
        "verdict": found.verdict,
        "flagged": list(found.flagged),
        "excluded": sorted(client for record in found.records for client in record.excluded),
        "audits": {
            "probability": result.config.round_params.audit_probability,
            "groups": {
                str(record.index): [list(record.groups[index]) for index in record.audited]
                for record in found.records
                if record.audited
            },
        },
        "by_round": [
            {**asdict(entry), "scores": {str(c): s for c, s in entry.scores.items()}}
            for entry in found.suspicion
        ],
        "evidence": None
        if found.evidence is None
        else {
            "clients": list(found.evidence.clients),
            "pairs": [list(pair) for pair in found.evidence.pairs],
            "effects": np.round(found.evidence.effects, 4).tolist(),
        },
    }


def _rounds(result: ExperimentResult) -> list[Json]:
    records = {} if result.defended is None else {r.index: r for r in result.defended.records}
    return [
        {
            "run": run.value,
            "round": point.round,
            "era": point.era,
            **point.metrics.to_dict(),
            **(
                {"record": record_to_json(records[point.round])}
                if run is RunName.DEFENDED and point.round in records
                else {}
            ),
        }
        for run, outcome in result.outcomes.items()
        for point in outcome.history
    ]


def _lines(folder: Path) -> list[Json]:
    text = (folder / "rounds.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _result(
    config: ExperimentConfig,
    summary: Json,
    verdict: Json | None,
    lines: list[Json],
    manifest: Json,
    model: NDArray[np.float32],
) -> ExperimentResult:
    histories: dict[RunName, list[HistoryPoint]] = {}
    records: list[RoundRecord] = []
    for line in lines:
        metrics = Metrics.of({k: v for k, v in line.items() if k not in _NO_METRICS})
        points = histories.setdefault(RunName(line["run"]), [])
        points.append(HistoryPoint(line["round"], line["era"], metrics))
        if "record" in line:
            records.append(record_from_json(line["record"]))
    stages = summary["stages"]
    return ExperimentResult(
        config=config,
        malicious=_clients(summary["malicious"]),
        poisoned={ClientId(int(c)): n for c, n in summary["poisoned_samples"].items()},
        outcomes={
            run: RunOutcome(tuple(points), stages.get(run.value, 0.0), model)
            for run, points in histories.items()
        },
        defended=None if verdict is None else _defended(verdict, summary, tuple(records)),
        seconds=summary["seconds"],
        transport=Medium(summary.get("transport", Medium.MEMORY.value)),
        stages=stages,
        under_rule=_under_rule(summary) if summary.get("plaintext_updates") else None,
    )


def _under_rule(summary: Json) -> UnderRule:
    left_out = summary["left_out"]
    return UnderRule(
        None if left_out is None else {ClientId(int(c)): part for c, part in left_out.items()},
        summary["privacy"],
    )


def _defended(verdict: Json, summary: Json, records: tuple[RoundRecord, ...]) -> Defended:
    evidence = verdict["evidence"]
    return Defended(
        records=records,
        flagged=_clients(verdict["flagged"]),
        verdict=verdict["verdict"],
        suspicion=tuple(
            Suspicion(
                round=entry["round"],
                strength=entry["strength"],
                required=entry["required"],
                scores={ClientId(int(c)): score for c, score in entry["scores"].items()},
                flagged=_clients(entry["flagged"]),
            )
            for entry in verdict["by_round"]
        ),
        evidence=None
        if evidence is None
        else DecodedEstimates(
            _clients(evidence["clients"]),
            tuple((source, target) for source, target in evidence["pairs"]),
            np.array(evidence["effects"], dtype=np.float64),
        ),
        privacy=summary["privacy"],
        clipped=summary["clipped_share"],
    )


def _clients(values: list[int]) -> tuple[ClientId, ...]:
    return tuple(ClientId(int(value)) for value in values)
