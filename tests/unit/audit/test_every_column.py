"""A byte flipped in a row of every table, column by column: refused, or documented as outside."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from campaign_kit import Scripted
from killed_server import KilledServer
from tampering import edited

from auror.audit.broken import AuditBroken
from auror.audit.rows import OUTSIDE
from auror.audit.verify import verify_audit
from auror.deployment.run_tables import metadata
from auror.errors import DataError

WHICH = {
    "rounds": ("position = 0", "interrupted"),
    "facts": ("id = (SELECT max(id) FROM facts)",),
    "audit": ("number = 1",),
    "models": ("step = 0", "step = (SELECT max(step) FROM models)"),
    "observations": ('"group" = 1',),
}
"""Rows that are looked at; of other tables the first one."""
DOCS = Path(__file__).parents[3] / "docs" / "reliability.md"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A round, one that a crash broke off, and the end."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    folder.mkdir()
    server = KilledServer(folder, rounds=2)
    server.play_with_a_crash()
    server.finish()
    found = server.verified()
    assert (found.rounds, found.without_messages, found.finished) == (3, (2,), True)
    return server.folder


def flipped(held: Any, bit: int) -> Any:
    match held:
        case None:
            return 1
        case int():
            return held ^ bit
        case str():
            middle = len(held) // 2
            return held[:middle] + chr(ord(held[middle]) ^ 1) + held[middle + 1 :]
    middle = len(held) // 2
    return held[:middle] + bytes([held[middle] ^ bit]) + held[middle + 1 :]


def flip(raw: sqlite3.Connection, table: str, column: str, where: str) -> None:
    where = f'"{table}" WHERE rowid = (SELECT min(rowid) FROM "{table}" WHERE {where})'
    (held,) = raw.execute(f'SELECT "{column}" FROM {where}').fetchone()
    set_it = f'UPDATE {where.replace(" WHERE", f""" SET "{column}" = ? WHERE""", 1)}'
    try:
        raw.execute(set_it, (flipped(held, 1),))
    except sqlite3.IntegrityError:  # another row has that number
        raw.execute(set_it, (flipped(held, 64),))


def test_a_byte_flipped_in_any_column_is_refused_or_documented_as_outside(
    small: Path, tmp_path: Path
) -> None:
    passed = set()
    for table in metadata.sorted_tables:
        for at, where in enumerate(WHICH.get(table.name, ("1",))):
            for column in table.columns:
                folder = tmp_path / f"{table.name}-{column.name}-{at}"
                folder.mkdir()

                def edit(
                    raw: sqlite3.Connection,
                    of: tuple[str, str, str] = (table.name, column.name, where),
                ) -> None:
                    flip(raw, *of)

                copy = edited(small, folder, edit)
                with contextlib.suppress(AuditBroken, DataError):
                    verify_audit(copy, detector=lambda _: Scripted({}))
                    passed.add(f"{table.name}.{column.name}")
    assert passed == set(OUTSIDE)
    assert [name for name in OUTSIDE if f"`{name}`" not in DOCS.read_text()] == []
