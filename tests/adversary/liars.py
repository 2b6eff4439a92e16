"""Clients that break the protocol, on top of the real machine: each strategy rewrites what a liar
was about to say, with the liar's own keys where a signature is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from rounds_kit import Deployment

from auror.crypto.tags import Tag
from auror.ids import ClientId, Digest
from auror.round.client.machine import ClientMachine, Receipted, Uploaded
from auror.round.messages import (
    Agreement,
    ClientMessage,
    Consistency,
    CrossMasks,
    DealtShares,
    MaskedStatistics,
    RandomnessShares,
    Receipt,
    UpdateShares,
    Upload,
)
from auror.round.public import receipt_parts, upload_digest
from auror.secagg.client.unmask import OpenedShares
from auror.secagg.instance import Ring, SecretKind
from auror.secagg.quantise import ring_bits
from auror.secagg.sharing import Dealing, Share


@dataclass
class Liars:
    """Who lies and how; ``shifts``: what each liar added to its upload, in the ring."""

    kit: Deployment
    strategies: dict[ClientId, list[Lie]]
    rng: np.random.Generator
    transcript: Digest = field(init=False)
    machines: dict[ClientId, ClientMachine] = field(init=False)
    """Everybody's, to be given to ``play``: a liar rewrites its own memory of what it sent."""
    shifts: dict[ClientId, np.ndarray] = field(default_factory=dict)
    heard: dict[ClientId, list[ClientMessage]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.transcript = self.kit.start().description.transcript()
        self.machines = self.kit.machines()

    @property
    def ring(self) -> Ring:
        return Ring(ring_bits(self.kit.count, self.kit.params.quantisation_bits))

    def to_server(self, client: ClientId, message: ClientMessage) -> list[ClientMessage]:
        """The hook for ``rounds_kit.play``."""
        told = [message]
        for lie in self.strategies.get(client, ()):
            told = [said for honest in told for said in _many(lie(self, client, honest))]
        self.heard.setdefault(client, []).extend(told)
        return told


Lie = Callable[[Liars, ClientId, ClientMessage], "ClientMessage | list[ClientMessage] | None"]


def _many(told: ClientMessage | list[ClientMessage] | None) -> list[ClientMessage]:
    if told is None:
        return []
    return told if isinstance(told, list) else [told]


def statistics(by: Callable[[np.random.Generator, Ring], int]) -> Lie:
    """Statistics that are not those of the update."""

    def lie(them: Liars, client: ClientId, message: ClientMessage) -> ClientMessage:
        if not isinstance(message, MaskedStatistics) or not message.payload:
            return message
        words = np.frombuffer(message.payload, dtype="<u8").copy()
        at = int(them.rng.integers(len(words)))
        words[at : at + 1] += np.uint64(by(them.rng, them.ring) % 2**64)
        return replace(message, payload=words.tobytes())

    return lie


def shifted_upload(them: Liars, client: ClientId, message: ClientMessage) -> ClientMessage:
    """Another update than the one the statistics are of."""
    if not isinstance(message, Upload):
        return message
    values = them.ring.from_bytes(message.payload, them.kit.plan.dim)
    shift = them.rng.integers(0, 1 << them.ring.bits, size=len(values)).astype(np.uint32)
    them.shifts[client] = shift.astype(np.int64)
    return _reuploaded(them, client, message, them.ring.reduce(values + shift))


def overflowing_upload(them: Liars, client: ClientId, message: ClientMessage) -> ClientMessage:
    """An entry so large that sums wrap around the ring."""
    if not isinstance(message, Upload):
        return message
    values = them.ring.from_bytes(message.payload, them.kit.plan.dim)
    shift = np.zeros(len(values), dtype=np.uint32)
    shift[int(them.rng.integers(len(values)))] = (1 << them.ring.bits) - 1
    them.shifts[client] = shift.astype(np.int64)
    return _reuploaded(them, client, message, them.ring.reduce(values + shift))


def _reuploaded(them: Liars, client: ClientId, message: Upload, values: np.ndarray) -> Upload:
    payload = them.ring.to_bytes(values)
    digest = upload_digest(them.transcript, client, payload)
    machine = them.machines[client]
    if isinstance(machine._state, Uploaded):  # it must believe that it sent this
        machine._state = replace(machine._state, digest=digest)
    return replace(message, payload=payload, digest=digest)


def unreadable_envelopes(them: Liars, client: ClientId, message: ClientMessage) -> ClientMessage:
    """Garbage for some holders, good shares for the others, all of it signed."""
    if not isinstance(message, DealtShares):
        return message
    count = int(them.rng.integers(1, 3))
    return _garbage(them, client, message, count)


def readable_by_nobody(them: Liars, client: ClientId, message: ClientMessage) -> ClientMessage:
    """A dealer: well-formed, signed, garbage."""
    if not isinstance(message, DealtShares):
        return message
    return _garbage(them, client, message, len(message.ciphertexts))


def _garbage(them: Liars, client: ClientId, message: DealtShares, count: int) -> DealtShares:
    holders = sorted(message.ciphertexts)
    cheated = them.rng.choice(holders, size=min(count, len(holders)), replace=False)
    spoilt = {
        holder: bytes(len(sealed)) if holder in cheated else sealed
        for holder, sealed in message.ciphertexts.items()
    }
    return _redealt(them, client, replace(message, ciphertexts=spoilt))


def _redealt(them: Liars, client: ClientId, message: DealtShares) -> DealtShares:
    dealing = Dealing(message.ciphertexts, message.share_commitments, message.secret_commitments)
    signature = them.kit.keys[client].sign(Tag.DEALING, them.transcript, *dealing.signed_parts())
    return replace(message, signature=signature)


def false_receipt(count: int) -> Lie:
    """Says, signed, that it cannot read the envelopes of ``count`` others."""

    def lie(them: Liars, client: ClientId, message: ClientMessage) -> ClientMessage:
        state = them.machines[client]._state
        if not isinstance(message, Receipt) or not isinstance(state, Receipted):
            return message
        peers = [c for c in state.offered if c != client]
        chosen = them.rng.choice(peers, size=min(count, len(peers)), replace=False)
        names = tuple(sorted({*message.unreadable, *(ClientId(int(c)) for c in chosen)}))
        parts = receipt_parts(them.transcript, state.offered, names)
        return Receipt(names, them.kit.keys[client].sign(Tag.RECEIPT, *parts))

    return lie


def inconsistent_dealing(kind: SecretKind) -> Lie:
    """Commits, under its signature, to another secret than its shares restore."""

    def lie(them: Liars, client: ClientId, message: ClientMessage) -> ClientMessage:
        if not isinstance(message, DealtShares):
            return message
        wrong = list(message.secret_commitments)
        wrong[kind.value] = Digest(bytes(32))
        return _redealt(them, client, replace(message, secret_commitments=tuple(wrong)))

    return lie


def false_shares(them: Liars, client: ClientId, message: ClientMessage) -> ClientMessage:
    """Opens other shares than it was dealt."""
    match message:
        case RandomnessShares(shares) if shares:
            owner = min(shares)
            return RandomnessShares({**shares, owner: _other(owner)})
        case UpdateShares(shares) if shares.self_seeds:
            seeds = {**shares.self_seeds, min(shares.self_seeds): _other(0)}
            return UpdateShares(OpenedShares(seeds, shares.mask_keys))
        case _:
            return message


def _other(owner: int) -> Share:
    return Share(bytes([owner % 251] * 33), bytes(16))


def withheld_shares(them: Liars, client: ClientId, message: ClientMessage) -> ClientMessage:
    """Opens nothing, politely."""
    if isinstance(message, RandomnessShares):
        return RandomnessShares({})
    if isinstance(message, UpdateShares):
        return UpdateShares(OpenedShares({}, {}))
    return message


def one_share_withheld(them: Liars, client: ClientId, message: ClientMessage) -> ClientMessage:
    """All but the share of one dealer, which its receipt says it can read."""
    if isinstance(message, RandomnessShares):
        return RandomnessShares(_less(message.shares, client))
    if isinstance(message, UpdateShares):
        seeds = _less(message.shares.self_seeds, client)
        return UpdateShares(OpenedShares(seeds, message.shares.mask_keys))
    return message


def _less(shares: Mapping[ClientId, Share], client: ClientId) -> dict[ClientId, Share]:
    gone = min((c for c in shares if c != client), default=client)
    return {c: share for c, share in shares.items() if c != gone}


def abstains(them: Liars, client: ClientId, message: ClientMessage) -> ClientMessage:
    """Politely sends no statistics."""
    return MaskedStatistics(b"", b"") if isinstance(message, MaskedStatistics) else message


def false_masks(them: Liars, client: ClientId, message: ClientMessage) -> ClientMessage:
    """In phase 7, other images of the masks it shares with some others."""
    if not isinstance(message, CrossMasks) or not message.images:
        return message
    images = dict(message.images)
    for peer in list(images)[: int(them.rng.integers(1, len(images) + 1))]:
        images[peer] = bytes([images[peer][0] ^ 1]) + images[peer][1:]
    return CrossMasks(images)


def silent_from(kind: type[ClientMessage]) -> Lie:
    """Falls silent when it should say ``kind``."""

    def lie(them: Liars, client: ClientId, message: ClientMessage) -> ClientMessage | None:
        return None if isinstance(message, kind) else message

    return lie


def unsigned(them: Liars, client: ClientId, message: ClientMessage) -> ClientMessage:
    """A signature of somebody else's."""
    if isinstance(message, Receipt | Consistency | MaskedStatistics | Agreement):
        return replace(message, signature=bytes(64))
    return message


def twice(them: Liars, client: ClientId, message: ClientMessage) -> list[ClientMessage]:
    """Everything comes twice."""
    return [message, message]


def stale(them: Liars, client: ClientId, message: ClientMessage) -> list[ClientMessage]:
    """Before everything it says all that it said before, the latest first."""
    return [*reversed(them.heard.get(client, [])), message]


def contradicted(them: Liars, client: ClientId, message: ClientMessage) -> list[ClientMessage]:
    """After its statistics it sends others, under a good signature."""
    if not isinstance(message, MaskedStatistics) or not message.payload:
        return [message]
    return [message, replace(message, payload=bytes(len(message.payload)))]


STRATEGIES: dict[str, Lie] = {
    "statistics, a little": statistics(lambda rng, ring: 1),
    "statistics, anything": statistics(lambda rng, ring: int(rng.integers(1, 2**63))),
    "statistics, a multiple of the ring": statistics(lambda rng, ring: 1 << ring.bits),
    "statistics, downwards": statistics(lambda rng, ring: -int(rng.integers(1, 1000))),
    "shifted upload": shifted_upload,
    "overflowing upload": overflowing_upload,
    "unreadable envelopes": unreadable_envelopes,
    "readable by nobody": readable_by_nobody,
    "false receipt": false_receipt(1),
    "false receipt of many": false_receipt(8),
    "inconsistent seed": inconsistent_dealing(SecretKind.SELF_SEED),
    "inconsistent mask key": inconsistent_dealing(SecretKind.MASK_KEY),
    "inconsistent r": inconsistent_dealing(SecretKind.RANDOMNESS),
    "false shares": false_shares,
    "withheld shares": withheld_shares,
    "one share withheld": one_share_withheld,
    "abstains": abstains,
    "false masks": false_masks,
    "unsigned": unsigned,
    "twice": twice,
    "stale": stale,
    "contradicted": contradicted,
    "silent before its receipt": silent_from(Receipt),
    "silent before upload": silent_from(Upload),
    "silent when U3 is to be signed": silent_from(Consistency),
    "silent when r is to be opened": silent_from(RandomnessShares),
    "silent after upload": silent_from(MaskedStatistics),
    "silent when the total is to be opened": silent_from(UpdateShares),
    "silent when asked for masks": silent_from(CrossMasks),
}
