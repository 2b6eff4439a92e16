"""What a server left in its run folder, for everybody but that server: only read, maybe in use.

The one reader of ``state.db``: reports, exports, the account of a run, demos, load tests.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, create_engine, inspect, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from auror.deployment.run_tables import (
    BLOBS,
    REVISION,
    STATE,
    audit,
    facts,
    generations,
    revisions,
    rounds,
    runs,
    verdicts,
)
from auror.errors import DataError
from auror.round.facts import Fact, decode

Json = dict[str, Any]


@dataclass(frozen=True)
class Glance:
    """A run as its last transaction left it."""

    deployment: str
    policy_version: int
    enrolled: tuple[int, ...]
    """Whoever was ever a member, sorted."""
    finished: bool
    state: Json
    """See ``auror.training.state``; models and evidence are not in it."""
    verdict: Json | None
    recent: tuple[Json, ...]
    """The newest closed rounds, oldest first, as :meth:`RunReader.rounds` has them."""
    refused: dict[str, int]
    """What the last server refused until its last round was over, by reason."""
    open_rounds: tuple[int, ...]
    """Counters of the rounds that nobody has closed: one is played, or a crash broke them off."""
    audit_head: str | None
    """What stands for the audit so far (``auror.deployment.audit_log``)."""
    written: float
    """When that was, in Unix seconds."""


class RunReader:
    """The state of the run in ``folder``; empty where no server ever began one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def exists(self) -> bool:
        return (self.folder / STATE).exists()

    def rounds(self) -> list[Json]:
        """A closed round each, in order: its record (``auror.round.record_json``) and what was
        measured. Aborted and interrupted ones are among them.

        Raises:
            DataError: the database is damaged, or of another version. So does everything below.
        """
        return [json.loads(text) for (text,) in self._rows(closed(rounds.c.record))]

    def timings(self) -> list[Json]:
        """Of every round that was played to its end, in order."""
        played = closed(rounds.c.timings).where(rounds.c.timings.is_not(None))
        return [json.loads(text) for (text,) in self._rows(played)]

    def begun(self) -> list[int]:
        """The counters of all rounds to which anybody was invited."""
        return [counter for (counter,) in self._rows(select(rounds.c.counter))]

    def facts(self) -> list[Fact]:
        """What was durable before clients were told, in order, of rounds that are open or were
        broken off."""
        return [decode(text) for (text,) in self._rows(select(facts.c.fact).order_by(facts.c.id))]

    def verdict(self) -> Json | None:
        """The latest; None before the first."""
        found = self._rows(_newest(verdicts.c.verdict, verdicts.c.position))
        return json.loads(found[0][0]) if found else None

    @property
    def finished(self) -> bool:
        """Whether the training came to its end."""
        return any(finished for (finished,) in self._rows(select(runs.c.finished)))

    def glance(self, recent: int) -> Glance | None:
        """The state with the ``recent`` newest rounds, all of one moment; None before the first."""
        if not self.exists:
            return None
        path = self.folder / STATE
        open_ones = select(rounds.c.counter).where(rounds.c.position.is_(None))
        with self._opened() as connection:
            run = connection.execute(select(runs)).one()
            state = connection.execute(_newest(generations.c.state, generations.c.number)).scalar()
            verdict = connection.execute(_newest(verdicts.c.verdict, verdicts.c.position)).scalar()
            found = connection.execute(
                select(rounds.c.record, rounds.c.timings)
                .where(rounds.c.position.is_not(None))
                .order_by(rounds.c.position.desc())
                .limit(recent)
            ).all()
            timings = next((row.timings for row in found if row.timings is not None), "{}")
            return Glance(
                deployment=run.deployment,
                policy_version=run.policy_version,
                enrolled=tuple(sorted(map(int, json.loads(run.roster)))),
                finished=run.finished,
                state=json.loads(state or "{}"),
                verdict=None if verdict is None else json.loads(verdict),
                recent=tuple(json.loads(row.record) for row in reversed(found)),
                refused=json.loads(timings).get("refused", {}),
                audit_head=connection.execute(_newest(audit.c.head, audit.c.number)).scalar(),
                open_rounds=tuple(connection.execute(open_ones).scalars()),
                written=max(
                    file.stat().st_mtime
                    for file in (path, path.with_name(f"{STATE}-wal"))
                    if file.exists()
                ),
            )

    def total(self, index: int) -> NDArray[np.int64]:
        """The opened total of round ``index``, (d,), where the server was told to keep totals.

        Raises:
            DataError: it was not, or the file is gone.
        """
        found = self._rows(select(rounds.c.total).where(rounds.c.position == index))
        if not found or found[0][0] is None:
            raise DataError(f"{self.folder} keeps no total of round {index}")
        path = self.folder / BLOBS / found[0][0]
        try:
            return np.frombuffer(path.read_bytes(), dtype="<i8").astype(np.int64)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}") from error

    def _rows(self, wanted: Any) -> list[Any]:
        if not self.exists:
            return []
        with self._opened() as connection:
            return list(connection.execute(wanted))

    @contextmanager
    def _opened(self) -> Iterator[Connection]:
        path = self.folder / STATE
        try:
            with reading(path) as connection:
                yield connection
        except SQLAlchemyError as error:
            why = getattr(error, "orig", None) or error
            raise DataError(f"{path} cannot be read: {why}") from error


def _newest(column: Any, order: Any) -> Any:
    """``column`` of the row that is last by ``order``."""
    return select(column).order_by(order.desc()).limit(1)


def closed(column: Any) -> Any:
    """``column`` of every closed round, in order."""
    return select(column).where(rounds.c.position.is_not(None)).order_by(rounds.c.position)


@contextmanager
def reading(path: Path) -> Iterator[Connection]:
    """A read-only look at one moment. A log beside the file belongs to it; without one nobody
    writes, and nothing is left there, nor needs a folder that can be written."""
    alone = not path.with_name(f"{path.name}-wal").exists()
    mode = "mode=ro&immutable=1" if alone else "mode=ro"
    quoted = urllib.parse.quote(str(path.absolute()))
    engine = create_engine(f"sqlite+pysqlite:///file:{quoted}?{mode}&uri=true", poolclass=NullPool)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")  # else every query would see a later one
            if not inspect(connection).has_table(revisions.name):
                raise DataError(f"{path} is no state of a run")
            found = connection.execute(select(revisions.c.version_num)).scalar()
            if found != REVISION:
                raise DataError(
                    f"{path} is of revision {found}, this version reads {REVISION}: use the"
                    " version that wrote it"
                )
            yield connection
    finally:
        engine.dispose()
