"""``state.db`` and its copy: every transaction goes into both, at the same time.

Nobody is told of what only one of them holds. So either alone is enough to go on from; what a crash
left in one only is kept where it is newer.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Executable, select

from auror.deployment.logs import logger
from auror.deployment.run_tables import COPY, STATE, generations, runs
from auror.errors import ConfigError, MachineError
from auror_server.state.engines import (
    DATABASE_ERRORS,
    changes_of,
    copy_into,
    engine_of,
    make_file,
    make_tables,
    move,
    open_intact,
)

Change = tuple[Executable, Any]
"""A statement and its parameters: a row, many, or None."""
_FRESH = "state.db.new"
_DAMAGED = "state.db.damaged"
_log = logger("state")


class Database:
    """Both files, open for writing by one process."""

    def __init__(self, folder: Path, engine: Engine, copy: Engine) -> None:
        self._folder = folder
        self._engine = engine
        self._copy = copy
        self._second = ThreadPoolExecutor(1, "state-copy")

    @classmethod
    def create(cls, folder: Path, first: Iterable[Change]) -> Database:
        """A new run's, whose first transaction is ``first``: there whole, or not there."""
        fresh = folder / _FRESH
        make_file(fresh)
        engine = engine_of(fresh)
        make_tables(engine)
        _apply(engine, list(first))
        engine.dispose()  # the last connection empties the log into the file
        move(fresh, folder / STATE)
        return cls.open(folder, None)

    @classmethod
    def open(cls, folder: Path, generation: int | None) -> Database:
        """The newer one of those that are intact; the other is made like it.

        A damaged ``state.db`` is given up only for the ``generation`` that its copy holds.

        Raises:
            ConfigError: it is damaged, or was written by a newer version; says what to do.
        """
        path, copy_path = folder / STATE, folder / COPY
        found, copied = open_intact(path), open_intact(copy_path)
        if isinstance(found, str):
            if isinstance(copied, str):
                raise ConfigError(
                    f"{found}, and {copied}: restore one of them, or choose another server.run_dir"
                )
            newest = newest_generation(copied)
            if generation != newest:
                copied.dispose()
                raise ConfigError(
                    f"{found}; generation {newest} is intact in {COPY}: start once with"
                    f" `auror-server … --set server.generation={newest}` to go on from it, nothing"
                    " of it is lost"
                )
            copied.dispose()
            _log.warning("going on from the copy", why=found, generation=newest)
            if path.exists():
                move(path, folder / _DAMAGED)
            move(copy_path, path)
            return cls.open(folder, None)
        if not isinstance(copied, str):
            behind = changes_of(copied) - changes_of(found)
            if behind == 0:
                return cls(folder, found, copied)
            copied.dispose()
            if behind > 0:
                found.dispose()
                move(copy_path, path)
                return cls.open(folder, None)
        elif copy_path.exists():
            _log.warning("the copy is made anew", why=copied)
        copy_into(found, copy_path)
        return cls(folder, found, engine_of(copy_path))

    def write(self, changes: Iterable[Change]) -> None:
        """One transaction, durable in both on return.

        Raises:
            MachineError: one of them takes nothing more; nothing of it counts.
        """
        listed = list(changes)
        copying = self._second.submit(_apply, self._copy, listed)
        try:
            _apply(self._engine, listed)
            copying.result()
        except DATABASE_ERRORS as error:
            cause = getattr(error, "orig", None) or error
            raise MachineError(f"{self._folder}: {cause}; mend that and start again") from error

    def reading(self) -> Connection:
        """To be closed by the caller."""
        return self._engine.connect()

    def close(self) -> None:
        self._second.shutdown()
        self._engine.dispose()
        self._copy.dispose()


def newest_generation(engine: Engine) -> int:
    with engine.connect() as connection:
        newest = select(generations.c.number).order_by(generations.c.number.desc()).limit(1)
        return int(connection.execute(newest).scalar_one())


def _apply(engine: Engine, changes: list[Change]) -> None:
    with engine.begin() as connection:
        for statement, rows in changes:
            connection.execute(statement, rows)
        connection.execute(runs.update().values(changes=runs.c.changes + 1))
