"""Shamir's secret sharing of 256-bit secrets over the prime field p = 2^256 + 297.

A secret is read as a little-endian integer below 2^256 < p. Holder number x (x ≥ 1) gets the
polynomial's value at x. Python integers are not constant-time: SECURITY.md says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from auror.crypto.entropy import SECRET_BYTES, Entropy, Secret

PRIME = 2**256 + 297
SHARE_BYTES = 33
_REDUCE_EVERY = 16  # x is small, so a few steps grow less than one reduction costs
_COEFFICIENT_BYTES = 48  # 384 bits reduced mod p: distance from uniform below 2^-127


def split(
    secret: Secret, threshold: int, holders: Sequence[int], entropy: Entropy
) -> dict[int, bytes]:
    """Shares of ``secret`` for every x in ``holders``; any ``threshold`` of them restore it.

    Raises:
        ValueError: threshold outside 1 … len(holders), or an x that is 0 or repeated.
    """
    if not 1 <= threshold <= len(holders):
        raise ValueError(f"threshold {threshold} does not fit {len(holders)} holders")
    if len(set(holders)) != len(holders) or any(not 0 < x < PRIME for x in holders):
        raise ValueError("holders must be distinct and positive")
    coefficients = [int.from_bytes(secret.reveal(), "little")]
    coefficients += [
        int.from_bytes(entropy(_COEFFICIENT_BYTES), "little") % PRIME for _ in range(threshold - 1)
    ]
    coefficients.reverse()
    shares: dict[int, bytes] = {}
    for x in holders:
        value = 0
        for position, coefficient in enumerate(coefficients):
            value = value * x + coefficient
            if position % _REDUCE_EVERY == 0:
                value %= PRIME
        shares[x] = (value % PRIME).to_bytes(SHARE_BYTES, "little")
    return shares


def lagrange_weights(holders: Sequence[int]) -> tuple[int, ...]:
    """Weights w with Σ w_x · f(x) = f(0) for every polynomial f of degree < len(holders).

    w_x = Π other / Π (other − x) over the others. The products are of small numbers, so they are
    exact; all of them are inverted at once (Montgomery's trick).

    Raises:
        ValueError: an x that is repeated, or outside 1 … p − 1.
    """
    if len(set(holders)) != len(holders) or any(not 0 < x < PRIME for x in holders):
        raise ValueError("holders must be distinct and positive")
    product = math.prod(holders)
    below = [math.prod([other - x for other in holders if other != x]) % PRIME for x in holders]
    return tuple(
        product // x * inverse % PRIME for x, inverse in zip(holders, _inverses(below), strict=True)
    )


def _inverses(values: Sequence[int]) -> list[int]:
    """Modulo p, of values that are not 0 there, with one inversion for all."""
    before = [1]
    for value in values:
        before.append(before[-1] * value % PRIME)
    rest = pow(before.pop(), -1, PRIME)
    inverses = []
    for value, product in zip(reversed(values), reversed(before), strict=True):
        inverses.append(rest * product % PRIME)
        rest = rest * value % PRIME
    return inverses[::-1]


class Combiner:
    """Restores secrets. Weights take most of the time, so the holders of the last secret are used
    again for the next one, where its shares have them."""

    def __init__(self, threshold: int) -> None:
        self._threshold = threshold
        self._holders: frozenset[int] = frozenset()
        self._weights: tuple[tuple[int, int], ...] = ()

    def combine(
        self, shares: Mapping[int, bytes], order: Callable[[int], int] | None = None
    ) -> Secret | None:
        """The secret behind ``shares`` ({x: share}), from ``threshold`` of them.

        Args:
            order: holders that are new are those with the smallest ``order(x)``; by default, with
                the smallest x.

        Returns None when the shares do not restore a 256-bit value (some share is wrong).

        Raises:
            ValueError: fewer than ``threshold`` shares.
        """
        if len(shares) < self._threshold:
            raise ValueError(f"{len(shares)} shares, {self._threshold} needed")
        if not (self._holders and self._holders <= shares.keys()):
            chosen = sorted(shares, key=order)[: self._threshold]
            self._weights = tuple(zip(chosen, lagrange_weights(chosen), strict=True))
            self._holders = frozenset(chosen)
        value = 0
        for x, weight in self._weights:
            value += int.from_bytes(shares[x], "little") * weight
        value %= PRIME
        if value >> (8 * SECRET_BYTES):
            return None
        return Secret(value.to_bytes(SECRET_BYTES, "little"))
