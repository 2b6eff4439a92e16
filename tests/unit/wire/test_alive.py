"""A connection over which nothing comes ends its reader; a busy program gives it a step more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

import auror.wire.alive
from auror.wire.alive import Silence


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auror.wire.alive, "SILENT_SECONDS", 0.06)


def play(scene: Callable[[Silence], Awaitable[object]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(10), Silence() as silence:
            await scene(silence)

    asyncio.run(run())


def test_nothing_heard_ends_the_reader() -> None:
    async def scene(silence: Silence) -> None:
        await silence.heard(asyncio.sleep(0))
        await silence.heard(asyncio.Event().wait())

    with pytest.raises(TimeoutError, match=r"nothing heard for 0\.06 s"):
        play(scene)


def test_whoever_is_heard_again_and_again_is_alive() -> None:
    async def scene(silence: Silence) -> None:
        for _ in range(10):
            await silence.heard(asyncio.sleep(0.03))

    play(scene)


def test_what_was_read_may_take_long_to_work_on() -> None:
    async def scene(silence: Silence) -> None:
        await silence.heard(asyncio.sleep(0))
        await asyncio.sleep(0.3)
        await silence.heard(asyncio.sleep(0))

    play(scene)


def test_a_program_that_was_busy_itself_hears_what_came_meanwhile() -> None:
    async def scene(silence: Silence) -> None:
        loop, came = asyncio.get_running_loop(), asyncio.Event()
        loop.call_later(0.2, came.set)
        loop.call_later(0.01, lambda: time.sleep(0.5))
        await silence.heard(came.wait())

    play(scene)


def test_another_reason_to_end_stays_that() -> None:
    async def scene() -> None:
        async def read() -> None:
            async with Silence() as silence:
                await silence.heard(asyncio.Event().wait())

        reading = asyncio.create_task(read())
        await asyncio.sleep(0.01)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

        async def fail() -> None:
            raise ConnectionError("gone")

        async with Silence() as silence:
            with pytest.raises(ConnectionError):
                await silence.heard(fail())

    asyncio.run(scene())
