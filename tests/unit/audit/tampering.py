"""Changes an audit behind its back, with and without the server's key."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from audit_kit import tls
from campaign_kit import Scripted

from auror.audit.broken import AuditBroken
from auror.audit.verify import Verified, verify_audit
from auror.deployment import run_seals
from auror.deployment.audit_log import FIRST_HEAD, AuditSigner, head_after, packed, unpacked

FLAGS = {2: {4}}
Edit = Callable[[sqlite3.Connection], None]


def checked(folder: Path, **more: Any) -> Verified:
    return verify_audit(folder, detector=lambda _: Scripted(FLAGS), **more)


def edited(played: Path, folder: Path, edit: Edit) -> Path:
    copy = folder / "copy"
    shutil.copytree(played, copy)
    with sqlite3.connect(copy / "state.db") as raw:
        edit(raw)
    raw.close()
    return copy


def broken(played: Path, folder: Path, edit: Edit, **more: Any) -> str:
    with pytest.raises(AuditBroken) as told:
        checked(edited(played, folder, edit), **more)
    assert told.value.exit_code == 12
    assert "\n" not in str(told.value)
    return str(told.value)


def rows_of(raw: sqlite3.Connection) -> list[str]:
    return [unpacked(entry) for entry, *_ in raw.execute("SELECT entry FROM audit ORDER BY number")]


def rows(folder: Path) -> list[str]:
    with sqlite3.connect(f"file:{folder / 'state.db'}?mode=ro", uri=True) as raw:
        found = rows_of(raw)
    raw.close()
    return found


def signed(raw: sqlite3.Connection, texts: list[str], signer: AuditSigner | None = None) -> None:
    """Write the whole chain anew."""
    signer, head = signer or AuditSigner(tls().key), FIRST_HEAD
    raw.execute("DELETE FROM audit")
    for number, text in enumerate(texts):
        head = head_after(head, number, text)
        raw.execute(
            "INSERT INTO audit (number, entry, head, signature) VALUES (?, ?, ?, ?)",
            (number, packed(text), head, signer.sign(head)),
        )


def rewritten(position: int, change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> Edit:
    """Let ``change`` edit entry and record of the round at ``position``; mend seals and chain."""

    def edit(raw: sqlite3.Connection) -> None:
        raw.row_factory = sqlite3.Row
        row = dict(raw.execute(f"SELECT * FROM rounds WHERE position = {position}").fetchone())
        texts = rows_of(raw)
        at = next(k for k, t in enumerate(texts) if json.loads(t).get("position") == position)
        entry, record = json.loads(texts[at]), json.loads(row["record"])
        change(entry, record)
        row["record"] = json.dumps(record)
        entry["row"] = run_seals.of_round(row)
        raw.execute(
            f"UPDATE rounds SET record = ?, sealed = ? WHERE position = {position}",
            (row["record"], entry["row"]),
        )
        texts[at] = json.dumps(entry)
        signed(raw, texts)

    return edit
