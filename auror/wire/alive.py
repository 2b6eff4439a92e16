"""Which connection is alive: one over which a frame came lately, of a body or a beat."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")

BEAT_SECONDS = 4.0
"""Who has sent nothing else for so long sends a beat. Middleboxes forget connections that are idle
for a minute or more, too."""
SILENT_SECONDS = 12.0
"""A connection over which no frame came for so long is dead; a chunk takes that long at 5.5 kB/s.

gRPC's own pings do not tell a slow link from a dead one: they and their answers queue behind what
is being sent, and a timeout on them (and the one of TCP that comes with it) ends a connection whose
bytes progress. So neither end sets gRPC's keepalive.
"""
_STEPS = 3


async def heard(reading: Coroutine[Any, Any, _T]) -> _T:
    """What ``reading`` yields; it is cancelled when it takes longer than ``SILENT_SECONDS``.

    The time is waited for in steps: a program that was busy itself for that long has a step left in
    which it hears what came meanwhile.

    Raises:
        TimeoutError: nothing came.
    """
    task, seconds = asyncio.create_task(reading), SILENT_SECONDS
    try:
        for _ in range(_STEPS):
            await asyncio.wait({task}, timeout=seconds / _STEPS)
            if task.done():
                return task.result()
        raise TimeoutError(f"nothing heard for {seconds:g} s")
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        elif not task.cancelled():
            task.exception()  # asyncio logs one that nobody looked at: this one may be cancelled
