"""Clients that break the protocol, on top of the real machine: each strategy rewrites what a liar
was about to say, with the liar's own keys where a signature is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from rounds_kit import Deployment

from auror.crypto.tags import Tag
from auror.ids import ClientId, Digest
from auror.round.client.machine import ClientMachine, Uploaded
from auror.round.messages import (
    Agreement,
    ClientMessage,
    CrossMasks,
    DealtShares,
    MaskedStatistics,
    StatisticsShares,
    UpdateShares,
    Upload,
)
from auror.round.public import upload_digest
from auror.secagg.client.unmask import OpenedShares
from auror.secagg.instance import Ring, SecretKind
from auror.secagg.quantize import ring_bits
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
    """Garbage for some holders, good shares for the others."""
    if not isinstance(message, DealtShares):
        return message
    count = int(them.rng.integers(1, 3))
    cheated = them.rng.choice(sorted(message.ciphertexts), size=count, replace=False)
    return replace(
        message,
        ciphertexts={
            holder: bytes(len(sealed)) if holder in cheated else sealed
            for holder, sealed in message.ciphertexts.items()
        },
    )


def inconsistent_dealing(kind: SecretKind) -> Lie:
    """Commits, under its signature, to another secret than its shares restore."""

    def lie(them: Liars, client: ClientId, message: ClientMessage) -> ClientMessage:
        if not isinstance(message, DealtShares):
            return message
        wrong = list(message.secret_commitments)
        wrong[kind.value] = Digest(bytes(32))
        dealing = Dealing(message.ciphertexts, message.share_commitments, tuple(wrong))
        signature = them.kit.keys[client].sign(
            Tag.DEALING, them.transcript, *dealing.signed_parts()
        )
        return replace(message, secret_commitments=tuple(wrong), signature=signature)

    return lie


def false_shares(them: Liars, client: ClientId, message: ClientMessage) -> ClientMessage:
    """Opens other shares than it was dealt."""
    match message:
        case Upload():
            if not message.randomness:
                return message
            owner = min(message.randomness)
            return replace(message, randomness={**message.randomness, owner: _other(owner)})
        case StatisticsShares(shares) | UpdateShares(shares):
            if not shares.self_seeds:
                return message
            seeds = {**shares.self_seeds, min(shares.self_seeds): _other(0)}
            return type(message)(OpenedShares(seeds, shares.mask_keys))
        case _:
            return message


def _other(owner: int) -> Share:
    return Share(bytes([owner % 251] * 33), bytes(16))


def withheld_shares(them: Liars, client: ClientId, message: ClientMessage) -> ClientMessage:
    """Opens nothing, politely."""
    if isinstance(message, StatisticsShares | UpdateShares):
        return type(message)(OpenedShares({}, {}))
    return message


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
    if isinstance(message, MaskedStatistics | Agreement) and message.signature:
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
    "inconsistent seed": inconsistent_dealing(SecretKind.UPDATE_SELF_SEED),
    "inconsistent mask key": inconsistent_dealing(SecretKind.STATISTICS_MASK_KEY),
    "false shares": false_shares,
    "withheld shares": withheld_shares,
    "false masks": false_masks,
    "unsigned": unsigned,
    "twice": twice,
    "stale": stale,
    "contradicted": contradicted,
    "silent before upload": silent_from(Upload),
    "silent after upload": silent_from(MaskedStatistics),
    "silent when asked for masks": silent_from(CrossMasks),
}
