"""What an excluded client is told: which of its classes, how strongly, over how many rounds.

Only once it is excluded for good: an accusation that is being confirmed is told to nobody
(``auror.training.confirmation``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from auror.defence.verdict import DecodedVerdict
from auror.ids import ClientId
from auror.round.messages import Exclusion, ExclusionCause
from auror.training.verdict import Verdict

PROVEN = Exclusion(ExclusionCause.PROOF)
EARLIER = Exclusion(ExclusionCause.EARLIER_FLAG)
"""Flagged in an earlier run under this policy; what for, that run's record says."""


def flagged(client: ClientId, verdict: Verdict | None, rounds: int, audits: int) -> Exclusion:
    """``rounds`` of evidence led to ``verdict``, and ``audits`` of them confirmed it."""
    source, target = _classes(client, verdict)
    return Exclusion(
        cause=ExclusionCause.FLAG,
        source=source,
        target=target,
        strength=None if verdict is None else verdict.strength,
        required=None if verdict is None else verdict.required,
        rounds=rounds,
        audits=audits,
    )


def note(
    told: dict[ClientId, Exclusion],
    verdict: Verdict | None,
    rounds: int,
    audits: Mapping[ClientId, int],
    proven: Iterable[ClientId],
) -> None:
    """Add to ``told`` whom a round newly excluded: flagged after ``audits``, or ``proven``."""
    for client, passed in audits.items():
        told[client] = flagged(client, verdict, rounds, passed)
    for client in proven:
        told.setdefault(client, PROVEN)


def newly(flagged: Iterable[ClientId], told: Mapping[ClientId, Exclusion]) -> bool:
    """Whether this run flagged any of ``flagged``: whom an earlier one did never trained in it."""
    return any(told.get(client) != EARLIER for client in flagged)


def _classes(client: ClientId, verdict: Verdict | None) -> tuple[int | None, int | None]:
    """Source and target of the reading that accuses ``client``, where it has them."""
    if isinstance(verdict, DecodedVerdict):
        for indication in verdict.indications:
            if client in indication.clients:
                return indication.source, indication.target
    return None, None


def to_dict(told: Mapping[ClientId, Exclusion]) -> dict[str, Any]:
    """JSON-able form."""
    return {
        str(client): {
            "cause": one.cause.name,
            "source": one.source,
            "target": one.target,
            "strength": one.strength,
            "required": one.required,
            "rounds": one.rounds,
            "audits": one.audits,
        }
        for client, one in told.items()
    }


def from_dict(raw: Mapping[str, Any]) -> dict[ClientId, Exclusion]:
    """Raises KeyError, TypeError or ValueError when ``raw`` is not from :func:`to_dict`."""
    return {
        ClientId(int(client)): Exclusion(**{**one, "cause": ExclusionCause[one["cause"]]})
        for client, one in raw.items()
    }
