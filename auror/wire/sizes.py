"""How many bytes a client's messages have, from n, degree, d, k and b alone.

The formula's parts are those of Bonawitz 2017, table 1, with our three secrets instead of two,
salted commitments, signatures and protobuf's framing. Byte-exact: a test compares every part
with what is sent in a played round. Not in it: the invitation (the model), and below the
messages HTTP/2 and TLS, about 0.3 % of an upload.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from auror.crypto.merkle import proof_length
from auror.params import STATISTICS_RING_BITS
from auror.secagg.packing import packed_bytes
from auror.wire.limits import CHUNK_BYTES

_DIGEST, _KEY, _SIGNATURE, _SHARE = 32, 32, 64, 49
_SECRETS = 3
_ALGORITHM = 2  # tag and value of the enum
_CIPHERTEXT = _SECRETS * _SHARE + 16
_COMMITMENTS = _SECRETS * _DIGEST

Ids = Sequence[int]
"""Client ids: small ones are shorter on the wire."""


def varint(value: int) -> int:
    """Bytes of a protobuf varint."""
    return max(1, -(-value.bit_length() // 7))


def field(size: int) -> int:
    """A length-delimited field with a number below 16 and ``size`` bytes in it."""
    return 1 + varint(size) + size


def _id(client: int) -> int:
    return 1 + varint(client) if client else 0  # zero is the default and takes no bytes


def _entry(client: int, *fields: int) -> int:
    return field(_id(client) + sum(fields))


# Client → server ------------------------------------------------------------------------------


def advertised_keys(floors: Ids = ()) -> int:
    """Phase 0; ``floors``: a client's own, 0 takes no bytes."""
    return field(_keys(floors))


def dealt_shares(me: int, neighbours: Ids) -> int:
    """Phase 1: sealed shares and commitments for every neighbour, commitments for oneself."""
    sealed = sum(_entry(holder, field(_CIPHERTEXT), field(_COMMITMENTS)) for holder in neighbours)
    return field(sealed + _entry(me, field(_COMMITMENTS)) + field(_COMMITMENTS) + field(_SIGNATURE))


def receipt(unreadable: Ids = ()) -> int:
    """Phase 1b."""
    return field(_id_list(unreadable) + field(_SIGNATURE))


def upload(dim: int, bits: int) -> int:
    """Phase 2: d ring elements of ``bits``."""
    return field(field(packed_bytes(dim, bits)) + field(_DIGEST))


def signature() -> int:
    """Phases 3a and 5, committee only."""
    return field(field(_SIGNATURE))


def randomness_shares(dealers: Ids) -> int:
    """Phase 3b: a share of each dealer's r."""
    return field(sum(_entry(dealer, field(_SHARE)) for dealer in dealers))


def masked_statistics(rows: int) -> int:
    """Phase 4."""
    return field(field(packed_bytes(rows, STATISTICS_RING_BITS)) + field(_SIGNATURE))


def opened_shares(owners: Ids) -> int:
    """Phase 6: one share per owner, of its seed or of its key."""
    return field(sum(_entry(owner, field(_SHARE)) for owner in owners))


# Server → client ------------------------------------------------------------------------------


def key_list(
    clients: Ids,
    shown: Ids,
    committee: Iterable[int] = (),
    floors: Mapping[int, Ids] = MappingProxyType({}),
) -> int:
    """Phase 0: U1, of which the ``shown`` are the receiver and its neighbours; with the ``floors``
    of those who have their own."""
    others = set(committee).intersection(clients).difference(shown)
    committed = sum(_entry(client, field(_DIGEST)) for client in others)
    entries = _key_entries(shown, floors)
    return field(_set(clients) + entries + committed + _proof(clients, shown))


def share_delivery(dealers: Ids, neighbours: Ids) -> int:
    """Phase 1: who dealt, and an envelope of every neighbour."""
    envelopes = sum(
        _entry(dealer, field(_CIPHERTEXT), field(_COMMITMENTS)) for dealer in neighbours
    )
    return field(_set(dealers) + envelopes)


def dealer_list(dealers: Ids) -> int:
    """Phase 1b: U2."""
    return field(_set(dealers))


def upload_list(uploaded: Ids, me: int) -> int:
    """Phase 2: U3, and the way from one digest to the root of all."""
    return field(_set(uploaded) + _proof(uploaded, [me]))


def signature_list(signers: Ids) -> int:
    """Phases 3a and 5, of the committee."""
    return field(sum(_entry(client, field(_SIGNATURE)) for client in signers))


def randomness_list(
    dealers: Ids, clients: Ids, shown: Ids, floors: Mapping[int, Ids] = MappingProxyType({})
) -> int:
    """Phase 3b: the r of ``dealers``, and of ``clients`` (U1) the keys that are ``shown``."""
    values = sum(_entry(client, field(_DIGEST)) for client in dealers)
    return field(values + _key_entries(shown, floors) + _proof(clients, shown))


def accepted_set(accepted: Ids, shown: Ids) -> int:
    """Phase 5: A, and the signatures of those members that are ``shown``."""
    return field(_set(accepted) + sum(_entry(client, field(_SIGNATURE)) for client in shown))


def framed(size: int, counter: int) -> int:
    """A message of ``size`` bytes with its header and chunk frames, and gRPC's five bytes each."""
    numbers = 2 + 1 + varint(size) + (1 + varint(counter) if counter else 0)
    header = numbers + field(_DIGEST) + field(16)
    if size <= CHUNK_BYTES:
        return 5 + field(header + field(size))
    chunks = [min(CHUNK_BYTES, size - at) for at in range(0, size, CHUNK_BYTES)]
    return 5 + field(header) + sum(5 + field(chunk) for chunk in chunks)


def published_formula(clients: int, dim: int, bits: int, ring_bits: int) -> float:
    """Upload expansion of Bonawitz 2017: 2n keys and 5n − 4 shares of 256 bits beside the vector,
    over d·b bits."""
    return (2 * clients * 256 + (5 * clients - 4) * 256 + dim * ring_bits) / (dim * bits)


def _keys(floors: Ids) -> int:
    own = sum(1 + varint(floor) for floor in floors if floor)
    return 3 * field(_KEY) + field(_DIGEST) + field(_SIGNATURE) + own + _ALGORITHM


def _key_entries(clients: Ids, floors: Mapping[int, Ids]) -> int:
    return sum(_entry(client, field(_keys(floors.get(client, ())))) for client in clients)


def _set(clients: Ids) -> int:
    """A bitmap."""
    return field(max(clients) // 8 + 1) if clients else 0


def _proof(clients: Ids, shown: Ids) -> int:
    """Of ``shown`` among ``clients``, both sorted."""
    places = {client: place for place, client in enumerate(clients)}
    hashes = proof_length(len(clients), [places[client] for client in shown]) if shown else 0
    return field(hashes * _DIGEST) if hashes else 0


def _id_list(clients: Ids) -> int:
    return field(sum(varint(client) for client in clients)) if clients else 0
