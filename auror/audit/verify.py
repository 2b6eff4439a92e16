"""Goes through an audit from its first entry on, and stops at the first that does not hold."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from auror.audit.broken import AuditBroken, Broken, CannotJudge
from auror.audit.evidence import (
    Verdicts,
    check_evidence,
    judged_of,
    named_detector,
    observation_of,
)
from auror.audit.messages import check_messages
from auror.audit.rows import Names, check_broken_off, check_round, check_run, check_total
from auror.audit.start import Roots, Start, read_start
from auror.defence.ledger import RoundObservation
from auror.deployment import run_seals
from auror.deployment.audit_log import (
    END,
    FIRST_HEAD,
    ROUND,
    START,
    AuditEntry,
    check_head,
    head_after,
)
from auror.deployment.audit_reader import AuditedRun, KeptEvidence, read_audited
from auror.deployment.round_evidence import RoundEvidence, evidence_from_json
from auror.errors import AuthenticationFailed, ConfigError, ProtocolError, UserError
from auror.round.facts import decode
from auror.round.interrupted import interrupted_rounds
from auror.round.record import RoundRecord
from auror.round.record_json import record_from_json
from auror.training.verdict import Detector


@dataclass(frozen=True)
class Verified:
    """What holds."""

    deployment: str
    entries: int
    head: str
    """Stands for all of them: keep it, and no entry can be taken off the end unseen."""
    rounds: int
    unaudited: int
    """Rounds that were played before there was an audit."""
    without_messages: tuple[int, ...]
    """Rounds, from 1, that a crash broke off: what was signed in them is lost."""
    signatures: int
    """Of clients, verified again."""
    verdicts: int
    """Computed again."""
    totals: int
    """Opened ones that the server was told to keep, each the one that its round names."""
    finished: bool
    roots: str
    """Whom the reader trusted: "given", or "the run's own"."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def verify_audit(
    folder: Path,
    trusted: Roots | None = None,
    head: str | None = None,
    detector: Callable[[Start], Detector] | None = None,
) -> Verified:
    """Recompute chain, signatures, evidence and verdicts of the run in ``folder``.

    Args:
        trusted: the operator's key and the CA; without, those that the run names.
        head: one that was printed before; the chain must hold it still.
        detector: how a start's detector is made; by default those of this package.

    Raises:
        AuditBroken: naming the first bad entry.
        ConfigError: ``head`` is none.
        DataError: there is nothing to read.
    """
    if head is not None:
        head = head.strip().lower()
        if re.fullmatch(r"[0-9a-f]{64}", head, re.ASCII) is None:
            raise ConfigError(
                f'head = "{head}": give the 64 hexadecimal digits that were printed before'
            )
    kept = read_audited(folder)
    walk = _Walk(kept, trusted, detector or named_detector(own=False))
    for number, entry in enumerate(kept.entries):
        with _naming(number, entry):
            walk.take(number, entry)
    with _naming(len(kept.entries), None):
        walk.end()
    if head is not None and head not in {entry.head for entry in kept.entries}:
        raise AuditBroken(
            f"entry {len(kept.entries)} and later: no entry leads to the head {head}, so what led"
            " to it was taken off or rewritten"
        )
    return walk.verified("the run's own" if trusted is None else "given")


class _Walk:
    """What is known by an entry."""

    def __init__(
        self, kept: AuditedRun, trusted: Roots | None, detector: Callable[[Start], Detector]
    ) -> None:
        self._kept = kept
        self._trusted = trusted
        self._verdicts = Verdicts(detector)
        self._start: Start | None = None
        self._head = FIRST_HEAD
        self._first: int | None = None
        self._next = 0
        """Index of the next round."""
        self._ended = self._reopened = False
        self._names = Names(kept)
        self._ledger: list[RoundObservation] = []
        self._signatures = self._totals = 0
        self._lost: list[int] = []

    def take(self, number: int, entry: AuditEntry) -> None:
        if entry.number != number:
            raise Broken("it is missing")
        if head_after(self._head, number, entry.text) != entry.head:
            raise Broken("it, or one before it, is not what was hashed")
        self._head, content = entry.head, entry.content
        kind = content["kind"]
        if kind == START:
            self._begin(content)
        if self._start is None:
            raise Broken("nothing says who wrote it")
        check_head(self._start.certificate, entry.head, entry.signature)
        self._reopened = kind == START
        self._ended = kind == END or (kind == START and self._ended)
        if kind == ROUND:
            self._round(self._start, content)
        elif kind == END and int(content["rounds"]) != self._next:
            raise Broken("it ends another number of rounds")
        elif kind not in {START, ROUND, END}:
            raise Broken(f"no entry has the kind {kind}")

    def _begin(self, content: Mapping[str, Any]) -> None:
        start = read_start(content, self._start, self._trusted)
        if start.policy.name != self._kept.run["deployment"]:
            raise Broken("it is of another deployment than the run")
        self._names.begins(start)
        if self._first is None:
            self._first = self._next = start.first
            for index, evidence in self._kept.evidence.items():
                if index < start.first:
                    self._ledger.append(observation_of(index, evidence))
            for index in range(start.first):
                row = self._kept.rounds[index]
                self._names.unaudited(row, record_from_json(json.loads(row["record"])))
        if start.first != self._next:
            raise Broken(f"it follows {self._next} rounds and names {start.first}")
        self._start = start

    def _round(self, start: Start, content: Mapping[str, Any]) -> None:
        index, kept = self._next, self._kept
        row = kept.rounds.get(index)
        if int(content["position"]) != index or row is None:
            raise Broken(f"round {index + 1} is due, and it or its row is not there")
        counter = int(content["counter"])
        if row["counter"] != counter or run_seals.of_round(row) != content["row"]:
            raise Broken("the record of its round was changed")
        record = record_from_json(json.loads(row["record"]))
        if (record.index, record.round_id.counter) != (index, counter):
            raise Broken("the record is of another round")
        noted = kept.facts.get(counter, ())
        seals = [run_seals.of_fact({"counter": counter, "fact": fact}) for fact in noted]
        if (run_seals.of_facts(seals) if noted else None) != content["facts"]:
            raise Broken("the facts of its round were changed")
        if content["messages"] is None:
            found = None
            self._broken_off(record, row, noted)
        else:
            found = evidence_from_json(content["messages"])
            self._played(start, record, row, found)
        self._totals += check_total(kept, row)
        self._evidence(start, record, content, found)
        self._verdict(start, record, content)
        self._next += 1

    def _broken_off(
        self, record: RoundRecord, row: Mapping[str, Any], noted: Iterable[str]
    ) -> None:
        """A crash ended it: what was durable is all there is."""
        if not record.interrupted:
            raise Broken("what clients signed is missing")
        (broken,) = interrupted_rounds(map(decode, noted))
        begun = broken.begun
        check_broken_off(record, broken)
        check_round(row, record, begun.step, begun.model, broken.disputed)
        self._names.check(record, begun.step, begun.model, begun.parent)
        self._lost.append(record.index + 1)

    def _played(
        self, start: Start, record: RoundRecord, row: Mapping[str, Any], found: RoundEvidence
    ) -> None:
        one = found.description
        self._signatures += check_messages(start.policy, record, found)
        check_round(row, record, one.step, one.model, one.disputed)
        self._names.check(record, one.step, one.model, one.parent)

    def _evidence(
        self,
        start: Start,
        record: RoundRecord,
        content: Mapping[str, Any],
        found: RoundEvidence | None,
    ) -> None:
        kept: KeptEvidence | None = self._kept.evidence.get(record.index)
        if (None if kept is None else kept.sealed) != content["ledger"]:
            raise Broken("the evidence of its round, or of one before, was changed")
        plan = None if found is None else found.plan
        check_evidence(record, plan, start.policy.params, kept, bool(start.blocks))
        if kept is not None:
            self._ledger.append(observation_of(record.index, kept))

    def _verdict(self, start: Start, record: RoundRecord, content: Mapping[str, Any]) -> None:
        text = self._kept.verdicts.get(record.index)
        sealed = None if text is None else run_seals.of_verdict(record.index, text)
        if sealed != content["verdict"]:
            raise Broken("the verdict of its round was changed")
        judged = judged_of(content)
        if text is not None and judged is not None:
            self._verdicts.check(start, self._ledger, judged, text)
        elif text is not None and not record.interrupted:
            raise Broken("nothing says what its verdict is of")
        without = [client for client in record.flagged if client not in self._verdicts.accused]
        if without:
            raise Broken(f"client {without[0]} is flagged, and no verdict accuses it")

    def end(self) -> None:
        kept = self._kept
        extra = [index for index in kept.rounds if index >= self._next]
        if extra or int(kept.state["index"]) != self._next:
            raise Broken(f"round {self._next + 1} was closed and is no entry")
        if self._start is not None:
            check_run(kept, self._start, self._ended, self._reopened)
        self._names.check_others()

    def verified(self, roots: str) -> Verified:
        first = self._first or 0
        return Verified(
            deployment=self._kept.run["deployment"],
            entries=len(self._kept.entries),
            head=self._head,
            rounds=self._next - first,
            unaudited=first,
            without_messages=tuple(self._lost),
            signatures=self._signatures,
            verdicts=self._verdicts.computed,
            totals=self._totals,
            finished=self._kept.run["finished"],
            roots=roots,
        )


_DAMAGE = (
    ProtocolError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError,
    ValueError,
)  # fmt: skip
"""What reading something raises that was not written by a server."""


@contextmanager
def _naming(number: int, entry: AuditEntry | None) -> Iterator[None]:
    """What goes wrong within is said of entry ``number``."""
    try:
        yield
    except (CannotJudge, AuditBroken):
        raise
    except (Broken, AuthenticationFailed, UserError) as error:
        raise AuditBroken(f"entry {number}{_which(entry)}: {error}") from error
    except _DAMAGE as error:
        raise AuditBroken(f"entry {number}{_which(entry)}: damaged ({error!r})") from error


def _which(entry: AuditEntry | None) -> str:
    try:
        content = {} if entry is None else entry.content
        return f" (round {int(content['position']) + 1})"
    except (KeyError, TypeError, ValueError):
        return ""
