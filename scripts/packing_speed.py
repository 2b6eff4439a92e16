"""How fast ring elements are packed and unpacked, beside a plain copy of the same words.

python scripts/packing_speed.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from auror.secagg.packing import pack, unpack

LENGTH = 1 << 22


def fastest(work: Callable[[], object]) -> float:
    """Seconds of the fastest of five calls."""
    found = []
    for _ in range(5):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)


def main() -> None:
    rng = np.random.default_rng(1)
    print("| bits | pack, MB/s | unpack, MB/s | copy, MB/s |\n|---|---|---|---|")
    for bits in (8, 13, 17, 21, 24, 26, 30, 31, 32):
        values = rng.integers(0, 1 << bits, size=LENGTH, dtype=np.uint64).astype(np.uint32)
        packed, megabytes = pack(values, bits), values.nbytes / 1e6
        speeds = (
            megabytes / fastest(lambda: pack(values, bits)),  # noqa: B023 - called at once
            megabytes / fastest(lambda: unpack(packed, bits, LENGTH)),  # noqa: B023
            megabytes / fastest(values.copy),
        )
        print(f"| {bits} | " + " | ".join(f"{speed:,.0f}" for speed in speeds) + " |")


if __name__ == "__main__":
    main()
