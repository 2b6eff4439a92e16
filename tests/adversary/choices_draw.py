"""Can a server choose a client's company? Everything that it may tell up to the draw.

The seed of the groups is a hash over the statement and every r of the committee in U2, so a draw
tells nothing before the last r of it is known. **Claim**: at the first moment at which the server
can compute a draw that an honest client might still be led to use, that client has one statement
left that it can ever complete, and has counted this attempt. Then its company is that of one random
draw an attempt.

What is explored. Facts only grow: what a client answers depends on what it was told and on which
signatures exist, and every order of telling leads to a ``Position`` (who is bound to which
statement) in which any of those whose statement has its quorum may have given shares of r. The
server is helped beyond its means: dealers count as having dealt to all their neighbours, and a
client that is not bound yet may still be told any U1, U2 and U3.

``positions`` reduces by dominance: a client that is bound and gives no shares helps nobody. Left
unbound it can still sign the very same statement later, so every option that its signature would
support stays, and so does what is known. Hence only positions matter in which every bound client
gives shares. ``every_order`` does without that argument, step by step, where it is small enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from itertools import permutations
from typing import Any

from choices import Check, Clients, Setting, Statement, subsets

from auror.privacy.company import GroupDraw

Bound = tuple[tuple[int, Statement], ...]


@dataclass(frozen=True)
class Position:
    """Who has signed (or, outside a committee, accepted) what, and who has given shares of r."""

    bound: Bound
    gave: Clients

    def exported(self) -> dict[str, Any]:
        """The position as plain data, for whoever plays it with real clients."""
        return {
            "told": {
                client: {
                    "U1": list(told.advertised),
                    "U2": list(told.dealt),
                    "U3": list(told.uploaded),
                    "no upload yet": list(told.late),
                }
                for client, told in self.bound
            },
            "gave shares of r": sorted(self.gave),
        }


@dataclass(frozen=True)
class Found:
    """A counterexample: at this position the server gets its way with ``victim``."""

    what: str
    victim: int
    position: Position
    options: tuple[Statement, ...]


class DrawSearch:
    """One setting; every position; the claim for every honest client."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.victim = min(setting.honest)
        self.examined = 0

    @cached_property
    def menu(self) -> tuple[Statement, ...]:
        """Every list, and every list with the victim in it before it has uploaded. That others
        have not uploaded either only costs the server their signatures. (The victim is the first
        honest client for that purpose; the claim is checked for all.)"""
        lists = list(self.setting.statements())
        early = [
            Statement(s.advertised, s.dealt, s.uploaded, (self.victim,))
            for s in lists
            if self.victim in s.uploaded
        ]
        return tuple(lists + early)

    @cache  # noqa: B019 - lives as long as its test
    def able(self, told: Statement) -> Clients:
        """The honest clients that would sign ``told``."""
        has = self.setting.checked
        found = self.setting.honest & frozenset(told.dealt)
        if has(Check.OWN_MEMBER):
            found &= frozenset(told.uploaded)
        return found - frozenset(told.late) if has(Check.OWN_DIGEST) else found

    def quorate(self, told: Statement, supporters: Clients) -> bool:
        """Whether ``supporters`` and the colluders make Q, counted by identity."""
        signers = self.setting.signers(told)
        if not self.setting.checked(Check.QUORUM):
            return True
        signed = (supporters | self.setting.colluding) & signers
        if not self.setting.checked(Check.ONE_STATEMENT):
            signed |= self.able(told) & signers
        return len(signed) >= self.setting.quorum(told)

    def gives(self, told: Statement, supporters: Clients) -> bool:
        return not self.setting.checked(Check.SIGN_FIRST) or self.quorate(told, supporters)

    # What the server can do from here -----------------------------------------------------------

    def known(self, position: Position) -> Clients:
        """Honest dealers whose r the server can restore."""
        told = dict(position.bound)
        return frozenset(
            dealer
            for dealer in self.setting.honest
            if len(self.setting.holders(dealer) & self.setting.colluding)
            + sum(dealer in told[w].dealt for w in self.setting.holders(dealer) & position.gave)
            >= self.setting.threshold
        )

    def contributors(self, told: Statement) -> Clients:
        """The honest dealers whose r is in the seed: those in the committee."""
        return self.setting.honest & self.setting.signers(told) & frozenset(told.dealt)

    def options(self, position: Position, victim: int) -> tuple[Statement, ...]:
        """The statements under which ``victim`` may yet be led to send its statistics."""
        told = dict(position.bound)
        candidates = (told[victim],) if victim in told else self.menu
        if not self.setting.checked(Check.ONE_STATEMENT):
            candidates = self.menu
        free = self.setting.honest - frozenset(told)
        return tuple(
            candidate
            for candidate in candidates
            if victim in self.able(candidate)
            and self.quorate(
                candidate,
                (free & self.able(candidate))
                | frozenset(c for c, said in position.bound if said == candidate),
            )
        )

    def complaint(self, position: Position, victim: int) -> Found | None:
        """The claim for one client at one position."""
        known = self.known(position)
        unknown = (self.setting.honest & self.setting.signers()) - known
        fixed = self.setting.checked(Check.COMMITTEE_FROM_T)
        if fixed and len(unknown) > self.setting.count - self.setting.fewest:
            return None  # more than any U2 does without
        options = self.options(position, victim)
        computable = [o for o in options if self.contributors(o) <= known]
        if not computable:
            return None
        draws = len(options) if self.setting.checked(Check.COMMITMENTS) else 2
        if draws > 1:
            return Found("choice", victim, position, options)
        uncounted = not self.setting.checked(Check.NOTED) or victim in computable[0].late
        return Found("uncounted", victim, position, options) if uncounted else None

    # Every position -----------------------------------------------------------------------------

    def positions(self) -> Iterator[Position]:
        """Those in which every bound client gives shares; see above."""
        yield from self._grow((), self.setting.honest, 0)

    def _grow(self, bound: Bound, free: Clients, start: int) -> Iterator[Position]:
        if bound:
            yield Position(bound, frozenset(client for client, _ in bound))
        for place in range(start, len(self.menu)):
            told = self.menu[place]
            for group in subsets(free & self.able(told), 1):
                if self.gives(told, group):
                    more = tuple((client, told) for client in sorted(group))
                    yield from self._grow(bound + more, free - group, place + 1)

    def every_order(self) -> Iterator[Position]:
        """Every position that some order of single messages leads to: one client is told one
        statement, or one bound client the signatures that exist."""
        start = Position((), frozenset())
        seen, queue = {start}, [start]
        while queue:
            position = queue.pop()
            yield position
            for following in self._steps(position):
                if following not in seen:
                    seen.add(following)
                    queue.append(following)

    def _steps(self, position: Position) -> Iterator[Position]:
        told = dict(position.bound)
        for client in self.setting.honest - frozenset(told):
            for statement in self.menu:
                if client in self.able(statement):
                    bound = tuple(sorted((*position.bound, (client, statement))))
                    yield Position(bound, position.gave)
        for client, statement in position.bound:
            supporters = frozenset(c for c, said in position.bound if said == statement)
            if client not in position.gave and self.gives(statement, supporters):
                yield Position(position.bound, position.gave | {client})

    def first(self, positions: Iterator[Position]) -> Found | None:
        """The first counterexample; ``examined`` counts positions."""
        for position in positions:
            self.examined += 1
            for victim in sorted(self.setting.honest):
                if found := self.complaint(position, victim):
                    return found
        return None

    # The draw itself ----------------------------------------------------------------------------

    def unlike_one_draw(self) -> Statement | None:
        """A statement under which somebody's company is not what ``auror.privacy.company`` says of
        one draw over U3, or smaller than g."""
        for told in self.menu:
            for client in sorted(self.able(told)):
                if not self._as_drawn(told, client):
                    return told
        return None

    def _as_drawn(self, told: Statement, client: int) -> bool:
        over = told.uploaded if self.setting.checked(Check.GROUPS_OVER_U3) else told.dealt
        bad = self.setting.colluding
        if client not in told.uploaded or len(told.uploaded) < self.setting.group_size:
            return False
        kinds = tuple(sorted((c in told.uploaded, c in bad) for c in over if c != client))
        fewest, chances = _company(kinds, self.setting.group_size)
        draw = GroupDraw(
            len(told.uploaded), len(bad & frozenset(told.uploaded)), self.setting.group_size
        )
        return fewest >= self.setting.group_size and all(
            draw.few_honest(others) == chance for others, chance in enumerate(chances)
        )


@cache
def _company(
    others: tuple[tuple[bool, bool], ...], group_size: int
) -> tuple[int, tuple[Fraction, ...]]:
    """Over all permutations of one client and ``others`` (has uploaded, colludes): its smallest
    group, and the chance of at most 0, 1, … honest members of U3 beside it."""
    count, smallest, seen = len(others) + 1, len(others) + 1, Counter[int]()
    groups = max(1, count // group_size)
    for order in permutations(range(count)):
        place = order.index(0) % groups
        beside = [others[c - 1] for c in order[place::groups] if c]
        smallest = min(smallest, 1 + sum(uploaded for uploaded, _ in beside))
        seen[sum(uploaded and not bad for uploaded, bad in beside)] += 1
    total, chances, sofar = sum(seen.values()), [], 0
    for number in range(count):
        sofar += seen[number]
        chances.append(Fraction(sofar, total))
    return smallest, tuple(chances)
