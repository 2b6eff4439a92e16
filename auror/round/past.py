"""What clients took part in before a run: a server that begins goes on from there (rule 3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from auror.ids import ClientId

MOST_ERAS = 1 << 16
"""Of a policy; a claim beyond it is malformed."""
MOST_COUNTER = 1 << 62
"""A claim beyond it is malformed."""
_AHEAD = 1 << 20
"""How far colluders can raise the counter of the next round: a run would have to be broken off so
often in a row, while it invites, for an honest client to be as far ahead of the others."""


@dataclass(frozen=True, slots=True)
class Past:
    """Where a client's memory stands. It goes back for nobody, so a run has to begin after it."""

    counter: int = 0
    """Smallest counter of a round that it would join."""
    era: int = 0
    """Smallest era that is new to it."""
    flagged: tuple[ClientId, ...] = ()
    """Whom it knows as flagged, sorted."""
    version: int = field(default=0, compare=False)
    """Of the policy that it holds; 0: it does not say."""


def common_past(told: Iterable[Past], colluders: int) -> Past:
    """What a run has to begin after, of what at most ``colluders`` lie about.

    The era is one that an honest client has reached: liars use up no training that the policy
    signs. Whom more than ``colluders`` know as flagged an honest client does. Counters are not
    scarce, so all are taken, as far as they are not absurd.
    """
    claims = list(told)
    counters = sorted((one.counter for one in claims), reverse=True)
    eras = sorted((one.era for one in claims), reverse=True)
    if len(claims) <= colluders:
        return Past(counter=min(max(counters, default=0), _AHEAD))
    known = Counter(client for one in claims for client in set(one.flagged))
    return Past(
        counter=min(counters[0], counters[colluders] + _AHEAD),
        era=eras[colluders],
        flagged=tuple(sorted(client for client, times in known.items() if times > colluders)),
    )
