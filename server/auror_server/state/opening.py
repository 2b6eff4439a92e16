"""A run folder at the start: a run begins, goes on, falls back to what is intact, or is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from auror.defence.ledger import RoundObservation
from auror.deployment.model_file import MODEL_FILE
from auror.deployment.policy_file import POLICY_FILE
from auror.deployment.run_reader import reading
from auror.deployment.run_tables import BLOBS, COPY, STATE, generations, runs
from auror.errors import ConfigError, DataError
from auror.ids import Digest
from auror.training.state import CampaignState
from auror.training.succession import stand_in
from auror_server.state import rows
from auror_server.state.blobs import BlobDamaged, Blobs
from auror_server.state.database import Database
from auror_server.state.identity import RunIdentity
from auror_server.state.run import RunState, first_rows

LEFT_BEHIND = ("config.toml", POLICY_FILE, MODEL_FILE, "verdict.json")
"""Files that only a run that has begun leaves."""

_NEWEST_FIRST = select(generations).order_by(generations.c.number.desc())
_NO_MODEL = np.zeros(0, dtype=np.float32)
FirstModel = Callable[[int], NDArray[np.float32]]


@dataclass(frozen=True)
class Resumed:
    """A run that goes on."""

    run: RunState
    state: CampaignState
    lost: bool
    """The newest model is lost: the state goes on with an older one."""


def begin(folder: Path, identity: RunIdentity, state: CampaignState) -> RunState:
    """A new run, in ``state``."""
    blobs = Blobs(folder / BLOBS)
    return RunState(Database.create(folder, first_rows(identity, state, blobs)), blobs)


def look(folder: Path, identity: RunIdentity, extend: bool) -> CampaignState | None:
    """The state that :func:`resume` would go on from, without models and evidence; nothing is
    written.

    Raises:
        ConfigError: it would refuse.
    """
    if not _has_state(folder):
        return None
    if not (folder / STATE).exists():
        raise ConfigError(f"{folder / STATE} is missing: a start says what to go on from")
    try:
        with reading(folder / STATE) as connection:
            identity.check(folder, connection.execute(select(runs)).one(), extend)
            newest = connection.execute(_NEWEST_FIRST).first()
    except (DataError, SQLAlchemyError) as error:
        why = getattr(error, "orig", None) or error
        raise ConfigError(f"{why}: a start says what to go on from") from error
    return None if newest is None else _state(newest, ())


def resume(
    folder: Path,
    identity: RunIdentity,
    generation: int | None,
    first_model: FirstModel,
    extend: bool = False,
) -> Resumed | None:
    """The run in ``folder``; None when none ever began there.

    Args:
        generation: what to fall back to where something is damaged.
        first_model: at step 0 of an era.
        extend: a finished run is wanted too.

    Raises:
        ConfigError: one line with what to do. The run is finished or another one, or damaged.
    """
    if not _has_state(folder):
        if generation is not None:
            raise ConfigError(f"server.generation: {folder} holds no run; leave it out")
        return None
    database, blobs = Database.open(folder, generation), Blobs(folder / BLOBS)
    try:
        with database.reading() as connection:
            identity.check(folder, connection.execute(select(runs)).one(), extend)
            kept = connection.execute(_NEWEST_FIRST).all()
            state = _state(kept[0], rows.evidence(connection))
        lost = _give_models(state, blobs, kept, generation, first_model)
        run = RunState(database, blobs)
    except BaseException:
        database.close()
        raise
    run.go_on_as(identity)
    return Resumed(run, state, lost)


def _has_state(folder: Path) -> bool:
    """Raises ConfigError when files of a run are there, and its state is not."""
    if any((folder / name).exists() for name in (STATE, COPY)):
        return True
    left = [name for name in LEFT_BEHIND if (folder / name).exists()]
    if left:
        raise ConfigError(
            f"{folder} holds {left[0]} of a run that has begun, but not its {STATE}: restore that,"
            " or choose another server.run_dir"
        )
    return False


def _state(row: Any, evidence: Iterable[RoundObservation]) -> CampaignState:
    return CampaignState.from_dict(json.loads(row.state), {"model": _NO_MODEL}, evidence)


def _give_models(
    state: CampaignState,
    blobs: Blobs,
    kept: Sequence[Any],
    generation: int | None,
    first_model: FirstModel,
) -> bool:
    """Put the models that are intact into the state of the newest generation of ``kept``.

    Returns whether its own is lost.

    Raises:
        ConfigError: something is damaged, and ``generation`` is not what is to be gone on from.
    """
    newest, found, models = kept[0], _first_intact(blobs, kept), state.models
    at, wrong = found.number, found.wrong
    if wrong is None and generation not in {None, at}:
        raise ConfigError(
            f"server.generation = {generation}: generation {at} is intact; leave it out"
        )
    if wrong is not None and at is None:
        raise ConfigError(
            f"{wrong}, and no generation is intact: restore it, or choose another server.run_dir"
        )
    if wrong is not None and generation != at:
        raise ConfigError(
            f"{wrong}, which generation {newest.number} needs; the model of generation {at} is"
            f" intact: start once with `auror-server … --set server.generation={at}` to go on from"
            " it"
        )
    models.model, models.previous = found.model, found.previous
    if at == newest.number:
        return False
    if found.era != models.era:
        models.model, models.previous = first_model(models.era), None
    models.lose(models.step, Digest(bytes.fromhex(newest.digest)))
    return True


@dataclass(frozen=True)
class _Found:
    """The newest generation whose model is intact, and the damage that was met on the way."""

    number: int | None
    era: int
    model: NDArray[np.float32]
    previous: NDArray[np.float32] | None
    wrong: str | None


def _first_intact(blobs: Blobs, kept: Sequence[Any]) -> _Found:
    wrong: str | None = None
    for row in kept:
        era = json.loads(row.state)["models"]["era"]
        try:
            model = _model(blobs, row.model)
        except BlobDamaged as damage:
            wrong = wrong or str(damage)
            continue
        try:
            previous = None if row.previous is None else _model(blobs, row.previous)
        except BlobDamaged as damage:
            wrong, previous = wrong or str(damage), stand_in(model)
        return _Found(row.number, era, model, previous, wrong)
    return _Found(None, 0, _NO_MODEL, None, wrong)


def _model(blobs: Blobs, address: str) -> NDArray[np.float32]:
    """Raises BlobDamaged."""
    return np.frombuffer(blobs.get(address), dtype="<f4").astype(np.float32)
