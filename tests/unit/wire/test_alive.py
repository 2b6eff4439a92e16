"""A reader that is given up after its frame failed leaves nothing for asyncio to log."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from auror.wire.alive import heard


def test_what_failed_while_its_reader_was_given_up_is_not_logged() -> None:
    logged: list[dict[str, Any]] = []

    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, about: logged.append(about))
        lost = asyncio.Event()

        async def read() -> None:
            await lost.wait()
            raise ConnectionError("gone")

        reading = asyncio.create_task(heard(read()))
        await asyncio.sleep(0.01)
        lost.set()
        await asyncio.sleep(0)  # it has failed, and its reader does not know yet
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

    asyncio.run(scene())
    gc.collect()
    assert not logged
