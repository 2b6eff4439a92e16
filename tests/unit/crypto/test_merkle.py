"""Merkle trees: what a root fixes, and what a proof shows."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auror.crypto.merkle import MerkleTree, proof_length, root_of
from auror.crypto.tags import Tag, encode, number
from auror.ids import Digest

USE = Tag.KEYS
lists = st.lists(st.binary(max_size=5), min_size=1, max_size=40)


def chosen(draw: st.DataObject, count: int) -> set[int]:
    return draw.draw(st.sets(st.integers(0, count - 1), min_size=1), label="places")


@given(lists, st.data())
def test_any_entries_with_their_proof_give_the_root(
    entries: list[bytes], draw: st.DataObject
) -> None:
    tree, places = MerkleTree(USE, entries), chosen(draw, len(entries))
    proof = tree.proof(places)
    assert root_of(USE, len(entries), {at: entries[at] for at in places}, proof) == tree.root
    assert len(proof) == proof_length(len(entries), places)


@given(lists, st.data())
def test_another_entry_place_count_or_hash_gives_another_root(
    entries: list[bytes], draw: st.DataObject
) -> None:
    tree, places = MerkleTree(USE, entries), chosen(draw, len(entries))
    shown, proof, count = {at: entries[at] for at in places}, tree.proof(places), len(entries)
    changed = draw.draw(st.sampled_from(sorted(places)))
    assert root_of(USE, count, {**shown, changed: entries[changed] + b"x"}, proof) != tree.root
    assert root_of(Tag.UPLOADS, count, shown, proof) != tree.root
    for at in range(len(proof)):
        forged = (*proof[:at], Digest(bytes(32)), *proof[at + 1 :])
        assert root_of(USE, count, shown, forged) != tree.root
    for other in range(max(places) + 1, 2 * count + 2):
        if other != count and proof_length(other, places) == len(proof):
            assert root_of(USE, other, shown, proof) != tree.root
    alone = tree.proof([changed])
    for at in set(range(count)) - {changed}:  # the same entry elsewhere
        if entries[at] != entries[changed] and proof_length(count, [at]) == len(alone):
            assert root_of(USE, count, {at: entries[changed]}, alone) != tree.root


@given(lists, lists)
def test_two_lists_have_two_roots(one: list[bytes], other: list[bytes]) -> None:
    assert (MerkleTree(USE, one).root == MerkleTree(USE, other).root) == (one == other)


def test_a_node_is_no_leaf_and_an_odd_one_is_not_doubled() -> None:
    """The two known attacks: an inner node shown as an entry, and (a, b, c) = (a, b, c, c)."""
    tree = MerkleTree(USE, [b"a", b"b", b"c", b"d"])
    left, right = tree.proof([2, 3])[0], tree.proof([0, 1])[0]
    assert MerkleTree(USE, [left, right]).root != tree.root
    assert MerkleTree(USE, [encode(left, right)]).root != tree.root
    assert (
        MerkleTree(USE, [b"a", b"b", b"c"]).root != MerkleTree(USE, [b"a", b"b", b"c", b"c"]).root
    )
    with pytest.raises(ValueError, match="proof"):
        root_of(USE, 2, {0: left}, ())


def test_the_hashes_are_those_of_the_document() -> None:
    def hashed(tag: Tag, *parts: bytes) -> bytes:
        return hashlib.sha256(encode(tag.value, *parts)).digest()

    a, b, c = (hashed(Tag.MERKLE_LEAF, USE.value, entry) for entry in (b"a", b"b", b"c"))
    top = hashed(Tag.MERKLE_NODE, hashed(Tag.MERKLE_NODE, a, b), c)
    assert MerkleTree(USE, [b"a", b"b", b"c"]).root == hashed(
        Tag.MERKLE_ROOT, USE.value, number(3), top
    )


@pytest.mark.parametrize(
    ("count", "entries", "proof"),
    [
        (4, {}, 0),
        (4, {4: b"a"}, 2),
        (4, {-1: b"a"}, 2),
        (4, {0: b"a"}, 1),
        (4, {0: b"a"}, 3),
        (0, {0: b"a"}, 0),
    ],
)
def test_proofs_that_are_none(count: int, entries: dict[int, bytes], proof: int) -> None:
    with pytest.raises(ValueError, match=r"places|proof"):
        root_of(USE, count, entries, (Digest(bytes(32)),) * proof)


def test_proofs_grow_with_the_logarithm() -> None:
    assert [proof_length(count, [0]) for count in (1, 2, 3, 1_000, 1_024, 10_000)] == [
        0, 1, 2, 10, 10, 14,
    ]  # fmt: skip
    tree = MerkleTree(USE, map(number, range(1_000)))
    assert len(tree.proof(range(1_000))) == 0
    assert len(tree.proof(range(0, 1_000, 10))) < 400
