"""Ports that answer a few peers at a time, and none for long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class FewAtOnce:
    """The connections of one port that are being answered."""

    def __init__(self, most: int) -> None:
        """``most``: at the same time; others are closed without a word."""
        self._most = most
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def answer(
        self, writer: asyncio.StreamWriter, say: Callable[[], Awaitable[None]], patience: float
    ) -> None:
        """``say`` writes the answer, which has to be taken within ``patience`` seconds."""
        task = asyncio.current_task()
        if task is None or len(self._open) >= self._most:
            writer.transport.abort()
            return
        self._open[task] = writer
        try:
            await say()
            writer.close()
            async with asyncio.timeout(patience):
                await writer.wait_closed()
        except (OSError, EOFError, asyncio.LimitOverrunError, TimeoutError):
            writer.transport.abort()  # it says too little or too much, does not read, or is gone
        finally:
            del self._open[task]

    async def end(self) -> None:
        """Cut off whoever is being answered."""
        for writer in self._open.values():
            writer.transport.abort()
        await asyncio.gather(*self._open, return_exceptions=True)
