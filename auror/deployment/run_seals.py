"""Whether rows still are what was written: each table with content has a seal per row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select

from auror.crypto.tags import number
from auror.deployment.run_tables import (
    facts,
    generations,
    ledger_rounds,
    observations,
    rounds,
    seal,
    verdicts,
)
from auror.round.policy import Policy

FIRST = seal("ledger")
"""What the first round of a ledger is chained to."""


def of_fact(row: Mapping[str, Any]) -> str:
    return seal(row["counter"], row["fact"])


def of_verdict(position: int, verdict: str) -> str:
    return seal(position, verdict)


def of_facts(sealed: Iterable[str]) -> str:
    """All facts of one round, in order."""
    return seal(*sealed)


def of_round(row: Mapping[str, Any]) -> str:
    return seal(*(row[name] for name in ("position", "record", "timings", "total")))


def of_generation(row: Mapping[str, Any]) -> str:
    names = ("number", "state", "model", "digest", "previous", "evidence")
    return seal(*(row[name] for name in names))


def of_evidence(before: str, index: int, era: int, gram: bytes | None, groups: list[Any]) -> str:
    """``groups``: (members, mean) of every observation, in order."""
    parts = [part for members, mean in groups for part in (members, mean)]
    return seal(before, index, era, gram, *parts)


def members(policy: Policy) -> dict[str, str]:
    """Whoever was ever enrolled → hash of its keys."""
    return {
        str(client): seal(number(client), entry.verify_key, entry.tls_key)
        for client, entry in policy.roster.everybody.items()
    }


def roster(policy: Policy) -> str:
    """``members`` as ``runs.roster`` has them."""
    return json.dumps(members(policy), sort_keys=True, separators=(",", ":"))


def find_broken(connection: Connection) -> str | None:
    """The first row whose seal does not fit; None when all do."""
    for row in connection.execute(select(facts)):
        if row.sealed != of_fact(row._asdict()):
            return f"fact {row.id}"
    for row in connection.execute(select(rounds).where(rounds.c.position.is_not(None))):
        if row.sealed != of_round(row._asdict()):
            return f"round {row.position}"
    for row in connection.execute(select(verdicts)):
        if row.sealed != of_verdict(row.position, row.verdict):
            return f"verdict {row.position}"
    for row in connection.execute(select(generations)):
        if row.sealed != of_generation(row._asdict()):
            return f"generation {row.number}"
    return _broken_evidence(connection)


def _broken_evidence(connection: Connection) -> str | None:
    last = FIRST
    for row in connection.execute(select(ledger_rounds).order_by(ledger_rounds.c.position)):
        groups = connection.execute(
            select(observations.c.group, observations.c.members, observations.c.mean)
            .where(observations.c.position == row.position)
            .order_by(observations.c.group)
        ).all()
        content = [(members, mean) for _, members, mean in groups]
        last = of_evidence(last, row.position, row.era, row.gram, content)
        if row.sealed != last or [at for at, *_ in groups] != [*range(len(groups))]:
            return f"evidence of round {row.position}"
    newest = select(generations.c.evidence).order_by(generations.c.number.desc()).limit(1)
    found = connection.execute(newest).scalar()
    return None if found in {None, last} else "the end of the evidence"
