"""A process kept the hashes of four sketches, of rounds long over: 64 bytes an entry of the model.

1.3 GB beside a model of 20 million entries, in every client and in the server.
"""

from __future__ import annotations

import tracemalloc

import numpy as np

from auror.round.plan import CountSketch

DIM, ROWS, ROUNDS = 100_000, 8, 6
MOST = 12
"""Bytes an entry: of the session's sketch and of the last challenge."""


def test_sketches_of_rounds_that_are_over_are_not_kept() -> None:
    values = np.arange(DIM, dtype=np.int64)
    session = CountSketch(b"s" * 32, ROWS, False)
    tracemalloc.start()
    try:
        before, _peak = tracemalloc.get_traced_memory()
        for number in range(ROUNDS):
            for sketch in (session, CountSketch(bytes([number]) * 32, ROWS, True)):
                assert sketch.apply(values).shape == (ROWS,)
        after, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < MOST * DIM
