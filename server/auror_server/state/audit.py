"""Writes the audit: an entry per start, closed round and end, in that transaction (ADR 0025)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from auror.deployment.audit_log import (
    END,
    FIRST_HEAD,
    ROUND,
    START,
    AuditSigner,
    head_after,
    packed,
)
from auror.deployment.credentials import TlsFiles
from auror.deployment.policy_file import policy_json
from auror.deployment.round_evidence import RoundEvidence, evidence_to_json
from auror.deployment.run_seals import of_facts
from auror.deployment.run_tables import audit
from auror.round.policy import Policy
from auror.training import exclusions
from auror.training.state import CampaignState
from auror.version import __version__
from auror_server.state.database import Change
from auror_server.state.rows import compact


@dataclass(frozen=True)
class AuditedSettings:
    """What the entries of a start rest on."""

    policy: Policy
    tls: TlsFiles
    operator: bytes
    """PEM of the key that signed ``policy``."""
    settings: str
    """Hash of the configuration that decides the training."""
    detector: str
    error_rate: float
    defend: bool


class AuditTrail:
    """The end of the chain."""

    def __init__(self, signer: AuditSigner, connection: Connection) -> None:
        self._signer = signer
        newest = select(audit.c.number, audit.c.head).order_by(audit.c.number.desc()).limit(1)
        last = connection.execute(newest).first()
        self._number: int = -1 if last is None else last.number
        self.head: str = FIRST_HEAD if last is None else last.head
        """What stands for all entries, in hexadecimal."""

    def start(self, begun: AuditedSettings, state: CampaignState) -> Change:
        """A server begins to write: by its identity, under this policy, from this round on."""
        content = {
            "kind": START,
            "from": state.index,
            "policy": policy_json(begun.policy).decode(),
            "operator": begun.operator.decode(),
            "ca": begun.tls.ca.decode(),
            "certificate": begun.tls.certificate.decode(),
            "settings": begun.settings,
            "detector": begun.detector,
            "error_rate": begun.error_rate,
            "defend": begun.defend,
            "blocks": [block.to_dict() for block in state.ledger.blocks],
            "version": __version__,
        }
        return self._append(content)

    def round(self, entry: AuditedRound, state: CampaignState) -> Change:
        """A round is closed; ``state``: after it."""
        conduct = state.conduct
        content = {
            "kind": ROUND,
            "position": entry.position,
            "counter": entry.counter,
            "row": entry.row,
            "facts": None if entry.facts is None else of_facts(entry.facts),
            "ledger": entry.ledger,
            "verdict": entry.verdict,
            "judged": None if entry.judged is None else [entry.judged[0], list(entry.judged[1])],
            "messages": None if entry.evidence is None else evidence_to_json(entry.evidence),
            "conduct": {
                "excluded": _by_client(conduct.excluded),
                "withheld": _by_client(conduct.withheld),
                "silences": _by_client(conduct.silences),
                "paused_until": _by_client(conduct.attendance.until),
            },
            "told": exclusions.to_dict(state.exclusions),
        }
        return self._append(content)

    def end(self, state: CampaignState) -> Change:
        """The training is finished."""
        return self._append({"kind": END, "rounds": state.index})

    def _append(self, content: Mapping[str, Any]) -> Change:
        text = compact(content)
        self._number += 1
        self.head = head_after(self.head, self._number, text)
        signature = self._signer.sign(self.head)
        row = {"number": self._number, "head": self.head, "signature": signature}
        return audit.insert(), {**row, "entry": packed(text)}


@dataclass(frozen=True, kw_only=True)
class AuditedRound:
    """One closed round: seals of its rows, and what its messages prove."""

    position: int
    counter: int
    row: str
    facts: Iterable[str] | None
    """Seal of each, in order; None: they go, for ``evidence`` says more."""
    ledger: str | None
    """Of its evidence; None: it brought none."""
    verdict: str | None
    judged: tuple[int, tuple[int, ...]] | None
    """What that verdict is of: rounds of evidence, and whom the next round could have invited."""
    evidence: RoundEvidence | None


def _by_client(values: Mapping[Any, int]) -> dict[str, int]:
    return {str(client): value for client, value in sorted(values.items())}
