"""From facts, records and evidence to rows, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Update, delete, select
from sqlalchemy.dialects.sqlite import insert

from auror.defence.ledger import GroupObservation, RoundObservation
from auror.deployment import run_seals as seals
from auror.deployment.round_evidence import RoundEvidence
from auror.deployment.run_tables import (
    facts,
    generations,
    ledger_rounds,
    models,
    observations,
    rounds,
    verdicts,
)
from auror.ids import ClientId
from auror.round.facts import (
    Attempted,
    GroupsDrawn,
    RoundBegun,
    ServerFact,
    UnmaskingBegun,
    encode,
)
from auror.round.record import RoundRecord
from auror.round.record_json import record_to_json
from auror_server.state.database import Change

_FLOATS = np.dtype("<f8")


@dataclass(frozen=True, kw_only=True)
class Closing:
    """A round that is over."""

    record: RoundRecord
    extra: Mapping[str, Any]
    """What was measured, beside the record."""
    timings: Mapping[str, Any] | None = None
    """None: nobody could measure it to its end."""
    total: NDArray[np.int64] | None = None
    """Opened in it, where totals are kept; (d,)."""
    evidence: RoundEvidence | None = None
    """What its messages prove; None: a crash broke it off."""
    judged: tuple[int, tuple[ClientId, ...]] | None = None
    """What the verdict of that time is of (``Defence.judged``)."""


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


_ANOTHER_FACT = facts.insert()
"""One statement for all: every upload is a fact."""


def _of_round(counter: int) -> Update:
    return rounds.update().where(rounds.c.counter == counter)


def of_fact(counter: int, fact: ServerFact) -> Iterator[Change]:
    """One fact of round ``counter``, and what it says of that round."""
    match fact:
        case RoundBegun():
            yield of_model(fact.era, fact.step, fact.model.hex(), fact.parent.hex())
            yield (
                rounds.insert(),
                {
                    "counter": counter,
                    "era": fact.era,
                    "step": fact.step,
                    "model": fact.model.hex(),
                    "attempt": fact.attempt,
                    **dict.fromkeys(
                        ("attempted", "disputed", "statistics_asked", "shares_asked"), False
                    ),
                },
            )
        case Attempted(disputed):
            yield _of_round(counter).values(attempted=True, disputed=disputed), None
        case GroupsDrawn():
            yield _of_round(counter).values(statistics_asked=True), None
        case UnmaskingBegun():
            yield _of_round(counter).values(shares_asked=True), None
    row = {"counter": counter, "fact": encode(fact)}
    yield _ANOTHER_FACT, {**row, "sealed": seals.of_fact(row)}


def without_facts(counter: int) -> Change:
    """Their pages are used again by the next round's."""
    return delete(facts).where(facts.c.counter == counter), None


def of_model(era: int, step: int, digest: str, parent: str) -> Change:
    row = {"era": era, "step": step, "digest": digest, "parent": parent}
    return insert(models).on_conflict_do_nothing(), row


def of_closing(closing: Closing, total: str | None) -> tuple[str, Change]:
    """The row's seal, and the row. ``total``: address of the closing's."""
    record = closing.record
    values = {
        "position": record.index,
        "aborted": None if record.aborted is None else record.aborted.name,
        "interrupted": record.interrupted,
        "total_opened": record.total_opened,
        "groups_opened": len(record.opened_groups),
        "record": compact({**record_to_json(record), **closing.extra}),
        "timings": None if closing.timings is None else compact(closing.timings),
        "total": total,
    }
    sealed = seals.of_round(values)
    updated = rounds.update().where(rounds.c.counter == record.round_id.counter)
    return sealed, (updated.values(**values, sealed=sealed), None)


def of_verdict(index: int, verdict: Mapping[str, Any]) -> tuple[str, Change]:
    """The row's seal, and the row."""
    text = compact(verdict)
    sealed = seals.of_verdict(index, text)
    row = {"position": index, "verdict": text, "sealed": sealed}
    return sealed, (
        insert(verdicts).on_conflict_do_update(index_elements=["position"], set_=row),
        row,
    )


def of_evidence(before: str, entry: RoundObservation) -> tuple[str, list[Change]]:
    """The ledger's next seal, and the rows of one round."""
    gram = None if entry.gram is None else entry.gram.astype(_FLOATS).tobytes()
    groups = [
        (compact(list(map(int, group.members))), group.mean.astype(_FLOATS).tobytes())
        for group in entry.groups
    ]
    sealed = seals.of_evidence(before, entry.round_index, entry.era, gram, groups)
    row = {"position": entry.round_index, "era": entry.era, "gram": gram, "sealed": sealed}
    changes: list[Change] = [(ledger_rounds.insert(), row)]
    if groups:
        numbered = [
            {"position": entry.round_index, "group": at, "members": members, "mean": mean}
            for at, (members, mean) in enumerate(groups)
        ]
        changes.append((observations.insert(), numbered))
    return sealed, changes


def of_generation(row: Mapping[str, Any]) -> Change:
    return insert(generations).on_conflict_do_update(index_elements=["number"], set_=row), row


def evidence(connection: Connection) -> Iterable[RoundObservation]:
    """All rounds of the ledger, oldest first."""
    groups: dict[int, list[GroupObservation]] = {}
    ordered = select(observations).order_by(observations.c.position, observations.c.group)
    for row in connection.execute(ordered):
        members = tuple(ClientId(int(client)) for client in json.loads(row.members))
        groups.setdefault(row.position, []).append(GroupObservation(members, _floats(row.mean)))
    for row in connection.execute(select(ledger_rounds).order_by(ledger_rounds.c.position)):
        gram = None if row.gram is None else _floats(row.gram)
        if gram is not None:
            side = int(np.sqrt(gram.size))
            gram = gram.reshape(side, side)
        yield RoundObservation(row.position, row.era, tuple(groups.get(row.position, ())), gram)


def _floats(raw: bytes) -> NDArray[np.float64]:
    return np.frombuffer(raw, dtype=_FLOATS).astype(np.float64)
