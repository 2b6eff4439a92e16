"""One masked sum of one's own vectors."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auror.crypto.entropy import system_entropy
from auror.errors import ConfigError, DataError
from auror.ids import ClientId
from auror.secagg.instance import Ring
from auror.secagg.run import run_masked_sum

_RING = Ring(64)
_LARGEST = 2**63 - 1


def by_client(vectors: Mapping[int, ArrayLike] | Sequence[ArrayLike]) -> dict[ClientId, Any]:
    """Arrays of one shape by client; a sequence counts from 0.

    Raises:
        ConfigError: fewer than two. DataError: unlike shapes, no entries, or no numbers.
    """
    pairs = vectors.items() if isinstance(vectors, Mapping) else enumerate(vectors)
    arrays = {ClientId(int(client)): np.asarray(vector) for client, vector in pairs}
    if len(arrays) < 2:
        raise ConfigError(f"{len(arrays)} vector(s): a masked sum needs at least 2 clients")
    first = next(iter(arrays.values()))
    for client, array in arrays.items():
        if array.shape != first.shape or not array.size:
            raise DataError(
                f"client {client} gives shape {array.shape}, another {first.shape}: all vectors"
                " need one shape with at least one entry"
            )
        if array.dtype.kind not in "biuf":
            raise DataError(f"client {client} gives {array.dtype}: give whole numbers or floats")
        if not np.isfinite(array).all():
            raise DataError(f"client {client} gives NaN or infinity: its vector must be finite")
    return dict(sorted(arrays.items()))


def masked_sum(
    vectors: Mapping[int, ArrayLike] | Sequence[ArrayLike],
    *,
    threshold: int | None = None,
    lost_before_upload: Collection[int] = (),
    lost_after_upload: Collection[int] = (),
    step: float = 2.0**-24,
) -> NDArray[Any]:
    """The sum of the clients' vectors by pairwise-mask secure aggregation (Bonawitz et al. 2017).

    Every client masks its vector; the masks cancel in the sum, and what dropouts leave behind is
    restored from shares. Clients and server run in this process, with randomness of the system.

    Args:
        vectors: of two clients or more, all of one shape; a mapping names the clients by numbers
            from 0.
        threshold: clients whose shares restore a secret; by default two thirds and one more.
        lost_before_upload: clients that vanish before they send: they are not in the sum.
        lost_after_upload: clients that vanish then: they are in it.
        step: floats are rounded to whole multiples of it, and the sum of those is exact.

    Returns:
        Of whole numbers int64, exact; of floats float64.

    Raises:
        ConfigError: too few clients, or a threshold that those who are left do not reach.
        DataError: vectors that do not fit each other, or a sum that could exceed 63 bits.
    """
    arrays = by_client(vectors)
    before, after = (frozenset(map(ClientId, lost)) for lost in
                     (lost_before_upload, lost_after_upload))  # fmt: skip
    if unknown := sorted((before | after) - arrays.keys()):
        raise ConfigError(f"client {unknown[0]} cannot be lost: it has no vector")
    count, left = len(arrays), len(arrays) - len(before | after)
    needed = 2 * count // 3 + 1 if threshold is None else threshold
    if not count < 2 * needed <= 2 * count:
        raise ConfigError(
            f"threshold = {needed}: choose {count // 2 + 1} … {count} of {count} clients (more than"
            " half, or two halves could open different sums)"
        )
    if left < needed:
        raise ConfigError(
            f"threshold = {needed}, but only {left} of {count} clients are left to unmask the sum:"
            " lower the threshold or lose fewer"
        )
    shape = next(iter(arrays.values())).shape
    real = any(array.dtype.kind == "f" for array in arrays.values())
    whole = {client: _whole(array, step if real else None) for client, array in arrays.items()}
    _check_range(whole, real)
    inputs = {c: values.astype(np.int64).ravel().view(np.uint64) for c, values in whole.items()}
    total = run_masked_sum(inputs, _RING, needed, system_entropy, before, after - before)
    lifted = total.view(np.int64).reshape(shape)
    return lifted * step if real else lifted


def _whole(array: NDArray[Any], step: float | None) -> NDArray[Any]:
    if step is None:
        return array
    if not (np.isfinite(step) and step > 0):
        raise ConfigError(f"step = {step}: give a positive number, such as 2**-24")
    rounded: NDArray[Any] = np.rint(array.astype(np.float64) / step)
    return rounded


def _check_range(whole: Mapping[ClientId, NDArray[Any]], real: bool) -> None:
    for client, values in whole.items():
        largest = max(abs(values.max().item()), abs(values.min().item()))
        if len(whole) * largest > _LARGEST:
            fix = "a larger step" if real else "smaller numbers"
            raise DataError(
                f"client {client} has an entry of {largest:g}{' steps' if real else ''}: the sum of"
                f" {len(whole)} such does not fit 63 bits, use {fix}"
            )
