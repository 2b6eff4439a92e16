"""Merkle trees: one hash names a whole list, and a short proof shows some of its entries.

Merkle, *A Digital Signature Based on a Conventional Encryption Function* (1987). Leaves and nodes
are hashed under tags of their own, as in RFC 6962, and the number of leaves enters the root: under
one root, another entry at a place that was shown is a collision of SHA-256.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from auror.crypto.tags import Tag, number, tagged_hash
from auror.ids import Digest


class MerkleTree:
    """Over all entries; an odd last node of a level goes up as it is."""

    def __init__(self, use: Tag, entries: Iterable[bytes]) -> None:
        """``use``: what the list is; no list of another use has the same root."""
        level = [_leaf(use, entry) for entry in entries]
        count = len(level)
        self._levels = [level]
        while len(level) > 1:
            pairs = range(0, len(level) - 1, 2)
            above = [_node(level[at], level[at + 1]) for at in pairs]
            level = above + level[len(level) & ~1 :]
            self._levels.append(level)
        self.root = _root(use, count, level[0] if level else Digest(b""))

    def proof(self, places: Iterable[int]) -> tuple[Digest, ...]:
        """The hashes that :func:`root_of` needs beside the entries at ``places``."""
        found: list[Digest] = []
        known = sorted(set(places))
        for level in self._levels[:-1]:
            above: list[int] = []
            for at, following in zip(known, (*known, -1)[1:], strict=True):
                if above and above[-1] == at >> 1:
                    continue  # with the one before it
                above.append(at >> 1)
                if following != at ^ 1 < len(level):
                    found.append(level[at ^ 1])
            known = above
        return tuple(found)


def root_of(use: Tag, count: int, entries: Mapping[int, bytes], proof: Sequence[Digest]) -> Digest:
    """The root of the list of ``count`` entries that has these ``entries``, by place.

    Raises:
        ValueError: no entries, a place outside the list, or a proof of another length.
    """
    if not entries or min(entries) < 0 or max(entries) >= count:
        raise ValueError(f"places outside a list of {count}")
    if len(proof) != proof_length(count, entries):
        raise ValueError(f"a proof of {len(proof)} hashes")
    rest, width = iter(proof), count
    level = {at: _leaf(use, entry) for at, entry in entries.items()}
    while width > 1:
        above: dict[int, Digest] = {}
        for at in sorted(level):
            if at // 2 in above:
                continue  # with the one before it
            if at ^ 1 >= width:
                above[at // 2] = level[at]
                continue
            other = level[at ^ 1] if at ^ 1 in level else next(rest)
            above[at // 2] = _node(other, level[at]) if at & 1 else _node(level[at], other)
        level, width = above, (width + 1) // 2
    return _root(use, count, level[0])


def proof_length(count: int, places: Iterable[int]) -> int:
    """How many hashes a proof of ``places`` in a list of ``count`` has."""
    found, known, width = 0, set(places), count
    while width > 1:
        found += sum(at ^ 1 < width and at ^ 1 not in known for at in known)
        known, width = {at // 2 for at in known}, (width + 1) // 2
    return found


def _leaf(use: Tag, entry: bytes) -> Digest:
    return tagged_hash(Tag.MERKLE_LEAF, use.value, entry)


def _node(left: Digest, right: Digest) -> Digest:
    return tagged_hash(Tag.MERKLE_NODE, left, right)


def _root(use: Tag, count: int, top: Digest) -> Digest:
    return tagged_hash(Tag.MERKLE_ROOT, use.value, number(count), top)
