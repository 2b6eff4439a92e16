"""Whom a server puts together over the rounds of one model, within the floors of the policy.

A server that gives out one model under the names of many steps gets nearly the same updates again
and again. What it may still choose is who uploads (U3, two thirds of the members at least), which
whole groups stand in the total (half of the cohort at least), and how rounds overlap; who sits in
which group it may not (``auror.privacy.company``). The policy allows all of it, up to the budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from auror.ids import ClientId, Digest, GroupIndex, RoundId
from auror.params import RoundParams
from auror.privacy.truth import TruthRecorder
from auror.round.public import Groups, draw_groups
from auror.round.record import OpenedGroup, RoundRecord
from auror.round.watch import Watch

Members = tuple[ClientId, ...]


@dataclass(frozen=True, slots=True)
class Company:
    """One round: its groups open their statistics, the kept ones make its total.

    The cohort is who uploaded: inviting more would only raise the floor of the total.
    """

    groups: Groups
    kept: tuple[int, ...]
    """Positions in ``groups``."""

    @property
    def uploaded(self) -> Members:
        return tuple(sorted(client for group in self.groups for client in group))

    @property
    def accepted(self) -> Members:
        return tuple(sorted(client for position in self.kept for client in self.groups[position]))

    def check(self, members: int, params: RoundParams) -> None:
        """Raises ValueError for what clients of ``members`` enrolled would refuse."""
        uploaded, accepted = len(self.uploaded), len(self.accepted)
        if uploaded < params.fewest_present(members, False):
            raise ValueError(f"{uploaded} of {members} members uploaded")
        if accepted < params.fewest_accepted(uploaded, members):
            raise ValueError(f"a total of {accepted} of {uploaded}")
        if min(len(group) for group in self.groups) < params.group_size:
            raise ValueError("a group below g")


Design = Callable[[int, np.random.Generator], Company]
"""From the round's index and the draw to who is put together."""


def halves(members: Members, params: RoundParams) -> Design:
    """Everybody uploads, and as few groups as the floor allows stand in the total."""

    def design(index: int, rng: np.random.Generator) -> Company:
        groups = draw_groups(rng.bytes(32), members, params.group_size)
        return Company(groups, _fewest(groups, rng.permutation(len(groups)), members, params))

    return design


def one_out(members: Members, params: RoundParams) -> Design:
    """Everybody uploads, and one group is left out of the total: what is left to a server where
    clients ask for more than the floor (``OwnRules.min_accepted``)."""

    def design(index: int, rng: np.random.Generator) -> Company:
        groups = draw_groups(rng.bytes(32), members, params.group_size)
        spared = int(rng.integers(len(groups)))
        return Company(groups, tuple(k for k in range(len(groups)) if k != spared))

    return design


def aimed(members: Members, params: RoundParams, victim: ClientId) -> Design:
    """The fewest that may upload, ``victim`` among them and always in the total, which is as small
    as the floor allows; everybody else comes and goes. In every third round all upload, so that
    what the rest sum to is known."""
    fewest = params.fewest_present(len(members), False)
    others = [client for client in members if client != victim]

    def design(index: int, rng: np.random.Generator) -> Company:
        chosen = members
        if index % 3:
            drawn = rng.choice(len(others), fewest - 1, replace=False)
            chosen = (victim, *(others[int(position)] for position in drawn))
        groups = draw_groups(rng.bytes(32), chosen, params.group_size)
        order = sorted(rng.permutation(len(groups)), key=lambda k: victim not in groups[k])
        return Company(groups, _fewest(groups, order, members, params))

    return design


def triples(members: Members, params: RoundParams, victim: ClientId) -> Design:
    """Totals over C + {v, a}, C + {v, b}, C + {a, b}, as small as may upload, everybody accepted; C
    and the pair are drawn anew for every three rounds."""
    return _overlapping(members, params, victim, ((0, 1), (0, 2), (1, 2)))


def nested(members: Members, params: RoundParams, victim: ClientId) -> Design:
    """Totals over C + {a, b} and C + {a, b, v}, the first as small as may upload, everybody
    accepted; C, a and b are drawn anew for every two rounds."""
    return _overlapping(members, params, victim, ((1, 2), (0, 1, 2)))


def _overlapping(
    members: Members, params: RoundParams, victim: ClientId, pattern: tuple[tuple[int, ...], ...]
) -> Design:
    """C and those of (v, a, b) that ``pattern`` names for each round in turn."""
    fewest = params.fewest_present(len(members), False)
    others = [client for client in members if client != victim]
    drawn: list[ClientId] = []

    def design(index: int, rng: np.random.Generator) -> Company:
        turn = index % len(pattern)
        if turn == 0:
            drawn[:] = [others[int(k)] for k in rng.choice(len(others), fewest, replace=False)]
        first, second, *core = drawn
        beside = [(victim, first, second)[position] for position in pattern[turn]]
        groups = draw_groups(rng.bytes(32), (*core, *beside), params.group_size)
        return Company(groups, tuple(range(len(groups))))

    return design


def companies(design: Design, rounds: int, seed: int) -> list[Company]:
    """``rounds`` rounds of ``design``; equal seeds draw equal groups."""
    rng = np.random.default_rng([seed, 0x0E7])
    return [design(index, rng) for index in range(rounds)]


def records_of(played: Sequence[Company]) -> list[RoundRecord]:
    """What a server holds after the rounds, as far as ``auror.privacy.account`` reads it."""
    nothing = np.zeros(0, dtype=np.uint64)
    return [
        RoundRecord(
            index=index,
            era=0,
            round_id=RoundId(index + 1, bytes(16)),
            attempt=0,
            cohort=company.uploaded,
            dealt=company.uploaded,
            uploaded=company.uploaded,
            sent=company.uploaded,
            groups=company.groups,
            opened=tuple(
                OpenedGroup(GroupIndex(position), group, nothing)
                for position, group in enumerate(company.groups)
            ),
            accepted_groups=tuple(GroupIndex(position) for position in company.kept),
            accepted=company.accepted,
            left_out={},
            flagged=(),
            dropped={},
            aborted=None,
            total_opened=True,
            model=Digest(bytes(32)),
            public_seed=bytes(32),
            watch=Watch.ALWAYS,
            watched=True,
        )
        for index, company in enumerate(played)
    ]


def truth_of(records: Sequence[RoundRecord], everybody: TruthRecorder) -> TruthRecorder:
    """What of ``everybody``, who trained in all rounds, was uploaded in those of ``records``."""
    sent = {(record.index, client) for record in records for client in record.uploaded}
    return TruthRecorder(
        {key: vector for key, vector in everybody.statistics.items() if key in sent},
        {key: vector for key, vector in everybody.inside.items() if key in sent},
        {key: vector for key, vector in everybody.outside.items() if key in sent},
        everybody.sketch_fraction,
    )


def _fewest(
    groups: Groups, order: Iterable[int], members: Members, params: RoundParams
) -> tuple[int, ...]:
    floor = params.fewest_accepted(sum(map(len, groups)), len(members))
    kept: list[int] = []
    for position in order:
        if sum(len(groups[k]) for k in kept) < floor:
            kept.append(int(position))
    return tuple(sorted(kept))
