"""SQLite as a server wants it: a write-ahead log, every transaction synced before it counts."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from auror.deployment.run_seals import find_broken
from auror.deployment.run_tables import REVISION, metadata, revisions, runs
from auror.errors import MachineError
from auror.files import sync
from auror_server.state.revisions import migrate, revision_of

DATABASE_ERRORS = (SQLAlchemyError, sqlite3.Error)
"""What SQLite and SQLAlchemy raise about a file."""
_MACHINE = (
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
)
"""Codes of what the disk, a limit or a mode does to a file that may be intact."""
_SIDE_FILES = ("-wal", "-shm")
CACHE_KIB = 256
"""Of pages that each file keeps in memory. SQLite's own choice, 2 MB, fills as a run grows; a
server appends and reads next to nothing. What a transaction needs beyond it goes to the log."""


def engine_of(path: Path) -> Engine:
    """One connection to ``path``, whichever thread uses it; the file exists."""
    engine = create_engine(
        f"sqlite+pysqlite:///{path}",
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "timeout": 30.0},
    )

    def connected(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where this file says
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"cache_size=-{CACHE_KIB}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", lambda c: c.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def make_file(path: Path) -> None:
    """An empty file for this user only, whatever was there; SQLite gives its mode to the log."""
    remove(path)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def remove(path: Path) -> None:
    """The database ``path`` and what lies beside it."""
    for name in (path.name, *(path.name + end for end in _SIDE_FILES)):
        path.with_name(name).unlink(missing_ok=True)


def move(source: Path, target: Path) -> None:
    """Rename a database that nobody has open, with its log; durable on return."""
    remove(target)
    for end in (*_SIDE_FILES, ""):
        part = source.with_name(source.name + end)
        if part.exists():
            part.replace(target.with_name(target.name + end))
    sync(target.parent)


def make_tables(engine: Engine) -> None:
    """Everything that ``metadata`` describes, at this version's revision."""
    with engine.begin() as connection:
        metadata.create_all(connection)
        connection.execute(revisions.insert(), {"version_num": REVISION})


def copy_into(engine: Engine, target: Path) -> None:
    """A whole copy of an open database as ``target``: the old one or the new one after a crash."""
    fresh = target.with_name(target.name + ".new")
    make_file(fresh)
    with engine.connect() as source, sqlite3.connect(fresh) as copied:
        driver = source.connection.driver_connection
        if not isinstance(driver, sqlite3.Connection):
            raise TypeError("not SQLite")
        driver.backup(copied)
    copied.close()
    sync(fresh)
    move(fresh, target)


def open_intact(path: Path) -> Engine | str:
    """The database ``path``, or what is wrong with it. An older one is migrated.

    Raises:
        ConfigError: it was written by a newer version.
        MachineError: it cannot be opened or read here.
    """
    if not path.exists():
        return f"{path} is missing"
    engine = engine_of(path)
    try:
        with engine.connect() as connection:
            said = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if said != "ok":
            wrong: str | None = f"{path} is damaged"
        elif revision_of(engine) is None:
            wrong = f"{path} holds no run"
        else:
            migrate(engine, path)
            with engine.connect() as connection:
                wrong = find_broken(connection)
                if wrong is None and connection.execute(select(runs.c.id)).first() is None:
                    wrong = "the run itself"
            wrong = wrong and f"{path} is damaged: {wrong}"
    except DATABASE_ERRORS as error:
        engine.dispose()
        cause = getattr(error, "orig", None) or error
        if getattr(cause, "sqlite_errorcode", 0) & 0xFF in _MACHINE:
            raise MachineError(f"{path}: {cause}; mend that and start again") from error
        return f"{path} cannot be read ({cause})"
    if wrong is None:
        return engine
    engine.dispose()
    return wrong


def changes_of(engine: Engine) -> int:
    """Transactions that ``engine`` has seen since the run began."""
    with engine.connect() as connection:
        return int(connection.execute(select(runs.c.changes)).scalar_one())
