"""What a round costs: bytes from the byte-exact formula (``auror.wire.sizes``), seconds as counted
operations times what one of each takes on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from auror.crypto import shamir
from auror.crypto.entropy import Secret, system_entropy
from auror.crypto.kex import KeyPair, expand
from auror.crypto.prg import words
from auror.crypto.signing import SigningKey, verify
from auror.crypto.tags import Tag
from auror.errors import ConfigError
from auror.fields import Range, check_fields
from auror.params import RoundParams
from auror.secagg.quantise import ring_bits
from auror.secagg.topology import Topology
from auror.wire import sizes

_SECRETS = 3
_TIMES = 200
"""That something short is timed."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What is to be planned."""

    clients: Annotated[int, Range(2, 1_000_000)]
    """n, the cohort."""
    colluders: int
    """c, who may collude."""
    params: RoundParams
    dim: Annotated[int, Range(1)] = 50_890
    """d, entries of an update."""
    statistics: Annotated[int, Range(0)] = 108
    """k, statistics per group, challenge rows included."""
    rounds: Annotated[int, Range(1)] = 100
    """Rounds of one training; a second one may follow a flag."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0 <= self.colluders <= self.clients - 2:
            raise ConfigError(
                f"colluders = {self.colluders}: choose 0 … {self.clients - 2} of {self.clients}"
                " clients, two must be honest"
            )


@dataclass(frozen=True)
class Speeds:
    """Seconds per operation on this machine."""

    agreement: float
    """One X25519 agreement with its key derivation."""
    verification: float
    """One Ed25519 signature checked."""
    mask_byte: float
    """One byte of key stream made and added."""
    share_step: float
    """One share of one secret, per unit of the threshold."""
    combine_step: float
    """One share weighed into a restored secret."""


@dataclass(frozen=True)
class Cost:
    """Per round: one client's, and the server's."""

    client_bytes_up: int
    client_bytes_down: int
    """Without the invitation, which holds the model: 4·d bytes."""
    upload_expansion: float
    client_seconds: float
    server_seconds: float
    """Unmasking with ``expected dropouts`` clients missing."""


def cost(demand: Demand, wired: Topology, speeds: Speeds) -> Cost:
    """Of one round in which the fraction ``params.dropouts`` is missing from the total."""
    params, n, k = demand.params, demand.clients, demand.statistics
    everybody = range(n)
    near = range(n - wired.degree, n)  # the longest ids
    held, mates = _spread(n, wired.degree + 1), _spread(n, params.group_size - 1)
    m, group = ring_bits(n, params.quantisation_bits), params.group_size
    up = [
        sizes.advertised_keys(),
        sizes.dealt_shares(n - 1, near),
        sizes.receipt(),
        sizes.upload(demand.dim, m),
        sizes.signature(),
        sizes.randomness_shares((*near, n - 1)[: wired.committee]),
        sizes.masked_statistics(k),
        sizes.signature(),
        sizes.opened_shares((*near, n - 1)),
    ]
    signers = range(n - wired.committee, n)
    down = [
        sizes.key_list(everybody, held, signers),
        sizes.share_delivery(everybody, near),
        sizes.dealer_list(everybody),
        sizes.upload_list(everybody, n - 1),
        sizes.signature_list(signers),
        sizes.randomness_list(signers, everybody, () if wired.complete else mates),
        sizes.accepted_set(everybody, near),
        sizes.signature_list(signers),
    ]
    holders, word = wired.degree + 1, 4
    client = (
        (2 * wired.degree + wired.degree + group) * speeds.agreement
        + _SECRETS * holders * wired.shares * speeds.share_step
        + 2 * (wired.degree + min(wired.committee, wired.quorum)) * speeds.verification
        + (wired.degree + 1) * demand.dim * word * speeds.mask_byte
        + group * k * 8 * speeds.mask_byte
    )
    missing = round(params.dropouts * n)
    server = (
        (n - missing) * demand.dim * word * speeds.mask_byte
        + missing * wired.degree * (speeds.agreement + demand.dim * word * speeds.mask_byte)
        + 3 * n * wired.shares * speeds.combine_step
        + 3 * n * speeds.verification
    )
    sent = sum(sizes.framed(size, 1) for size in up)
    return Cost(
        sent,
        sum(sizes.framed(size, 1) for size in down),
        sent * 8 / (demand.dim * params.quantisation_bits),
        client,
        server,
    )


def _spread(clients: int, count: int) -> list[int]:
    """So many of the clients, far apart: their proof in a Merkle tree is as long as any."""
    return [clients * (k + 1) // count - 1 for k in range(count)]


def measure(wired: Topology) -> Speeds:
    """Under a second of timing on this machine."""
    one = KeyPair.draw(system_entropy)
    # a key pair keeps what it agreed on: each time with somebody else
    others = iter([KeyPair.draw(system_entropy).public for _ in range(_TIMES + 1)])
    signer = SigningKey.draw(system_entropy)
    signature = signer.sign(Tag.VIEW_SIGNATURE, b"plan")
    total = np.zeros(1 << 20, dtype=np.uint32)
    key = expand(bytes(32), Tag.UPDATE_SELF_MASK)
    secret, shares = Secret.draw(system_entropy), min(wired.shares, 64)
    holders = list(range(1, 2 * shares + 1))
    dealt = shamir.split(secret, shares, holders, system_entropy)
    combiner = shamir.Combiner(shares)

    def mask() -> None:
        for positions, block in words(key, len(total), np.uint32):
            total[positions] += block

    return Speeds(
        agreement=_time(lambda: one.shared_key(next(others), Tag.UPDATE_PAIRWISE_MASK), _TIMES),
        verification=_time(
            lambda: verify(signer.verify_key, signature, Tag.VIEW_SIGNATURE, b"plan"), _TIMES
        ),
        mask_byte=_time(mask, 10) / total.nbytes,
        share_step=_time(lambda: shamir.split(secret, shares, holders, system_entropy), 5)
        / (len(holders) * shares),
        combine_step=_time(lambda: combiner.combine(dealt), _TIMES) / shares,
    )


def _time(work: Callable[[], object], times: int) -> float:
    """The median second of one call, after a first that is not counted."""
    work()
    found = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return float(np.median(found))
