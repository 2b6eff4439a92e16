"""The tables of ``state.db``, which ``auror-server`` writes and reports read.

Text columns named ``…_digest`` and ``address`` are SHA-256 in hexadecimal. ``sealed`` columns hold
the SHA-256 of the rest of their row (``seal``), so that a flipped bit is seen.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

STATE = "state.db"
COPY = "state-copy.db"
"""The same, written in the same steps: what to go on from when the other is damaged."""
BLOBS = "blobs"
"""Folder of models and totals, each under the SHA-256 of its bytes."""
REVISION = "0005"
"""Of these tables, as Alembic counts."""

metadata = MetaData()

revisions = Table("alembic_version", metadata, Column("version_num", String(32), primary_key=True))

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("deployment", String, nullable=False),
    Column("policy_version", Integer, nullable=False),
    Column("policy_digest", String, nullable=False),
    Column("roster", String, nullable=False),
    Column("settings", String, nullable=False),
    Column("finished", Boolean, nullable=False),
    Column("changes", Integer, nullable=False),
)
"""One row: whose run it is. ``roster``: JSON, client → hash of its keys. ``settings``: hash of the
configuration. ``changes``: transactions so far; database and copy have the same."""

models = Table(
    "models",
    metadata,
    Column("era", Integer, primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("digest", String, nullable=False),
    Column("parent", String, nullable=False),
)
"""Every model that a round was begun with, or that a round made, as clients name it."""

rounds = Table(
    "rounds",
    metadata,
    Column("counter", Integer, primary_key=True),
    Column("era", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("model", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("attempted", Boolean, nullable=False),
    Column("disputed", Boolean, nullable=False),
    Column("statistics_asked", Boolean, nullable=False),
    Column("shares_asked", Boolean, nullable=False),
    Column("position", Integer, unique=True),
    Column("aborted", String),
    Column("interrupted", Boolean),
    Column("total_opened", Boolean),
    Column("groups_opened", Integer),
    Column("record", String),
    Column("timings", String),
    Column("total", String),
    Column("sealed", String),
    ForeignKeyConstraint(["era", "step"], ["models.era", "models.step"]),
)
"""A row per invitation. ``position``: the index of its record; from there on all is empty until
the round is closed. ``record``: JSON of the round's record and of what was measured; ``total``:
address of its opened total, where it is kept."""

facts = Table(
    "facts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("counter", Integer, ForeignKey("rounds.counter"), nullable=False, index=True),
    Column("fact", String, nullable=False),
    Column("sealed", String, nullable=False),
)
"""What was durable before clients were told (``auror.round.facts``), in order: of rounds that are
open, and of those that a crash broke off."""

ledger_rounds = Table(
    "ledger_rounds",
    metadata,
    Column("position", Integer, primary_key=True),
    Column("era", Integer, nullable=False),
    Column("gram", LargeBinary),
    Column("sealed", String, nullable=False),
)
"""The rounds of bound evidence. ``gram``: (C, C) float64, little-endian. ``sealed`` covers the
observations of the round and the row before: a chain."""

observations = Table(
    "observations",
    metadata,
    Column("position", Integer, ForeignKey("ledger_rounds.position"), primary_key=True),
    Column("group", Integer, primary_key=True),
    Column("members", String, nullable=False),
    Column("mean", LargeBinary, nullable=False),
)
"""One group's mean statistics, (k,) float64, little-endian. ``members``: JSON."""

verdicts = Table(
    "verdicts",
    metadata,
    Column("position", Integer, primary_key=True),
    Column("verdict", String, nullable=False),
    Column("sealed", String, nullable=False),
)
"""The latest verdict when the round at ``position`` was closed, JSON."""

generations = Table(
    "generations",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("state", String, nullable=False),
    Column("model", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("previous", String),
    Column("evidence", String, nullable=False),
    Column("sealed", String, nullable=False),
)
"""The training's state with each of the last two models. ``state``: JSON, all of it but models and
evidence; ``model``, ``previous``: addresses; ``digest``: the model's hash, as clients know it;
``evidence``: the ledger's last ``sealed``."""

audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("entry", LargeBinary, nullable=False),
    Column("head", String, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)
"""What may be shown to others, append-only (``auror.deployment.audit_log``). ``entry``: JSON,
packed; ``head``: SHA-256 of it and of all entries before; ``signature``: the server's over it."""


def seal(*content: object) -> str:
    """SHA-256 over the content of a row, None told from the rest, each part with its length."""
    hashed = hashlib.sha256()
    for part in content:
        raw = part if isinstance(part, bytes) else repr(part).encode()
        hashed.update(f"{type(part).__name__}{len(raw)}:".encode() + raw)
    return hashed.hexdigest()
