"""The lists of a round, each named by one hash, and what of them one client is shown.

The server holds whole lists; a client its own entry, its neighbours' and its group's, and the root
of a Merkle tree over all (docs/adr/0031-lists-by-their-roots.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property, lru_cache

from auror.crypto.merkle import MerkleTree, root_of
from auror.crypto.tags import Encoded, Tag, number, tagged_hash
from auror.errors import Refusal, Refused
from auror.ids import ClientId, Digest
from auror.round.messages import AdvertisedKeys, KeyList, UploadList
from auror.round.public import Clients, clients_digest, set_of

Keys = Mapping[ClientId, AdvertisedKeys]


class AllKeys:
    """U1 with all its signed keys, in whatever order they come: the server's."""

    def __init__(self, keys: Keys, committee: AbstractSet[ClientId]) -> None:
        self.keys: Keys = dict(sorted(keys.items()))
        self.committee = committee

    @cached_property
    def advertised(self) -> tuple[ClientId, ...]:
        """U1"""
        return tuple(self.keys)

    @cached_property
    def digest(self) -> Digest:
        """What draws the graph and is signed with U3."""
        commitments = {c: self.keys[c].randomness for c in self.keys if c in self.committee}
        return keys_digest(self.advertised, self._tree.root, commitments)

    @cached_property
    def _tree(self) -> MerkleTree:
        return MerkleTree(Tag.KEYS, (_key_entry(c, keys) for c, keys in self.keys.items()))

    @cached_property
    def _places(self) -> Mapping[ClientId, int]:
        return _places(self.advertised)

    def show(self, clients: Iterable[ClientId]) -> tuple[dict[ClientId, AdvertisedKeys], Proof]:
        """The entries of those of ``clients`` that are in U1, and their proof."""
        shown = {c: self.keys[c] for c in sorted(clients) if c in self.keys}
        return shown, self._tree.proof(self._places[c] for c in shown)

    def list_for(self, clients: Iterable[ClientId]) -> KeyList:
        """For whom ``clients`` are itself and its neighbours."""
        shown, proof = self.show(clients)
        others = (self.committee & self.keys.keys()) - shown.keys()
        commitments = {c: self.keys[c].randomness for c in sorted(others)}
        return KeyList(self.advertised, shown, commitments, proof)


Proof = tuple[Digest, ...]


@dataclass(frozen=True)
class ShownKeys:
    """What one client knows of the keys of U1."""

    advertised: tuple[ClientId, ...]
    """U1"""
    keys: Keys
    """Its own and its neighbours', and its group's once that is known."""
    commitments: Mapping[ClientId, Digest]
    """To their r, of everybody in U1 and the committee."""
    root: Digest

    @classmethod
    def of(cls, listed: KeyList, committee: AbstractSet[ClientId]) -> ShownKeys:
        """Raises Refused when the list does not hang together."""
        root = _keys_root(listed.advertised, listed.keys, listed.proof)
        wanted = committee & set_of(listed.advertised)
        if listed.commitments.keys() != wanted - listed.keys.keys():
            raise Refused(Refusal.KEYS_SUBSTITUTED, "commitments are not the committee's")
        own = {c: keys.randomness for c, keys in listed.keys.items() if c in wanted}
        return cls(listed.advertised, listed.keys, {**listed.commitments, **own}, root)

    @property
    def digest(self) -> Digest:
        """:attr:`AllKeys.digest`, if all that was not shown is the same."""
        return keys_digest(self.advertised, self.root, self.commitments)

    def with_more(self, keys: Keys, proof: Proof) -> ShownKeys:
        """Raises Refused when ``keys`` are not those of the list that was shown before."""
        if keys and _keys_root(self.advertised, keys, proof) != self.root:
            raise Refused(Refusal.KEYS_SUBSTITUTED, "keys that are not under the root of U1")
        return ShownKeys(self.advertised, {**self.keys, **keys}, self.commitments, self.root)


class AllDigests:
    """U3 with the digests of all uploads, in whatever order they come: the server's."""

    def __init__(self, digests: Mapping[ClientId, Digest]) -> None:
        self._uploaded = tuple(sorted(digests))
        self._places = _places(self._uploaded)
        entries = (_upload_entry(client, digests[client]) for client in self._uploaded)
        self._tree = MerkleTree(Tag.UPLOADS, entries)
        self.root = self._tree.root

    def list_for(self, client: ClientId) -> UploadList:
        """For a member of U3."""
        return UploadList(self._uploaded, self._tree.proof([self._places[client]]))


def digests_root(listed: UploadList, me: ClientId, digest: Digest) -> Digest:
    """The root of all digests, with ``digest`` at the place of ``me``.

    Raises:
        Refused: ``me`` is not in U3, or the proof is not one.
    """
    if me not in listed.uploaded:
        raise Refused(Refusal.DIGEST_FORGED, "not in U3")
    place = listed.uploaded.index(me)
    try:
        own = {place: _upload_entry(me, digest)}
        return root_of(Tag.UPLOADS, len(listed.uploaded), own, listed.proof)
    except ValueError as error:
        raise Refused(Refusal.DIGEST_FORGED, str(error)) from error


def keys_digest(
    advertised: Clients, root: Digest, commitments: Mapping[ClientId, Digest]
) -> Digest:
    """U1, the root of its signed keys, and the commitments to the r that count."""
    counted = (part for c in sorted(commitments) for part in (number(c), commitments[c]))
    return tagged_hash(Tag.KEYS, clients_digest(advertised), root, *counted)


def _keys_root(advertised: tuple[ClientId, ...], shown: Keys, proof: Proof) -> Digest:
    try:
        places = _places(advertised)
        entries = {places[c]: _key_entry(c, keys) for c, keys in shown.items()}
        return root_of(Tag.KEYS, len(advertised), entries, proof)
    except (KeyError, ValueError) as error:
        raise Refused(Refusal.KEYS_SUBSTITUTED, f"no list of U1: {error}") from error


@lru_cache(maxsize=4)
def _places(listed: tuple[ClientId, ...]) -> Mapping[ClientId, int]:
    return {client: place for place, client in enumerate(listed)}


def _key_entry(client: ClientId, keys: AdvertisedKeys) -> Encoded:
    return Encoded.of(number(client), *keys.signed_parts())


def _upload_entry(client: ClientId, digest: Digest) -> Encoded:
    return Encoded.of(number(client), digest)
