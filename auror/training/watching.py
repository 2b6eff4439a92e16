"""Whether a round opens its label rows for certain: while somebody is undecided, as long as clients
let it (docs/adr/0022).

Counted as the clients count (``auror.round.client.memory``), so none of them refuses a round.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from auror.ids import ClientId
from auror.round.policy import Policy
from auror.round.watch import Watch


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a new count begins with: a member who joined or was reinstated, another training,
    another flag."""

    since: int = 0
    """Version of the policy from which its newest member counts."""
    era: int = -1
    flagged: tuple[ClientId, ...] = ()
    """Members, sorted."""

    @classmethod
    def of(cls, policy: Policy, era: int, flagged: Iterable[ClientId]) -> Occasion:
        """Now, with everybody who was ever ``flagged``."""
        members = policy.members
        newest = max(entry.since for entry in members.values())
        return cls(newest, era, tuple(sorted(c for c in flagged if c in members)))


@dataclass
class Watching:
    """Attempts in rounds that were watched for certain on one occasion."""

    occasion: Occasion = Occasion()
    attempts: int = 0

    def attempts_on(self, occasion: Occasion) -> int:
        """Those that clients hold against the server on ``occasion``."""
        before = self.occasion
        same = (occasion.since, occasion.era) == (before.since, before.era)
        return self.attempts if same and set(occasion.flagged) <= set(before.flagged) else 0

    def declare(self, occasion: Occasion, policy: Policy, decided: bool) -> Watch:
        """What the next round's description says.

        ``decided``: everybody is flagged or cleared. Where the policy's rounds do not suffice for
        that, the rest of the evidence comes from drawn rounds.
        """
        if policy.params.watch_rate == 1:
            return Watch.ALWAYS
        spent = self.attempts_on(occasion) >= policy.budget.max_watched
        return Watch.DRAWN if decided or spent else Watch.ALWAYS

    def book(self, occasion: Occasion, *, attempted: bool, watched: bool) -> None:
        """Count a round that began on ``occasion``; ``watched``: for certain."""
        self.attempts = self.attempts_on(occasion) + (attempted and watched)
        self.occasion = occasion

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        occasion = self.occasion
        return {
            "since": occasion.since,
            "era": occasion.era,
            "flagged": [int(client) for client in occasion.flagged],
            "attempts": self.attempts,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Watching:
        """Raises KeyError, TypeError or ValueError when ``raw`` is not from :meth:`to_dict`."""
        flagged = tuple(ClientId(int(client)) for client in raw["flagged"])
        occasion = Occasion(int(raw["since"]), int(raw["era"]), flagged)
        return cls(occasion, int(raw["attempts"]))
