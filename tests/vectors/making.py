"""The test vectors of the protocol, computed: ``scripts/make_vectors.py`` writes them, the tests
compare. Everything is hexadecimal or a number; randomness is SHAKE-256 of a label."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from drawn import entropy, fixed
from earlier import EARLIER
from rounds_kit import PARAMS, Deployment, play

from auror.crypto import aead, shamir
from auror.crypto.entropy import Secret
from auror.crypto.kex import KeyPair, check_public_key, expand
from auror.crypto.prg import UniformIntegers, keystream
from auror.crypto.signing import SigningKey, verify
from auror.crypto.tags import Tag, encode, number, tagged_hash
from auror.errors import AbortReason, AuthenticationFailed, Refusal, Refused
from auror.ids import ClientId, Digest
from auror.params import Floors
from auror.round import messages as m
from auror.round.description import PROTOCOL_VERSION
from auror.round.label_rows import LabelRows
from auror.round.lists import AllDigests, AllKeys
from auror.round.plan import CountSketch, OutputLayer, StatisticsPlan
from auror.round.public import (
    agreement_parts,
    draw_committee,
    draw_groups,
    protocol_seed,
    receipt_parts,
    upload_digest,
    uploads_digest,
    view_digest,
)
from auror.round.server.context import Decision
from auror.secagg.graph import Graph
from auror.secagg.instance import Instance, Ring, SecretKind, SumContext
from auror.secagg.masking import add_mask, pairwise_mask, self_mask_key
from auror.secagg.packing import pack, unpack
from auror.secagg.quantise import Quantiser
from auror.secagg.sharing import Commitments, Share
from auror.secagg.topology import Topology
from auror.wire import codec
from auror.wire.fields import WireError
from auror.wire.limits import Kind, Limits

Vectors = dict[str, Any]
LIMITS = Limits(4, 24, 64)


def primitives() -> Vectors:
    """One vector or more per primitive."""
    secret, seed = Secret(fixed("secret")), Secret(fixed("seed"))
    one, other = KeyPair(Secret(fixed("one"))), KeyPair(Secret(fixed("other")))
    signer = SigningKey(Secret(fixed("signer")))
    cohort = tuple(ClientId(i) for i in range(12))
    values = np.arange(11, dtype=np.uint32) * 97
    share = Share(bytes(range(33)), bytes(range(16)))
    dealt = shamir.split(secret, 3, [1, 2, 5, 9], entropy("shamir"))
    committed = Commitments(Digest(fixed("T")))
    quantised = Quantiser(12, 1.0).quantise(
        np.linspace(-1.1, 1.1, 9).astype(np.float32), Secret(fixed("rounding"))
    )
    plan = StatisticsPlan(
        12, (OutputLayer(2, 3), CountSketch(fixed("sketch"), 4, False),
             LabelRows.from_matrix(4, np.array([[3, -2], [-7, 1]], dtype=np.int64), 2)),
    )  # fmt: skip
    return {
        "encode": encode(b"", b"ab", number(258)).hex(),
        "tagged_hash": {tag.name: tagged_hash(tag, b"part").hex() for tag in Tag},
        "expand": expand(fixed("ikm"), Tag.UPDATE_SELF_MASK, b"T", number(7)).reveal().hex(),
        "public_key": one.public.hex(),
        "shared_key": one.shared_key(other.public, Tag.SHARE_ENCRYPTION, b"T").reveal().hex(),
        "keystream": keystream(seed, 80).hex(),
        "permutation": UniformIntegers(seed).permutation(list(range(12))),
        "sealed": aead.seal(secret, b"plaintext", b"T").hex(),
        "signature": signer.sign(Tag.AGREEMENT, b"T", b"h").hex(),
        "verify_key": signer.verify_key.hex(),
        "shamir_shares": {str(x): value.hex() for x, value in dealt.items()},
        "share_commitment": committed.of_share(
            ClientId(1), ClientId(2), SecretKind.MASK_KEY, share
        ).hex(),
        "secret_commitment": committed.of_secret(ClientId(1), SecretKind.RANDOMNESS, secret).hex(),
        "masks": _masks(),
        "signed": _digests(),
        "packed": {str(bits): pack(values, bits).hex() for bits in (11, 13, 21, 32)},
        "quantised": quantised.tolist(),
        "plan_digest": plan.digest().hex(),
        "statistics": plan.apply(np.arange(12, dtype=np.uint32) * 1000).tolist(),
        "groups": [list(group) for group in draw_groups(fixed("groups"), cohort, 5)],
        "ring": list(Graph.harary(cohort, 4, fixed("ring")).ring),
        "committee": sorted(
            draw_committee(fixed("committee"), cohort, Topology(12, 1, 4, 3, 2, 5, 2))
        ),
    }


def _masks() -> Vectors:
    """Clients 1 and 2, ring 2^21 for the update and 2^64 for the statistics under h."""
    one, other = KeyPair(Secret(fixed("one"))), KeyPair(Secret(fixed("other")))
    update = SumContext(Digest(fixed("T")), Instance.UPDATE, Ring(21), 5)
    statistics = SumContext(Digest(fixed("h")), Instance.STATISTICS, Ring(64), 5)
    alone = update.ring.zeros(5)
    add_mask(alone, self_mask_key(Secret(fixed("seed")), update, ClientId(1)), update, +1)
    return {
        "self": update.ring.reduce(alone).tolist(),
        "update": pairwise_mask(one, other.public, update, ClientId(1), ClientId(2)).tolist(),
        "statistics": pairwise_mask(
            one, other.public, statistics, ClientId(1), ClientId(2)
        ).tolist(),
    }


def _digests() -> Vectors:
    """What clients sign, and the seed, of three clients of which the last did not upload."""
    transcript, everybody = Digest(fixed("T")), tuple(ClientId(i) for i in range(3))
    keys = {
        c: m.AdvertisedKeys(
            *(fixed(f"{role} {c}") for role in ("encryption", "update", "statistics")),
            Digest(fixed(f"commitment {c}")), bytes(64), Floors(c, 0, 2),
        )
        for c in everybody
    }  # fmt: skip
    digests = {c: upload_digest(transcript, c, fixed(f"payload {c}")) for c in everybody[:2]}
    randomness = {c: fixed(f"r {c}") for c in everybody}
    listed = AllKeys(keys, frozenset(everybody[1:])).digest
    root = AllDigests(digests).root
    uploads = uploads_digest(transcript, listed, everybody, everybody[:2], root)
    view = view_digest(uploads, randomness, ((everybody[0], everybody[1]),), Digest(fixed("plan")))
    return {
        "receipt": encode(*receipt_parts(transcript, everybody, everybody[1:2])).hex(),
        "keys": listed.hex(),
        "upload": digests[everybody[0]].hex(),
        "upload_digests": root.hex(),
        "uploads": uploads.hex(),
        "public_seed": protocol_seed(transcript, everybody[:2], randomness).hex(),
        "view": view.hex(),
        "agreement": encode(*agreement_parts(transcript, view, frozenset(everybody[:2]))).hex(),
    }


def bad_primitives() -> Vectors:
    """Inputs that must be refused, and the kind of error."""
    secret = Secret(fixed("secret"))
    sealed = aead.seal(secret, b"plaintext", b"T")
    signer = SigningKey(Secret(fixed("signer")))
    signature = signer.sign(Tag.AGREEMENT, b"T")
    attempts: dict[str, Callable[[], object]] = {
        "key of zeros": lambda: check_public_key(bytes(32)),
        "key of 31 bytes": lambda: check_public_key(bytes(31)),
        "agreement with a point of order 8": lambda: KeyPair(secret).shared_key(
            bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
            Tag.SHARE_ENCRYPTION,
        ),
        "sealed text with one bit changed": lambda: aead.open_sealed(
            secret, bytes([sealed[0] ^ 1]) + sealed[1:], b"T"
        ),
        "sealed text of another round": lambda: aead.open_sealed(secret, sealed, b"U"),
        "signature under another tag": lambda: verify(
            signer.verify_key, signature, Tag.VIEW_SIGNATURE, b"T"
        ),
        "signature over other parts": lambda: verify(
            signer.verify_key, signature, Tag.AGREEMENT, b"", b"T"
        ),
        "verify key that is no point": lambda: verify(b"\xff" * 32, signature, Tag.AGREEMENT, b"T"),
        "secret of 31 bytes": lambda: Secret(bytes(31)),
        "share of 48 bytes": lambda: Share.from_bytes(bytes(48)),
        "threshold above the holders": lambda: shamir.split(secret, 3, [1, 2], entropy("s")),
        "holder at zero": lambda: shamir.split(secret, 1, [0, 1], entropy("s")),
        "holder twice": lambda: shamir.lagrange_weights([1, 1]),
        "packed vector too short": lambda: unpack(bytes(2), 11, 2),
        "packed vector with spare bits": lambda: unpack(b"\0\0\x80", 11, 2),
        "odd degree": lambda: Graph.harary(tuple(ClientId(i) for i in range(9)), 3, bytes(32)),
        "update with a NaN": lambda: Quantiser(8, 1.0).quantise(
            np.array([np.nan], dtype=np.float32), secret
        ),
    }
    return {name: _refusal(attempt) for name, attempt in attempts.items()}


def _refusal(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except (AuthenticationFailed, Refused, ValueError) as error:
        return type(error).__name__
    return "accepted"


def _played(lie: bool) -> Any:
    """A round of four clients; with a lie it ends in phase 7."""

    def lying(client: object, message: object) -> object:
        if lie and client == 1 and isinstance(message, m.MaskedStatistics):
            changed = bytes([message.payload[0] ^ 1]) + message.payload[1:]
            return m.MaskedStatistics(changed, message.signature)
        return message

    kit = Deployment(4, 44, PARAMS)
    return kit, play(kit, to_server=lying, decide=_all)  # type: ignore[arg-type]


def _all(groups: Any, plan: Any) -> Decision:
    return Decision(tuple(group.index for group in groups), {})


def messages() -> Vectors:
    """Client 0's messages of a round with a lie, both directions: bytes and fields."""
    _kit, played = _played(lie=True)
    found = {}
    for client, message in (*played.told, *played.replies):
        if client == 0:
            kind = codec.kind_of(message)
            send = codec.encode_client if kind.from_client else codec.encode_server
            found[kind.field] = {"bytes": send(message).hex(), "fields": plain(message)}
    for message in (
        m.Withdraw(Refusal.SECOND_ANSWER),
        m.RoundEnd(
            Digest(fixed("model")),
            AbortReason.BINDING_FAILED,
            (ClientId(3),),
            (ClientId(0), ClientId(2)),
            (ClientId(0),),
            (ClientId(1),),
        ),
        m.Exclusion(m.ExclusionCause.FLAG, 4, 9, 12.5, 8.25, rounds=14, audits=3),
        m.NewPolicy(b'{"version":2}\n'),
        m.FinalModel(
            *(Digest(fixed("policy")), 1, 30, Digest(fixed("parent")), Digest(fixed("model"))),
            model=np.array([0.5, -1.25, 3e-8], dtype=np.float32),
        ),
    ):
        kind = codec.kind_of(message)
        send = codec.encode_client if kind.from_client else codec.encode_server
        found[kind.field] = {"bytes": send(message).hex(), "fields": plain(message)}  # type: ignore[operator]
    return found


def bad_messages() -> Vectors:
    """Bytes that are no message of their kind, and why."""
    good = {name: bytes.fromhex(entry["bytes"]) for name, entry in messages().items()}
    cases: dict[str, tuple[Kind, bytes]] = {}
    for kind in Kind:
        if kind.field in good:
            body = good[kind.field]
            cases[f"{kind.field}: empty"] = (kind, b"")
            cases[f"{kind.field}: cut"] = (kind, body[: len(body) // 2])
            cases[f"{kind.field}: twice"] = (kind, body + b"\x0a\x01")
            cases[f"{kind.field}: too long"] = (kind, bytes(LIMITS.largest(kind) + 1))
            other = Kind.WITHDRAW if kind.from_client else Kind.ROUND_END
            if other is not kind:
                cases[f"{kind.field}: as {other.field}"] = (other, body)
    return {
        name: {"kind": kind.field, "bytes": body.hex() if len(body) < 4000 else len(body),
               "error": wire_error(kind, body)}
        for name, (kind, body) in cases.items()
    }  # fmt: skip


def wire_error(kind: Kind, body: bytes) -> str:
    decode = codec.decode_client if kind.from_client else codec.decode_server
    try:
        decode(kind, body, LIMITS)
    except WireError as error:
        return str(error)
    return "accepted"


def whole_round() -> Vectors:
    """n = 4, t = 3: every message's hash and every value that the parties agree on, in the order
    of the phases."""
    kit, played = _played(lie=False)
    context, summary = played.server.context, played.summary
    return {
        "clients": kit.count,
        "transcript": context.transcript.hex(),
        "threshold": context.topology.shares,
        "quorum": context.topology.quorum,
        "policy": kit.policy.digest().hex(),
        "committee": sorted(int(client) for client in context.committee),
        "uploads": played.state.uploads.digest.hex(),
        "messages": [
            [codec.kind_of(message).field, int(client), _hash(message)]
            for client, message in (*played.told, *played.replies)
        ],
        "public_seed": summary.public_seed.hex(),
        "groups": [list(group) for group in summary.groups],
        "view": played.state.draw.view.hex(),
        "opened": [[int(value) for value in group.total] for group in summary.opened],
        "accepted": [int(client) for client in summary.accepted],
        "total": [int(value) for value in played.total.total],
    }


def _hash(message: Any) -> str:
    kind = codec.kind_of(message)
    send = codec.encode_client if kind.from_client else codec.encode_server
    return hashlib.sha256(send(message)).hexdigest()


def plain(value: Any) -> Any:
    """JSON values of a message's fields."""
    if isinstance(value, m.RoundStart):
        return {**plain(value.description), "model": value.model.tobytes().hex()}
    if is_dataclass(value) and not isinstance(value, type):
        return {entry.name: plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, np.ndarray):
        return value.tobytes().hex()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in sorted(value.items())}
    if isinstance(value, tuple | list):
        return [plain(inner) for inner in value]
    return value


def versions() -> Vectors:
    """Per version of the protocol, the SHA-256 of its vectors: the newest row is of the files that
    lie here. Other vectors under an old number would be another protocol under an old name."""
    names = [*(name for name in FILES if name != "versions.json"), OPERATIONS]
    now = {name: hashlib.sha256((HERE / name).read_bytes()).hexdigest() for name in sorted(names)}
    return {**{str(version): row for version, row in EARLIER.items()}, str(PROTOCOL_VERSION): now}


HERE = Path(__file__).parent
OPERATIONS = "operations.json"
"""Written by hand; ``playing.py`` plays it."""
FILES: dict[str, Callable[[], Vectors]] = {
    "primitives.json": primitives,
    "primitives_bad.json": bad_primitives,
    "messages.json": messages,
    "messages_bad.json": bad_messages,
    "round.json": whole_round,
    "versions.json": versions,
}
