"""Faults on purpose: clients that vanish for the rest of a round, for load tests."""

from __future__ import annotations

import asyncio

import numpy as np

from auror.ids import ClientId
from auror.round.messages import ClientMessage, Upload
from auror_client.config import FaultsSection

_LONGEST_ABSENCE = 300.0


class Vanish(Exception):
    """This client is gone until round ``counter`` is over."""

    def __init__(self, counter: int) -> None:
        self.counter = counter
        super().__init__(f"gone for round {counter}")


class Faults:
    """Draws who vanishes when; the same for equal seeds."""

    def __init__(self, settings: FaultsSection) -> None:
        self._settings = settings

    def before(self, client: ClientId, counter: int, message: ClientMessage) -> None:
        """Raises Vanish when ``client`` is to be lost before its upload."""
        if isinstance(message, Upload) and self._draw(client, counter) < self._settings.dropout / 2:
            raise Vanish(counter)

    def after(self, client: ClientId, counter: int, message: ClientMessage) -> None:
        """Raises Vanish when ``client`` is to be lost after its upload."""
        drawn = self._draw(client, counter)
        half, whole = self._settings.dropout / 2, self._settings.dropout
        if isinstance(message, Upload) and half <= drawn < whole:
            raise Vanish(counter)

    def _draw(self, client: ClientId, counter: int) -> float:
        if not self._settings.dropout:
            return 1.0
        return float(np.random.default_rng([self._settings.seed, counter, client]).random())


class RoundClock:
    """Tells vanished clients of this process when a round is over, from those that stayed."""

    def __init__(self) -> None:
        self.over = False
        """The server has said goodbye to one of them: nobody need come back."""
        self._last = -1
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def began(self) -> None:
        """A round did: whatever session was over, this is another."""
        self.over = False

    def ended(self, counter: int) -> None:
        if counter > self._last:
            self._last = counter
            self._wake()

    def session_over(self) -> None:
        """The server has said goodbye."""
        self.over = True
        self._wake()

    async def past(self, counter: int) -> None:
        """Return when round ``counter`` or the session is over, or after five minutes."""
        try:
            async with asyncio.timeout(_LONGEST_ABSENCE), self._changed:
                await self._changed.wait_for(lambda: self.over or self._last >= counter)
        except TimeoutError:
            return

    def _wake(self) -> None:
        task = asyncio.get_running_loop().create_task(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
