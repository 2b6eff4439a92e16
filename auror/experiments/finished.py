"""A run that is over, whoever made it: ``auror simulate``, ``auror demo`` or ``auror-server``; or
the model of one that an ``auror-client`` was given.

What export, evaluation and reports need of a run is the same for all of them; this is where the
three kinds of folder are told apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auror.deployment.model_file import MODEL_FILE, model_sha256, read_model
from auror.deployment.policy_file import POLICY_FILE, parse_policy
from auror.deployment.released import RELEASED_FILE, Released, read_released
from auror.deployment.run_reader import RunReader
from auror.errors import ConfigError, DataError
from auror.experiments.files import read_json
from auror.experiments.result import FRACTIONS, HistoryPoint, Metrics
from auror.experiments.runfolder import SavedRun, read_run
from auror.experiments.versions import versions
from auror.ids import ClientId
from auror.privacy.account import account_of
from auror.round.policy import Policy
from auror.round.record import RoundRecord
from auror.round.record_json import record_from_json

Json = dict[str, Any]
SAMPLES_FILE = "samples.json"


@dataclass(frozen=True)
class FinishedRun:
    """What a run folder says, the model included."""

    folder: Path
    task: bytes
    """Canonical text of what was trained."""
    model: NDArray[np.float32] | None
    """None: no round trained."""
    records: tuple[RoundRecord, ...]
    """Of the run that the model is from; () of one without the protocol (plain averaging)."""
    history: tuple[HistoryPoint, ...]
    """Metrics after every round that measured any."""
    flagged: tuple[ClientId, ...]
    excluded: tuple[ClientId, ...]
    verdict: Json | None
    account: Json | None
    data: Json
    """See ``auror.learn.fingerprint``."""
    versions: Mapping[str, str]
    policy: Policy | None
    """The signed one; None where nobody signed any."""
    complete: bool
    """Whether the training came to its end."""
    experiment: SavedRun | None
    """Everything else, where ``auror simulate`` or ``auror demo`` made the folder."""
    lines: tuple[Json, ...] = ()
    """What a server kept of its rounds beside the records."""
    released: Released | None = None
    """What a client knows; it has no records, metrics or verdict."""

    @property
    def metrics(self) -> Metrics | None:
        """As last measured."""
        return self.history[-1].metrics if self.history else None

    def need_model(self) -> NDArray[np.float32]:
        """Raises DataError when nothing was trained."""
        if self.model is None:
            raise DataError(f"{self.folder} has no {MODEL_FILE}: no round of this run trained")
        return self.model


def read_finished(folder: Path) -> FinishedRun:
    """The run in ``folder``.

    Raises:
        DataError: it is no run folder, or a file in it is damaged or of another version.
    """
    if (folder / "summary.json").exists():
        return _experiment(folder)
    if (folder / POLICY_FILE).exists() and RunReader(folder).exists:
        return _served(folder)
    if (folder / RELEASED_FILE).exists():
        return _given(folder)
    raise DataError(
        f"{folder} is no run folder: name what `auror simulate --out`, `auror demo`, the server's"
        " run_dir or a client's folder of the final model holds; it must have ended a round"
    )


def _experiment(folder: Path) -> FinishedRun:
    saved = read_run(folder)
    result, found = saved.result, saved.result.defended
    policy = folder / "server" / POLICY_FILE
    return FinishedRun(
        folder=folder,
        task=saved.task,
        model=saved.model,
        records=found.records if found else (),
        history=list(result.outcomes.values())[-1].history,
        flagged=result.flagged,
        excluded=_excluded(found.records if found else ()),
        verdict=found.verdict if found else None,
        account=found.privacy if found else None,
        data=saved.manifest.get("data", {}),
        versions=saved.manifest["versions"],
        policy=_policy(policy) if policy.exists() else None,
        complete=True,
        experiment=saved,
    )


def _served(folder: Path) -> FinishedRun:
    policy, reader = _policy(folder / POLICY_FILE), RunReader(folder)
    try:
        lines = tuple(reader.rounds())
        records = tuple(record_from_json(line) for line in lines)
        history = tuple(
            HistoryPoint(record.index, record.era, Metrics.of(_measured(line["metrics"])))
            for record, line in zip(records, lines, strict=True)
            if line["metrics"]
        )
        flagged = tuple(ClientId(int(c)) for c in lines[-1]["flagged_so_far"]) if lines else ()
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder} was written by another version: {error}") from error
    samples = folder / SAMPLES_FILE
    made = account_of(records, policy.params)
    model = folder / MODEL_FILE
    return FinishedRun(
        folder=folder,
        task=policy.task,
        model=read_model(model) if model.exists() else None,
        records=records,
        history=history,
        flagged=flagged,
        excluded=_excluded(records),
        verdict=reader.verdict(),
        account=dict(made.to_dict()),
        data=read_json(samples) if samples.exists() else {},
        versions=versions(),
        policy=policy,
        complete=reader.finished,
        experiment=None,
        lines=lines,
    )


def _given(folder: Path) -> FinishedRun:
    released, policy, model = (
        read_released(folder),
        _policy(folder / POLICY_FILE),
        read_model(folder / MODEL_FILE),
    )
    if model_sha256(model) != released.sha256:
        raise DataError(
            f"{folder}: {MODEL_FILE} is not the model that {RELEASED_FILE} names: the client was"
            " interrupted while it wrote; ask the operator for the model"
        )
    return FinishedRun(
        folder=folder,
        task=policy.task,
        model=model,
        records=(),
        history=(),
        flagged=(),
        excluded=(),
        verdict=None,
        account=None,
        data={},
        versions=versions(),
        policy=policy,
        complete=True,
        experiment=None,
        released=released,
    )


def _measured(metrics: Mapping[str, float | None]) -> dict[str, float | None]:
    """A server without labels measures none of the three; ``Metrics`` has places for them."""
    return {**dict.fromkeys(FRACTIONS), **metrics}


def _excluded(records: tuple[RoundRecord, ...]) -> tuple[ClientId, ...]:
    return tuple(sorted({client for record in records for client in record.excluded}))


def _policy(path: Path) -> Policy:
    try:
        return parse_policy(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, ConfigError) as error:
        raise DataError(f"{path} is not a policy of this version: {error}") from error
