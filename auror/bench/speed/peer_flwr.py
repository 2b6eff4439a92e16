"""One SecAgg+ sum of Flower, step by step: run by the Python of an environment that has Flower.

``python peer_flwr.py '{"n": 100, "d": 100000, "degree": 20, "threshold": 11, "dropout": 0.1}'``
prints seconds of the clock and of the CPU by step. The steps are those of Flower's own
``secaggplus_mod`` and ``SecAggPlusWorkflow.unmask_stage``, without messages, by Flower's functions.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from flwr.common.secure_aggregation.crypto.shamir import (  # type: ignore[import-not-found]
    combine_shares,
    create_shares,
)
from flwr.common.secure_aggregation.crypto.symmetric_encryption import (  # type: ignore[import-not-found]
    encrypt,
    generate_shared_key,
)
from flwr.common.secure_aggregation.ndarrays_arithmetic import (  # type: ignore[import-not-found]
    parameters_addition,
    parameters_mod,
    parameters_subtraction,
)
from flwr.common.secure_aggregation.secaggplus_utils import (  # type: ignore[import-not-found]
    pseudo_rand_gen,
    share_keys_plaintext_concat,
)
from flwr.supercore.primitives.asymmetric import (  # type: ignore[import-not-found]
    bytes_to_private_key,
    bytes_to_public_key,
    generate_key_pairs,
    private_key_to_bytes,
    public_key_to_bytes,
)

MODULUS = 1 << 32
"""Flower's default."""
VALUES = 1 << 16
Spent = tuple[float, float]


class Client:
    """Its keys, its private mask's seed, and the shares of both that its neighbours hold."""

    def __init__(self, me: int) -> None:
        self.me = me
        secret, public = generate_key_pairs()
        self.secret, self.public = private_key_to_bytes(secret), public_key_to_bytes(public)
        self.seed = os.urandom(32)

    def share(self, holders: list[int], threshold: int) -> None:
        """The stage "share keys", without sealing."""
        count = len(holders)
        self.seed_shares = dict(
            zip(holders, create_shares(self.seed, threshold, count), strict=True)
        )
        self.secret_shares = dict(
            zip(holders, create_shares(self.secret, threshold, count), strict=True)
        )

    def seal(self, peers: list[Client]) -> None:
        """What it sends to every neighbour."""
        own = bytes_to_private_key(self.secret)
        for peer in peers:
            key = generate_shared_key(own, bytes_to_public_key(peer.public))
            told = self.seed_shares[peer.me], self.secret_shares[peer.me]
            encrypt(key, share_keys_plaintext_concat(self.me, peer.me, *told))

    def mask_with(self, peer: Client, dim: int) -> list[Any]:
        """PRG of the key that the two agree on."""
        own, other = bytes_to_private_key(self.secret), bytes_to_public_key(peer.public)
        masks: list[Any] = pseudo_rand_gen(generate_shared_key(own, other), MODULUS, [(dim,)])
        return masks


def measure(n: int, d: int, degree: int, threshold: int, dropout: float) -> dict[str, Spent]:
    """Seconds of the clock and of the CPU, by step."""
    clients, half = [Client(me) for me in range(n)], degree // 2
    near = {
        me: sorted((me + step) % n for step in range(-half, half + 1) if step) for me in range(n)
    }
    for client in clients[1:]:
        client.share([client.me, *near[client.me]], threshold)
    first, peers = clients[0], [clients[peer] for peer in near[0]]

    def dealt() -> None:
        first.share([0, *near[0]], threshold)
        first.seal(peers)

    dealing = timed(dealt)
    count = round(dropout * n)
    dead = {at * n // count for at in range(count)} if count else set()
    active = [me for me in range(n) if me not in dead]
    values = np.random.default_rng(7).integers(0, VALUES, d)
    masking = timed(lambda: masked(first, peers, values))
    total = sent(clients, near, active, dead, values)
    opened = {
        me: [
            (clients[me].seed_shares if me not in dead else clients[me].secret_shares)[holder]
            for holder in (me, *near[me])
            if holder not in dead
        ]
        for me in range(n)
    }
    made: list[Any] = []
    unmasking = timed(lambda: made.append(unmasked(clients, near, dead, total, opened)))
    if not np.array_equal(made[0][0], values * len(active) % MODULUS):
        raise AssertionError("the opened total is not the plain sum")
    return {"client: deal shares": dealing, "client: mask": masking, "server: unmask": unmasking}


def masked(client: Client, peers: list[Client], values: Any) -> list[Any]:
    """What ``client`` sends."""
    found = parameters_addition([values], pseudo_rand_gen(client.seed, MODULUS, [values.shape]))
    for peer in peers:
        change = parameters_addition if client.me > peer.me else parameters_subtraction
        found = change(found, client.mask_with(peer, len(values)))
    return list(parameters_mod(found, MODULUS))


def sent(
    clients: list[Client],
    near: dict[int, list[int]],
    active: list[int],
    dead: set[int],
    values: Any,
) -> list[Any]:
    """The sum of what the active ones send: among them pairwise masks cancel."""
    total: list[Any] = [values * len(active)]
    for me in active:
        client = clients[me]
        seeded = pseudo_rand_gen(client.seed, MODULUS, [values.shape])
        total = parameters_addition(total, seeded)
        for peer in near[me]:
            if peer in dead:
                change = parameters_addition if me > peer else parameters_subtraction
                total = change(total, client.mask_with(clients[peer], len(values)))
    return list(parameters_mod(total, MODULUS))


def unmasked(
    clients: list[Client],
    near: dict[int, list[int]],
    dead: set[int],
    total: list[Any],
    opened: dict[int, list[bytes]],
) -> list[Any]:
    """The total from the sum: secrets are restored from all shares, as Flower does it. It takes
    the masks off towards every neighbour; two that are both gone had no part in the sum."""
    shapes = [array.shape for array in total]
    for me, shares in opened.items():
        secret = combine_shares(shares)
        if me not in dead:
            total = parameters_subtraction(total, pseudo_rand_gen(secret, MODULUS, shapes))
            continue
        for peer in near[me]:
            if peer not in dead:
                own, other = bytes_to_private_key(secret), bytes_to_public_key(clients[peer].public)
                mask = pseudo_rand_gen(generate_shared_key(own, other), MODULUS, shapes)
                change = parameters_addition if me > peer else parameters_subtraction
                total = change(total, mask)
    return list(parameters_mod(total, MODULUS))


def timed(work: Callable[[], object]) -> Spent:
    """Once: its steps take seconds."""
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - cpu


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))
