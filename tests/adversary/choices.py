"""A lying server's choices in one round, symbolically: who is told what, and what a client checks.

Cryptography is abstracted: a mask is a formal variable, a share counts towards a threshold, a
signature is the fact that its signer was told so. Colluders sign everything, hand every share to
the server and are in the last places. The server decides what **each** client is told, in which
order, and may look at everything that it could compute before it decides the next. Two searches
stand on this: ``choices_draw`` (can it choose a client's company?) and ``choices_opening`` (does
anything but sums over that company open?).

Each ``Check`` can be removed. A search that finds nothing with any check missing proves nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, combinations

Clients = frozenset[int]


class Check(enum.Enum):
    """What a client does or refuses, by phase."""

    FLOOR = "1 to 3a: U1, U2, U3 not below its own floor, nor below one group"
    NOTED = "2: the attempt is noted and counted before the upload leaves"
    INSIDE_U2 = "3a: U3 is part of the U2 that its upload was masked against"
    OWN_MEMBER = "3a: it stands in U3 itself"
    OWN_DIGEST = "3a: with the digest of the upload that it sent in this attempt"
    ONE_STATEMENT = "3a: one signature on one (U1, U2, U3) in an attempt"
    QUORUM = "3b: Q valid signatures on exactly its own statement"
    OVER_COHORT = "3b: Q from the cohort (the committee), not from the list that is shown"
    COMMITTEE_FROM_T = "3b: the committee is drawn from T, not from the list that is shown"
    SIGN_FIRST = "3b: the quorum is there before any share of r leaves"
    COMMITMENTS = "4: every r of U2 is there and is what its dealer committed to"
    GROUPS_OVER_U3 = "4: the groups are a permutation of U3, none smaller than g"
    KEYS_VERIFIED = "4: the statistics keys of its whole group are signed by their owners"
    BOUND_TO_H = "4: statistics masks are derived from (T, h)"
    ONCE = "4: statistics leave for one h in an attempt"
    WHOLE_STATEMENT = "3a, 4: the statement and h hold the U2 that its upload was masked against"
    WHOLE_GROUPS = "5: A consists of whole groups"
    MEMBERS_SIGNED = "5: every member of A has a valid signature on its own h"
    CONNECTED = "5: on a sparse graph the honest members of A stay connected by masks"
    ONE_ACCEPTED = "5: one (h, A) in an attempt"
    AGREED = "6: Q valid signatures on exactly its own (h, A)"
    NEVER_BOTH = "6: never both secrets of one peer"
    INSIDE_CLOSED = "7: images of masks inside a group stay closed"
    COMPLETE_ONLY = "7: no images on a sparse graph"


@dataclass(frozen=True, order=True)
class Statement:
    """What a client signs in phase 3a. Tuples, so that statements are ordered and plain data."""

    advertised: tuple[int, ...]
    dealt: tuple[int, ...]
    uploaded: tuple[int, ...]
    late: tuple[int, ...] = ()
    """Clients listed with a digest that is not of an upload of theirs: they have sent none yet,
    and what they will send cannot be foreseen."""


@dataclass(frozen=True)
class Setting:
    """A cohort, its wiring and the checks that its honest clients make."""

    count: int
    colluders: int
    group_size: int
    degree: int = 0
    """Neighbours on a ring; 0: the complete graph."""
    committee: Clients = frozenset()
    """Who signs; nobody: all of the cohort."""
    bad: Clients = frozenset()
    """The colluders; nobody named: the last ones, which is all there is on the complete graph."""
    forgetful: Clients = frozenset()
    """Whose memory is rolled back: it answers phase 4 for two views."""
    checks: frozenset[Check] = field(default_factory=lambda: frozenset(Check))

    @cached_property
    def cohort(self) -> Clients:
        return frozenset(range(self.count))

    @cached_property
    def colluding(self) -> Clients:
        last = range(self.count - self.colluders, self.count)
        return self.bad or frozenset(last)

    @cached_property
    def honest(self) -> Clients:
        return self.cohort - self.colluding

    @cached_property
    def fewest(self) -> int:
        """The client's floor for U1, U2, U3: two thirds, a group, two honest clients."""
        if Check.FLOOR not in self.checks:
            return 1
        return max(-(-2 * self.count // 3), self.group_size, self.colluders + 2)

    @cached_property
    def threshold(self) -> int:
        """t: 2t > holders + c."""
        holders = self.degree + 1 if self.degree else self.count
        return (holders + min(self.colluders, holders)) // 2 + 1

    def checked(self, check: Check) -> bool:
        return check in self.checks

    def neighbours(self, client: int) -> Clients:
        """Whom it shares update masks with, and who holds its shares, itself not among them."""
        if not self.degree:
            return self.cohort - {client}
        steps = range(1, self.degree // 2 + 1)
        return frozenset((client + sign * k) % self.count for k in steps for sign in (1, -1))

    def holders(self, client: int) -> Clients:
        return self.neighbours(client) | {client}

    def signers(self, shown: Statement | None = None) -> Clients:
        """Who may sign. Drawn from the list itself it is another committee for every list."""
        if not self.committee:
            return self.cohort
        if shown is None or self.checked(Check.COMMITTEE_FROM_T):
            return self.committee
        places = sorted(self.cohort)
        turn = sum((k + 1) * c for k, c in enumerate(shown.dealt + shown.uploaded)) % len(places)
        return frozenset((places[turn:] + places[:turn])[: len(self.committee)])

    def quorum(self, shown: Statement | None = None) -> int:
        """Q: 2Q > signers + c."""
        able = self.signers(shown)
        if shown is not None and not self.checked(Check.OVER_COHORT):
            able = able & frozenset(shown.uploaded)
        return (len(able) + min(self.colluders, len(able))) // 2 + 1

    def statements(self) -> Iterator[Statement]:
        """Every U3 ⊆ U2 ⊆ U1 that a client with its floor would look at."""
        for advertised in subsets(self.cohort, self.fewest):
            for dealt in subsets(advertised, self.fewest):
                over = dealt if self.checked(Check.INSIDE_U2) else self.cohort
                for uploaded in subsets(over, self.fewest):
                    yield Statement(*(tuple(sorted(s)) for s in (advertised, dealt, uploaded)))


def subsets(clients: Clients, at_least: int = 0) -> list[Clients]:
    sizes = range(len(clients), at_least - 1, -1)
    return [
        frozenset(chosen)
        for chosen in chain.from_iterable(combinations(sorted(clients), k) for k in sizes)
    ]
