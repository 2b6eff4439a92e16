"""Who shares masks and secrets with whom.

The complete graph is Bonawitz 2017; a sparse one (Bell 2020) is another constructor of the
same object, and nothing else needs to know which it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from auror.crypto.entropy import Secret
from auror.crypto.prg import UniformIntegers
from auror.ids import ClientId


@dataclass(frozen=True, eq=False)
class Graph:
    """Symmetric neighbourhoods. Everybody also holds a share of its own secrets."""

    neighbours: Mapping[ClientId, tuple[ClientId, ...]]
    ring: tuple[ClientId, ...] = ()
    """Of a sparse graph: everybody, next to its nearest neighbours."""

    @staticmethod
    @lru_cache(maxsize=4)
    def complete(cohort: tuple[ClientId, ...]) -> Graph:
        """Once for all clients of a process."""
        members = tuple(sorted(cohort))
        return Graph(
            MappingProxyType({me: tuple(peer for peer in members if peer != me) for me in members})
        )

    @staticmethod
    @lru_cache(maxsize=4)
    def harary(cohort: tuple[ClientId, ...], degree: int, seed: bytes) -> Graph:
        """Everybody next to the degree/2 before and after it on a ring in random order. Once for
        all clients of a process.

        ``seed``: 32 bytes that nobody chose; ``degree``: even, below the size of the cohort.
        """
        if degree % 2 or not 2 <= degree < len(cohort):
            raise ValueError(f"degree {degree}: an even number from 2 to {len(cohort) - 1}")
        order = UniformIntegers(Secret(seed)).permutation(sorted(cohort))
        ring = tuple(ClientId(client) for client in order)
        return Graph(_RingNeighbours(ring, degree // 2), ring)

    @property
    def is_complete(self) -> bool:
        """Whether everybody is everybody's neighbour."""
        return not self.ring

    def fewest_in_a_row(self, present: frozenset[ClientId]) -> int:
        """Of a sparse graph: the fewest of ``present`` among any degree/2 clients in a row.

        With an honest one in every such row, neighbours on the ring of honest clients are
        neighbours in the graph, and the honest part of ``present`` is connected: whoever of the
        others drops out or is left out, no honest client loses the masks of all the others.
        """
        half = len(self.neighbours[self.ring[0]]) // 2
        here = [client in present for client in self.ring]
        count = fewest = sum(here[:half])
        for at in range(len(here)):
            count += here[(at + half) % len(here)] - here[at]
            fewest = min(fewest, count)
        return fewest

    def among(self, client: ClientId, present: frozenset[ClientId]) -> tuple[ClientId, ...]:
        """The neighbours of ``client`` that are in ``present``, sorted."""
        return tuple(peer for peer in self.neighbours[client] if peer in present)

    def holders(self, owner: ClientId, present: frozenset[ClientId]) -> tuple[ClientId, ...]:
        """Who holds shares of ``owner``'s secrets: its neighbours and itself, sorted."""
        return tuple(sorted((*self.among(owner, present), owner)))


class _RingNeighbours(Mapping[ClientId, tuple[ClientId, ...]]):
    """Sorted neighbours, found when they are asked for: a client asks for its own alone."""

    def __init__(self, ring: tuple[ClientId, ...], half: int) -> None:
        self._ring, self._half = ring, half
        self._places = {client: at for at, client in enumerate(ring)}
        self._found: dict[ClientId, tuple[ClientId, ...]] = {}

    def __getitem__(self, client: ClientId) -> tuple[ClientId, ...]:
        if client not in self._found:
            at, ring = self._places[client], self._ring
            steps = (step for step in range(-self._half, self._half + 1) if step)
            near = sorted(ring[(at + step) % len(ring)] for step in steps)
            self._found[client] = tuple(near)
        return self._found[client]

    def __iter__(self) -> Iterator[ClientId]:
        return iter(self._ring)

    def __len__(self) -> int:
        return len(self._ring)


def share_point(client: ClientId) -> int:
    """The Shamir x of a client: never 0, where the secret lies."""
    return client + 1
