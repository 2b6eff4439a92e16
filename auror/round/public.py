"""Public randomness: the seed of a round, the groups it draws, and the view all must share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from auror.crypto.kex import expand
from auror.crypto.prg import UniformIntegers
from auror.crypto.tags import Tag, number, tagged_hash
from auror.ids import ClientId, Digest
from auror.round.messages import AdvertisedKeys
from auror.secagg.graph import Graph
from auror.secagg.topology import Topology

PublicSeed = Callable[[Digest, Mapping[ClientId, bytes]], bytes]
"""From T and every dealer's contribution r_j (32 bytes each) to the round's 32-byte seed."""

Groups = tuple[tuple[ClientId, ...], ...]


def protocol_seed(transcript: Digest, randomness: Mapping[ClientId, bytes]) -> bytes:
    """H(T, all r): nobody knows it before the last honest upload is fixed (step 2.5)."""
    parts = (part for client in sorted(randomness) for part in (number(client), randomness[client]))
    return tagged_hash(Tag.PUBLIC_SEED, transcript, *parts)


def draw_groups(public_seed: bytes, dealt: tuple[ClientId, ...], group_size: int) -> Groups:
    """Split U2 at random into ⌊n/g⌋ groups (one at least) whose sizes differ by at most one."""
    order = UniformIntegers(expand(public_seed, Tag.GROUPS)).permutation(sorted(dealt))
    count = max(1, len(order) // group_size)
    return tuple(tuple(sorted(ClientId(c) for c in order[k::count])) for k in range(count))


def draw_graph(
    topology: Topology,
    transcript: Digest,
    cohort: tuple[ClientId, ...],
    keys: Mapping[ClientId, AdvertisedKeys],
) -> Graph:
    """Step 0.7: who holds whose shares and shares masks with whom, once U1 is fixed.

    Over the whole cohort: to the graph, who did not advertise is a dropout like any other.
    """
    if topology.complete:
        return Graph.complete(cohort)
    parts = (part for c in sorted(keys) for part in (number(c), *keys[c].signed_parts()))
    return Graph.harary(cohort, topology.degree, tagged_hash(Tag.GRAPH, transcript, *parts))


def covers(topology: Topology, graph: Graph, accepted: frozenset[ClientId]) -> bool:
    """Whether the honest clients of ``accepted`` stay connected, whoever else is missing: else a
    total could be taken apart (docs/topology.md). The complete graph always holds them together.
    """
    return graph.is_complete or graph.fewest_in_a_row(accepted) >= topology.window


def draw_committee(
    public_seed: bytes, dealt: tuple[ClientId, ...], topology: Topology
) -> frozenset[ClientId]:
    """Step 2.7: who signs the accepted set."""
    if topology.committee >= len(dealt):
        return frozenset(dealt)
    order = UniformIntegers(expand(public_seed, Tag.COMMITTEE)).permutation(sorted(dealt))
    return frozenset(ClientId(client) for client in order[: topology.committee])


def view_digest(
    transcript: Digest,
    keys: Mapping[ClientId, AdvertisedKeys],
    dealt: tuple[ClientId, ...],
    randomness: Mapping[ClientId, bytes],
    groups: Groups,
    digests: Mapping[ClientId, Digest],
    plan: Digest,
) -> Digest:
    """h: everything a client was told before statistics leave it (DESIGN §3, phase 3).

    Two clients with different h never help to open each other's statistics.
    """
    parts: list[bytes] = [transcript, plan, number(len(keys))]
    for client in sorted(keys):
        parts += [number(client), *keys[client].signed_parts()]
    parts += [number(len(dealt)), *(number(client) for client in sorted(dealt))]
    for client in sorted(randomness):
        parts += [number(client), randomness[client]]
    parts.append(number(len(groups)))
    for group in groups:
        parts += [number(len(group)), *(number(client) for client in group)]
    for client in sorted(digests):
        parts += [number(client), digests[client]]
    return tagged_hash(Tag.VIEW, *parts)


def agreement_parts(
    transcript: Digest, view: Digest, sent: frozenset[ClientId], accepted: frozenset[ClientId]
) -> tuple[bytes, ...]:
    """What a client signs in phase 5, once: (T, h, S, A)."""
    return (
        transcript,
        view,
        number(len(sent)),
        *(number(client) for client in sorted(sent)),
        number(len(accepted)),
        *(number(client) for client in sorted(accepted)),
    )


def upload_digest(transcript: Digest, client: ClientId, payload: bytes) -> Digest:
    """Names one masked input; a different one under the same name is equivocation."""
    return tagged_hash(Tag.UPLOAD, transcript, number(client), payload)
