"""Everything that an audit rests on, read at one moment from a run folder."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from auror.deployment import run_seals
from auror.deployment.audit_log import AuditEntry, unpacked
from auror.deployment.run_reader import reading
from auror.deployment.run_tables import (
    STATE,
    audit,
    facts,
    generations,
    ledger_rounds,
    models,
    observations,
    rounds,
    runs,
    verdicts,
)
from auror.errors import DataError

Row = Mapping[str, Any]


@dataclass(frozen=True)
class KeptEvidence:
    """A round of the ledger as its rows have it."""

    era: int
    gram: bytes | None
    groups: tuple[tuple[str, bytes], ...]
    """(members as JSON, mean) of each."""
    sealed: str
    """The ledger's chain up to here, recomputed from the rows."""


@dataclass(frozen=True)
class AuditedRun:
    """Rows by what they are of; nothing of it is checked yet."""

    folder: Path
    run: Row
    newest: Row
    """The training's state as a start would find it: the newest of ``generations``."""
    state: Mapping[str, Any]
    """… its JSON."""
    entries: tuple[AuditEntry, ...]
    rounds: Mapping[int, Row]
    """Closed ones, by position."""
    open_rounds: tuple[Row, ...]
    """Nobody has closed them: no entry tells of them yet."""
    models: Mapping[tuple[int, int], tuple[str, str]]
    """(digest, parent) by (era, step)."""
    facts: Mapping[int, tuple[str, ...]]
    """By counter of the round, in order."""
    evidence: Mapping[int, KeptEvidence]
    """By position, oldest first."""
    verdicts: Mapping[int, str]
    """By position."""
    unsealed: str | None
    """The first row that is not what its own seal says."""


def read_audited(folder: Path) -> AuditedRun:
    """The run in ``folder``.

    Raises:
        DataError: there is none, it cannot be read, or it has no audit.
    """
    path = folder / STATE
    if not path.exists():
        raise DataError(f"{folder} holds no run of auror-server: name its server.run_dir")
    try:
        with reading(path) as connection:

            def every(wanted: Any) -> Iterable[Any]:
                return connection.execute(wanted).all()

            run = connection.execute(select(runs)).one()
            latest = select(generations).order_by(generations.c.number.desc()).limit(1)
            newest = connection.execute(latest).one()
            noted: dict[int, list[str]] = defaultdict(list)
            for row in every(select(facts).order_by(facts.c.id)):
                noted[row.counter].append(row.fact)
            entries = tuple(
                AuditEntry(row.number, unpacked(row.entry), row.head, row.signature)
                for row in every(select(audit).order_by(audit.c.number))
            )
            if not entries:
                raise DataError(f"{folder} has no audit: an older version played it")
            played = [row._asdict() for row in every(select(rounds).order_by(rounds.c.counter))]
            return AuditedRun(
                folder=folder,
                run=run._asdict(),
                newest=newest._asdict(),
                state=json.loads(newest.state),
                entries=entries,
                rounds={row["position"]: row for row in played if row["position"] is not None},
                open_rounds=tuple(row for row in played if row["position"] is None),
                models={
                    (row.era, row.step): (row.digest, row.parent) for row in every(select(models))
                },
                facts={counter: tuple(texts) for counter, texts in noted.items()},
                evidence=_evidence(every),
                verdicts={row.position: row.verdict for row in every(select(verdicts))},
                unsealed=run_seals.find_broken(connection),
            )
    except (SQLAlchemyError, KeyError, TypeError, ValueError) as error:
        why = getattr(error, "orig", None) or error
        raise DataError(f"{path} cannot be read: {why}") from error


def _evidence(every: Any) -> dict[int, KeptEvidence]:
    groups: dict[int, list[tuple[str, bytes]]] = defaultdict(list)
    ordered = select(observations).order_by(observations.c.position, observations.c.group)
    for row in every(ordered):
        groups[row.position].append((row.members, row.mean))
    found, sealed = {}, run_seals.FIRST
    for row in every(select(ledger_rounds).order_by(ledger_rounds.c.position)):
        held = groups.pop(row.position, [])
        sealed = run_seals.of_evidence(sealed, row.position, row.era, row.gram, held)
        found[row.position] = KeptEvidence(row.era, row.gram, tuple(held), sealed)
    return found
