"""A connection over which nothing comes ends its reader; a busy program gives it a step more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

import auror.wire.alive
from auror.wire.alive import Beats, Silence


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


def test_a_writer_with_nothing_to_send_beats_and_one_at_work_does_not() -> None:
    async def scene() -> None:
        beaten: list[int] = []
        waiting = asyncio.Event()
        with Beats(0.02, lambda: beaten.append(len(beaten))) as beats:
            await asyncio.sleep(0.1)  # it is sending
            assert not beaten
            idle = asyncio.create_task(beats.idle(waiting.wait()))
            await asyncio.sleep(0)
            while len(beaten) < 3:
                await asyncio.sleep(0.01)
            waiting.set()
            assert await idle
            beaten.clear()
            await asyncio.sleep(0.1)
            assert not beaten
        await asyncio.sleep(0.1)
        assert not beaten

    asyncio.run(asyncio.wait_for(scene(), 10))


def test_a_writer_that_has_just_sent_something_does_not_beat_yet() -> None:
    async def scene() -> None:
        loop, beaten = asyncio.get_running_loop(), list[float]()
        with Beats(0.2, lambda: beaten.append(loop.time())) as beats:
            await beats.idle(asyncio.sleep(0.15))
            since = loop.time()
            await beats.idle(asyncio.sleep(0.25))
        assert all(when - since >= 0.2 for when in beaten)

    asyncio.run(scene())
