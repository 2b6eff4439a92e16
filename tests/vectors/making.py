"""The test vectors of the protocol, computed: ``scripts/make_vectors.py`` writes them, the tests
compare. Everything is hexadecimal or a number; randomness is SHAKE-256 of a label."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np
from rounds_kit import PARAMS, Deployment, play

from auror.crypto import aead, shamir
from auror.crypto.entropy import Secret
from auror.crypto.kex import KeyPair, check_public_key, expand
from auror.crypto.prg import UniformIntegers, keystream
from auror.crypto.signing import SigningKey, verify
from auror.crypto.tags import Tag, encode, number, tagged_hash
from auror.errors import AbortReason, AuthenticationFailed, Refusal, Refused
from auror.ids import ClientId, Digest
from auror.round.messages import MaskedStatistics, RoundEnd, RoundStart, Withdraw
from auror.round.plan import CountSketch, LabelConfusion, OutputLayer, StatisticsPlan
from auror.round.public import draw_committee, draw_groups
from auror.round.server.context import Decision
from auror.secagg.graph import Graph
from auror.secagg.instance import SecretKind
from auror.secagg.packing import pack, unpack
from auror.secagg.quantize import Quantiser
from auror.secagg.sharing import Share, secret_commitment, share_commitment
from auror.secagg.topology import Topology
from auror.wire import codec
from auror.wire.fields import WireError
from auror.wire.limits import Kind, Limits

Vectors = dict[str, Any]
LIMITS = Limits(4, 24, 64)


def entropy(label: str) -> Callable[[int], bytes]:
    """Call k gives SHAKE-256(label, k)."""
    calls = 0

    def draw(count: int) -> bytes:
        nonlocal calls
        calls += 1
        return hashlib.shake_256(f"{label}/{calls}".encode()).digest(count)

    return draw


def fixed(label: str) -> bytes:
    return hashlib.sha256(label.encode()).digest()


def primitives() -> Vectors:
    """One vector or more per primitive."""
    secret, seed = Secret(fixed("secret")), Secret(fixed("seed"))
    one, other = KeyPair(Secret(fixed("one"))), KeyPair(Secret(fixed("other")))
    signer = SigningKey(Secret(fixed("signer")))
    cohort = tuple(ClientId(i) for i in range(12))
    values = np.arange(11, dtype=np.uint32) * 97
    share = Share(bytes(range(33)), bytes(range(16)))
    dealt = shamir.split(secret, 3, [1, 2, 5, 9], entropy("shamir"))
    quantised = Quantiser(12, 1.0).quantise(
        np.linspace(-1.1, 1.1, 9).astype(np.float32), Secret(fixed("rounding"))
    )
    plan = StatisticsPlan(
        12, (OutputLayer(2, 3), CountSketch(fixed("sketch"), 4, False),
             LabelConfusion.from_matrix(4, np.array([[3, -2], [-7, 1]], dtype=np.int64))),
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
        "share_commitment": share_commitment(
            Digest(fixed("T")), ClientId(1), ClientId(2), SecretKind.UPDATE_MASK_KEY, share
        ).hex(),
        "secret_commitment": secret_commitment(
            Digest(fixed("T")), ClientId(1), SecretKind.RANDOMNESS, secret
        ).hex(),
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
        if lie and client == 1 and isinstance(message, MaskedStatistics):
            changed = bytes([message.payload[0] ^ 1]) + message.payload[1:]
            return MaskedStatistics(changed, message.signature)
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
        Withdraw(Refusal.SECOND_ANSWER),
        RoundEnd(
            Digest(fixed("model")),
            AbortReason.BINDING_FAILED,
            (ClientId(3),),
            (ClientId(0), ClientId(2)),
            (ClientId(0),),
            (ClientId(1),),
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
    """n = 4, t = 3: every message's hash and every value that the parties agree on."""
    kit, played = _played(lie=False)
    context, progress = played.server.context, played.progress
    return {
        "clients": kit.count,
        "transcript": context.transcript.hex(),
        "threshold": context.topology.shares,
        "quorum": context.topology.quorum(4),
        "messages": [
            [codec.kind_of(message).field, int(client), _hash(message)]
            for client, message in (*played.told, *played.replies)
        ],
        "public_seed": progress.public_seed.hex(),
        "groups": [list(group) for group in progress.groups],
        "view": progress.view.hex(),
        "opened": [[int(value) for value in group.total] for group in progress.opened],
        "accepted": [int(client) for client in progress.accepted],
        "total": [int(value) for value in played.total.total],
    }


def _hash(message: Any) -> str:
    kind = codec.kind_of(message)
    send = codec.encode_client if kind.from_client else codec.encode_server
    return hashlib.sha256(send(message)).hexdigest()


def plain(value: Any) -> Any:
    """JSON values of a message's fields."""
    if isinstance(value, RoundStart):
        return {**plain(value.description), "model": value.model.tobytes().hex()}
    if is_dataclass(value) and not isinstance(value, type):
        return {entry.name: plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in sorted(value.items())}
    if isinstance(value, tuple | list):
        return [plain(inner) for inner in value]
    return value


FILES: dict[str, Callable[[], Vectors]] = {
    "primitives.json": primitives,
    "primitives_bad.json": bad_primitives,
    "messages.json": messages,
    "messages_bad.json": bad_messages,
    "round.json": whole_round,
}
