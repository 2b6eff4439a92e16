"""Who shares masks and secrets with whom.

The complete graph is Bonawitz 2017; a sparse one (Bell 2020) is another constructor of the
same object, and nothing else needs to know which it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from auror.ids import ClientId


@dataclass(frozen=True)
class Graph:
    """Symmetric neighbourhoods. Everybody also holds a share of its own secrets."""

    neighbours: Mapping[ClientId, tuple[ClientId, ...]]

    @classmethod
    def complete(cls, cohort: tuple[ClientId, ...]) -> Graph:
        members = tuple(sorted(cohort))
        return cls(
            MappingProxyType({me: tuple(peer for peer in members if peer != me) for me in members})
        )

    @property
    def is_complete(self) -> bool:
        """Whether everybody is everybody's neighbour."""
        return all(len(peers) == len(self.neighbours) - 1 for peers in self.neighbours.values())

    def among(self, client: ClientId, present: frozenset[ClientId]) -> tuple[ClientId, ...]:
        """The neighbours of ``client`` that are in ``present``, sorted."""
        return tuple(peer for peer in self.neighbours[client] if peer in present)

    def holders(self, owner: ClientId, present: frozenset[ClientId]) -> tuple[ClientId, ...]:
        """Who holds shares of ``owner``'s secrets: its neighbours and itself, sorted."""
        return tuple(sorted((*self.among(owner, present), owner)))


def share_point(client: ClientId) -> int:
    """The Shamir x of a client: never 0, where the secret lies."""
    return client + 1
