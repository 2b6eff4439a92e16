"""The model card: what a model is, what it was trained on, and what that cost whom.

No sample is in it, nor anything that a server did not know. ``card_json`` is the whole; the page of
Markdown says the same in words.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

from auror.deployment.model_file import model_sha256, tensor_shapes
from auror.errors import DataError
from auror.experiments.finished import FinishedRun
from auror.report.pages import template

Json = dict[str, Any]
_OF_VERDICT = ("source", "target", "strength", "required", "groups")
_PER_CLIENT = ("statistic_recovery_of", "update_recovery_of")


def card_json(run: FinishedRun) -> Json:
    """Everything, as JSON values.

    Raises:
        DataError: the run trained no model, or its task cannot be read.
    """
    model = run.need_model()
    try:
        task = json.loads(run.task)
        shapes = tensor_shapes(run.task)
    except ValueError as error:
        raise DataError(f"{run.folder}: the task cannot be read: {error}") from error
    return {
        "model": {
            "sha256": model_sha256(model),
            "entries": int(model.size),
            "tensors": {name: list(shape) for name, shape in shapes.items()},
        },
        "task": task,
        "task_sha256": hashlib.sha256(run.task).hexdigest(),
        "data": run.data,
        "training": _training(run),
        "metrics": run.metrics.to_dict() if run.metrics else None,
        "verdict": _verdict(run),
        "policy": _policy(run),
        "privacy": _privacy(run),
        "versions": dict(run.versions),
    }


def card_markdown(card: Json, loading: str) -> str:
    """``card`` in words; ``loading``: how to load the file that lies beside it."""
    model = card["model"]
    rows = [(name, shape, math.prod(shape)) for name, shape in model["tensors"].items()]
    client = "client" in card["training"]  # who was given the model, and saw no rounds
    return template("card.md").render(card=card, rows=rows, loading=loading, client=client)


def _training(run: FinishedRun) -> Json:
    """Rounds by how they ended; ``era``: trainings begun before the one that made this model."""
    records, given = run.records, run.released
    if given is not None:
        return {"client": given.client, "era": given.era, "step": given.step}
    if not records:
        last = run.history[-1]
        return {"rounds": len(run.history), "era": last.era, "complete": run.complete}
    era = records[-1].era
    return {
        "rounds": len(records),
        "aborted": sum(record.aborted is not None for record in records),
        "era": era,
        "totals_in_era": sum(r.era == era and r.aborted is None for r in records),
        "clients": len({client for record in records for client in record.cohort}),
        "complete": run.complete,
    }


def _verdict(run: FinishedRun) -> Json | None:
    """Who was found and on what evidence; None where nobody looked."""
    if run.verdict is None and not run.flagged and not run.excluded:
        return None
    accused = {int(client) for client in (run.verdict or {}).get("flagged", ())}
    return {
        "flagged": [int(client) for client in run.flagged],
        "suspected": sorted(accused - set(run.flagged)),
        "excluded": [int(client) for client in run.excluded],
        **{name: (run.verdict or {}).get(name) for name in _OF_VERDICT},
    }


def _policy(run: FinishedRun) -> Json | None:
    if run.policy is None:
        return None
    return {
        "deployment": run.policy.name,
        "version": run.policy.version,
        "sha256": run.policy.digest().hex(),
        "members": len(run.policy.members),
    }


def _privacy(run: FinishedRun) -> Json | None:
    """The account without its lines per client."""
    if run.account is None:
        return None
    return {name: value for name, value in run.account.items() if name not in _PER_CLIENT}
