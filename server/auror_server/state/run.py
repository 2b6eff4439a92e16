"""One run's state, open for writing: facts before clients are told, a round as a whole at its end.

Nothing secret gets here: no seeds, keys, shares or masks (rule 4).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, func, select

from auror.deployment import run_seals as seals
from auror.deployment.audit_log import AuditSigner
from auror.deployment.run_reader import closed
from auror.deployment.run_tables import facts, generations, ledger_rounds, rounds, runs
from auror.round.description import model_digest
from auror.round.facts import RoundBegun, ServerFact, decode
from auror.round.interrupted import InterruptedRound, interrupted_rounds
from auror.round.record import RoundRecord
from auror.round.record_json import record_from_json
from auror.training.state import CampaignState
from auror_server.state import rows
from auror_server.state.audit import AuditedRound, AuditedSettings, AuditTrail
from auror_server.state.blobs import Blobs
from auror_server.state.database import Change, Database
from auror_server.state.identity import RunIdentity
from auror_server.state.rows import Closing

KEPT = 2
"""Generations: the newest model, and the one to fall back to."""


class RunState:
    """Everything of a run that must not be lost."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        """``database`` holds the run at least as :func:`first_rows` left it."""
        self._database = database
        self._blobs = blobs
        self._pending: list[Change] = []
        with database.reading() as connection:
            kept = connection.execute(select(generations).order_by(generations.c.number)).all()
            counted = select(func.count()).select_from(ledger_rounds)
            self._bound = connection.execute(counted).scalar_one()
            """Rounds of the ledger that are rows."""
            self._round = connection.execute(select(func.max(rounds.c.counter))).scalar()
            kept_totals = select(rounds.c.total).where(rounds.c.total.is_not(None))
            self._totals = set(connection.execute(kept_totals).scalars())
        self._number, self._evidence = int(kept[-1].number), str(kept[-1].evidence)
        models = json.loads(kept[-1].state)["models"]
        self._named = (models["era"], models["step"])
        """Era and step of the newest generation's model."""
        self._models = {row.number: {row.model, row.previous} for row in kept}
        self._trail: AuditTrail | None = None

    def audit(self, signer: AuditSigner, begun: AuditedSettings, state: CampaignState) -> None:
        """From now on every closed round is an entry of the audit, signed by ``signer``.

        Raises:
            MachineError: the disk takes nothing more.
        """
        with self._database.reading() as connection:
            trail = AuditTrail(signer, connection)
        self._database.write([*self._pending, trail.start(begun, state)])
        self._trail, self._pending = trail, []

    @property
    def audit_head(self) -> str | None:
        """What stands for the whole audit; None: there is none."""
        return None if self._trail is None else self._trail.head

    # During a round -------------------------------------------------------------------------------

    def note(self, fact: ServerFact) -> None:
        """Durable after the next :meth:`sync`."""
        if isinstance(fact, RoundBegun):
            self._round = fact.round_id.counter
        if self._round is None:
            raise ValueError("a fact before the first round")
        self._pending += rows.of_fact(self._round, fact)

    @property
    def dirty(self) -> bool:
        return bool(self._pending)

    def sync(self) -> None:
        """Everything noted, in one transaction.

        Raises:
            MachineError: the disk takes nothing more.
        """
        if self._pending:
            self._database.write(self._pending)
            self._pending = []

    # At its end -----------------------------------------------------------------------------------

    def close_rounds(
        self,
        closings: Sequence[Closing],
        state: CampaignState,
        verdict: Mapping[str, Any] | None = None,
    ) -> None:
        """What the ``closings`` leave, and the training's ``state`` after them: in one transaction.

        Facts of a round that was played to its end go with it: what they told a restart stands in
        its record, and in what clients signed. Those of one that a crash broke off stay.

        Raises:
            MachineError: the disk takes nothing more.
        """
        changes, self._pending = self._pending, []
        sealed: list[tuple[Closing, str]] = []
        for closing in closings:
            total = None
            if closing.total is not None:
                total = self._blobs.put(closing.total.astype("<i8").tobytes())
                self._totals.add(total)
            row, change = rows.of_closing(closing, total)
            sealed.append((closing, row))
            changes.append(change)
        judged = None
        if verdict is not None and closings:
            judged, change = rows.of_verdict(closings[-1].record.index, verdict)
            changes.append(change)
        evidence = self._evidence_rows(changes, state)
        if self._trail is not None:
            for closing, row in sealed:
                last = judged if closing is closings[-1] else None
                audited = self._audited(closing, row, evidence, last)
                changes.append(self._trail.round(audited, state))
        changes += [
            rows.without_facts(closing.record.round_id.counter)
            for closing in closings
            if closing.evidence is not None
        ]
        self._write(changes, state, finished=False)

    def _audited(
        self, closing: Closing, row: str, evidence: Mapping[int, str], verdict: str | None
    ) -> AuditedRound:
        counter, index = closing.record.round_id.counter, closing.record.index
        return AuditedRound(
            position=index,
            counter=counter,
            row=row,
            facts=self._facts(counter) if closing.evidence is None else None,
            ledger=evidence.get(index),
            verdict=verdict,
            judged=None if verdict is None else closing.judged,
            evidence=closing.evidence,
        )

    def _facts(self, counter: int) -> tuple[str, ...]:
        """Seals of the durable facts of a round, in order."""
        kept = select(facts.c.sealed).where(facts.c.counter == counter).order_by(facts.c.id)
        with self._database.reading() as connection:
            return tuple(connection.execute(kept).scalars())

    def finish(self, state: CampaignState) -> None:
        """The training is over: nothing is left to resume, though it may be extended."""
        changes: list[Change] = []
        self._evidence_rows(changes, state)
        if self._trail is not None:
            changes.append(self._trail.end(state))
        self._write(changes, state, finished=True)

    def _evidence_rows(self, changes: list[Change], state: CampaignState) -> dict[int, str]:
        """Add what is new in the ledger to ``changes``. Returns round → seal."""
        found = {}
        for entry in state.ledger.rounds[self._bound :]:
            self._evidence, added = rows.of_evidence(self._evidence, entry)
            found[entry.round_index] = self._evidence
            changes += added
        self._bound = len(state.ledger.rounds)
        return found

    def _write(self, changes: list[Change], state: CampaignState, finished: bool) -> None:
        name = (state.models.era, state.models.step)
        number = self._number + (name != self._named)
        row = generation_row(self._blobs, number, state, self._evidence)
        changes += [
            rows.of_generation(row),
            rows.of_model(*name, row["digest"], state.models.parent.hex()),
            (delete(generations).where(generations.c.number <= number - KEPT), None),
            (runs.update().values(finished=finished), None),
        ]
        self._database.write(changes)
        self._number, self._named = number, name
        self._keep(number, row)

    def go_on_as(self, identity: RunIdentity) -> None:
        """``identity`` fits the run; it may have a later version of the policy. Durable with what
        is written next: in a server's life, the start in the audit."""
        self._pending.append((runs.update().values(**identity.row()), None))

    def close(self) -> None:
        """What was noted and not synced was told to nobody."""
        self._database.close()

    # What is known --------------------------------------------------------------------------------

    def interrupted(self) -> tuple[InterruptedRound, ...]:
        """The rounds that crashes broke off, oldest first."""
        open_rounds = select(facts.c.fact).join(rounds).where(rounds.c.position.is_(None))
        with self._database.reading() as connection:
            found = connection.execute(open_rounds.order_by(facts.c.id)).scalars().all()
        return interrupted_rounds(map(decode, found))

    def records(self) -> list[RoundRecord]:
        """Of all closed rounds, in order; opens no file, for it may be asked when none can be."""
        with self._database.reading() as connection:
            found = connection.execute(closed(rounds.c.record)).scalars().all()
        return [record_from_json(json.loads(text)) for text in found]

    def _keep(self, number: int, row: Mapping[str, Any]) -> None:
        models = {**self._models, number: {row["model"], row["previous"]}}
        self._models = {k: kept for k, kept in models.items() if k > number - KEPT}
        self._blobs.keep_only(self._totals.union(*self._models.values()))


def generation_row(
    blobs: Blobs, number: int, state: CampaignState, evidence: str
) -> dict[str, Any]:
    """Row of ``generations``; its models are durable by then."""
    models = state.models
    row: dict[str, Any] = {
        "number": number,
        "state": rows.compact(state.to_dict()),
        "model": blobs.put(model_bytes(models.model)),
        "digest": model_digest(models.model).hex(),
        "previous": None if models.previous is None else blobs.put(model_bytes(models.previous)),
        "evidence": evidence,
    }
    return {**row, "sealed": seals.of_generation(row)}


def first_rows(identity: RunIdentity, state: CampaignState, blobs: Blobs) -> Iterable[Change]:
    """The transaction with which a run begins."""
    run = {"id": 1, **identity.row(), "finished": False, "changes": 0}
    row = generation_row(blobs, 1, state, seals.FIRST)
    models = state.models
    return [
        (runs.insert(), run),
        rows.of_model(models.era, models.step, row["digest"], models.parent.hex()),
        (generations.insert(), row),
    ]


def model_bytes(model: NDArray[np.float32]) -> bytes:
    return model.astype("<f4").tobytes()
