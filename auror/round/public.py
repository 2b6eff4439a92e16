"""Public randomness: the seed of a round, the groups it draws, and what all must agree on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from auror.crypto.kex import expand
from auror.crypto.prg import UniformIntegers
from auror.crypto.tags import Encoded, Tag, number, tagged_hash
from auror.ids import ClientId, Digest
from auror.recall import recalled
from auror.secagg.graph import Graph
from auror.secagg.topology import Topology

PublicSeed = Callable[[Digest, tuple[ClientId, ...], Mapping[ClientId, bytes]], bytes]
"""From T, U3 and every contribution r_j (32 bytes each) to the round's 32-byte seed."""

Clients = tuple[ClientId, ...] | frozenset[ClientId]
Groups = tuple[tuple[ClientId, ...], ...]


def protocol_seed(
    transcript: Digest, uploaded: tuple[ClientId, ...], randomness: Mapping[ClientId, bytes]
) -> bytes:
    """H(T, U3, r of the committee): nobody knows it before a quorum has signed U3 (step 3.9)."""
    parts = (part for client in sorted(randomness) for part in (number(client), randomness[client]))
    return tagged_hash(Tag.PUBLIC_SEED, transcript, clients_digest(uploaded), *parts)


@lru_cache(maxsize=4)
def draw_groups(public_seed: bytes, uploaded: tuple[ClientId, ...], group_size: int) -> Groups:
    """Split U3 at random into ⌊n/g⌋ groups whose sizes differ by at most one, none below g.

    Over U3 itself: of groups drawn over a larger set, whoever decides who has uploaded could
    choose whom to take out.

    Raises:
        ValueError: fewer than ``group_size`` clients.
    """
    order = UniformIntegers(expand(public_seed, Tag.GROUPS)).permutation(sorted(uploaded))
    count = len(order) // group_size
    if not count:
        raise ValueError(f"{len(order)} clients make no group of {group_size}")
    return tuple(tuple(sorted(ClientId(c) for c in order[k::count])) for k in range(count))


def draw_graph(
    topology: Topology,
    transcript: Digest,
    cohort: tuple[ClientId, ...],
    keys: Digest,
) -> Graph:
    """Step 0.7: who holds whose shares and shares masks with whom, once U1 is fixed.

    Over the whole cohort: to the graph, who did not advertise is a dropout like any other.
    ``keys``: hash of all of U1 (``auror.round.lists``).
    """
    if topology.complete:
        return Graph.complete(cohort)
    return Graph.harary(cohort, topology.degree, tagged_hash(Tag.GRAPH, transcript, keys))


@recalled(16)
def set_of(clients: tuple[ClientId, ...]) -> frozenset[ClientId]:
    """Of a list that all clients are told: held once by those of a process, not thousands of times.

    Raises:
        ValueError: a client stands in it twice, or they are not sorted.
    """
    found = frozenset(clients)
    if list(clients) != sorted(found):
        raise ValueError("not a sorted set")
    return found


@recalled(16)
def in_order(clients: frozenset[ClientId]) -> tuple[ClientId, ...]:
    """A set of :func:`set_of`, sorted: one tuple for all clients of a process, so that what is
    known of it by its object is known to all."""
    return tuple(sorted(clients))


@lru_cache(maxsize=4)
def covers(topology: Topology, graph: Graph, accepted: frozenset[ClientId]) -> bool:
    """Whether the honest clients of ``accepted`` stay connected, whoever else is missing: else a
    total could be taken apart (docs/topology.md). The complete graph always holds them together.
    """
    return graph.is_complete or graph.fewest_in_a_row(accepted) >= topology.window


@lru_cache(maxsize=4)
def count_left_out(groups: Groups, accepted: frozenset[ClientId]) -> int:
    """How many of ``groups`` are not in ``accepted``.

    Raises:
        ValueError: a part of a group is.
    """
    left_out = 0
    for group in groups:
        chosen = accepted.intersection(group)
        if chosen and len(chosen) != len(group):
            raise ValueError(f"a group with {len(chosen)} of {len(group)}")
        left_out += not chosen
    return left_out


def draw_committee(
    transcript: Digest, cohort: tuple[ClientId, ...], topology: Topology
) -> frozenset[ClientId]:
    """Step 0.8: who signs U3 and A. From T over the cohort: from a later set, whoever decides who
    is in it would draw committees until one suits it (docs/topology.md)."""
    if topology.committee >= len(cohort):
        return frozenset(cohort)
    order = UniformIntegers(expand(transcript, Tag.COMMITTEE)).permutation(sorted(cohort))
    return frozenset(ClientId(client) for client in order[: topology.committee])


def receipt_parts(
    transcript: Digest, offered: tuple[ClientId, ...], unreadable: tuple[ClientId, ...]
) -> tuple[bytes, ...]:
    """What a holder signs in phase 1b: of whom it was sent envelopes, and which it cannot read."""
    return (transcript, clients_digest(offered), clients_digest(unreadable))


def uploads_digest(
    transcript: Digest,
    keys: Digest,
    dealt: Clients,
    uploaded: Clients,
    digests: Digest,
) -> Digest:
    """What a client signs in phase 3a, once: T, U1 and its keys, U2, U3 and all upload digests
    (``keys`` and ``digests`` as ``auror.round.lists`` has them)."""
    sets = clients_digest(dealt), clients_digest(uploaded)
    return tagged_hash(Tag.CONSISTENCY, transcript, keys, *sets, digests)


def view_digest(
    uploads: Digest, randomness: Mapping[ClientId, bytes], groups: Groups, plan: Digest
) -> Digest:
    """h: everything a client was told before statistics leave it (docs/protocol.md step 4.4).

    The masks of its statistics are derived from h, so they cancel among clients of one view only.
    """
    parts: list[bytes] = [uploads, plan, number(len(randomness))]
    for client in sorted(randomness):
        parts += [number(client), randomness[client]]
    return tagged_hash(Tag.VIEW, *parts, _encoded_groups(groups))


def agreement_parts(
    transcript: Digest, view: Digest, accepted: frozenset[ClientId]
) -> tuple[bytes, ...]:
    """What a client signs in phase 5, once: (T, h, A)."""
    return (transcript, view, clients_digest(accepted))


def upload_digest(transcript: Digest, client: ClientId, payload: bytes) -> Digest:
    """Names one masked input; a different one under the same name is equivocation."""
    return tagged_hash(Tag.UPLOAD, transcript, number(client), payload)


@recalled(16)
def clients_digest(clients: Clients) -> Digest:
    """A set of clients as one hash: it stands under a signature of everybody."""
    return tagged_hash(Tag.CLIENTS, *map(number, (len(clients), *sorted(clients))))


@lru_cache(maxsize=4)
def _encoded_groups(groups: Groups) -> Encoded:
    return Encoded.of(number(len(groups)), *map(_encoded, groups))


def _encoded(members: tuple[ClientId, ...]) -> Encoded:
    return Encoded.of(number(len(members)), *map(number, members))
