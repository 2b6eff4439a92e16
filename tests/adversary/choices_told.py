"""What a lying server can tell each client, and what it knows by then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from choices import Clients, Statement

Group = tuple[int, ...]


@dataclass(frozen=True, order=True)
class View:
    """What h covers, and keys that the server put in the place of somebody's."""

    told: Statement
    groups: tuple[Group, ...]
    forged: tuple[int, ...] = ()

    def group(self, client: int) -> Clients:
        return next((frozenset(g) for g in self.groups if client in g), frozenset())


@dataclass(frozen=True, order=True)
class Told:
    """One client's part of a profile."""

    views: tuple[View, ...]
    """One, but for a client that answers twice in phase 4."""
    accepted: tuple[Group, ...] = ()
    silent: bool = False
    """It stops after its upload: lost, or waiting for a quorum that never comes."""

    @property
    def view(self) -> View:
        return self.views[0]


Profile = dict[int, Told]


@dataclass(frozen=True)
class Known:
    """What the server holds once all have answered; equal knowledge is looked at once."""

    told: tuple[tuple[int, tuple[View, ...], bool], ...]
    seeds: Clients
    keys: Clients
    images: frozenset[tuple[int, int]]
    totals: frozenset[Clients]


def exported(profile: Profile) -> dict[int, Any]:
    """The profile as plain data, for whoever plays it with real clients."""
    return {
        client: {
            "views": [
                {
                    "U1": list(view.told.advertised),
                    "U2": list(view.told.dealt),
                    "U3": list(view.told.uploaded),
                    "groups": [list(group) for group in view.groups],
                    "forged keys": list(view.forged),
                }
                for view in told.views
            ],
            "A": [list(accepted) for accepted in told.accepted],
        }
        for client, told in profile.items()
    }


def groupings(clients: Iterable[int], size: int) -> Iterator[tuple[Group, ...]]:
    """Every split into ⌊m/g⌋ groups whose sizes differ by at most one, as some seed draws it."""
    members = tuple(sorted(clients))
    count = max(1, len(members) // size)
    small, larger = divmod(len(members), count)

    def split(rest: Group, sizes: tuple[int, ...]) -> Iterator[tuple[Group, ...]]:
        if not rest:
            yield ()
            return
        for take in sorted(set(sizes)):
            left = list(sizes)
            left.remove(take)
            for mates in combinations(rest[1:], take - 1):
                group = (rest[0], *mates)
                others = tuple(c for c in rest if c not in group)
                for more in split(others, tuple(left)):
                    yield (group, *more)

    yield from split(members, (small,) * (count - larger) + (small + 1,) * larger)
