"""Faults on purpose, for load tests: clients that vanish, are late, break off, send garbage."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

import numpy as np

from auror.distribution import SLOWEST_MBITS, Distribution
from auror.ids import ClientId
from auror.round.messages import (
    AdvertisedKeys,
    ClientMessage,
    DealtShares,
    MaskedStatistics,
    RandomnessShares,
    Receipt,
    UpdateShares,
    Upload,
)
from auror.wire.limits import CHUNK_BYTES
from auror.wire.v1 import transport_pb2 as pb
from auror_client.config import FaultsSection
from auror_client.transport import ConnectionLost

_LONGEST_ABSENCE = 300.0


class Vanish(Exception):
    """This client is gone until round ``counter`` is over."""

    def __init__(self, counter: int) -> None:
        self.counter = counter
        super().__init__(f"gone for round {counter}")


class Faults:
    """Draws who does what when; the same for equal seeds."""

    def __init__(self, settings: FaultsSection) -> None:
        self._settings = settings
        self._delay = _parsed("delay", settings.delay)
        self._bandwidth = _parsed("bandwidth", settings.bandwidth)
        self._broken: dict[ClientId, int] = {}
        """Client → newest round in which its connection broke on purpose."""
        self._garbled: dict[ClientId, int] = {}

    def before(self, client: ClientId, counter: int, message: ClientMessage) -> None:
        """Raises Vanish when ``client`` is to be lost before its upload, ConnectionLost when its
        connection breaks and is to be made again."""
        if isinstance(message, Upload) and self._draw(client, counter) < self._settings.dropout / 2:
            raise Vanish(counter)
        if self._now(_CHURN, self._settings.churn, self._broken, client, counter, message):
            raise ConnectionLost("broken on purpose")

    def after(self, client: ClientId, counter: int, message: ClientMessage) -> None:
        """Raises Vanish when ``client`` is to be lost after its upload."""
        half, whole = self._settings.dropout / 2, self._settings.dropout
        if isinstance(message, Upload) and half <= self._draw(client, counter) < whole:
            raise Vanish(counter)

    def frames(
        self, client: ClientId, counter: int, message: ClientMessage, frames: Sequence[bytes]
    ) -> Sequence[bytes]:
        """``frames`` of ``message``, or something in their place that nobody can read."""
        if self._now(_GARBLE, self._settings.malformed, self._garbled, client, counter, message):
            return garbled(frames, self._rng(_GARBLE, client, counter))
        return frames

    def delay(self, client: ClientId, counter: int) -> float:
        """Seconds by which the training of ``client`` takes longer in this round."""
        return 0.0 if self._delay is None else self._delay.draw(self._rng(_DELAY, client, counter))

    def bytes_per_second(self, client: ClientId) -> float | None:
        """Of the link of ``client``, each way; None: as fast as it can."""
        if self._bandwidth is None:
            return None
        drawn = self._bandwidth.draw(self._rng(_BANDWIDTH, client, 0))
        return max(drawn, SLOWEST_MBITS) * 1e6 / 8

    def _draw(self, client: ClientId, counter: int) -> float:
        if not self._settings.dropout:
            return 1.0
        return float(np.random.default_rng([self._settings.seed, counter, client]).random())

    def _now(
        self,
        what: int,
        chance: float,
        done: dict[ClientId, int],
        client: ClientId,
        counter: int,
        message: ClientMessage,
    ) -> bool:
        """Whether it is to happen with this very message: once in a round at most."""
        if not chance or done.get(client) == counter:
            return False
        rng = self._rng(what, client, counter)
        if rng.random() >= chance or type(message) is not _MOMENTS[rng.integers(len(_MOMENTS))]:
            return False
        done[client] = counter
        return True

    def _rng(self, what: int, client: ClientId, counter: int) -> np.random.Generator:
        return np.random.default_rng([self._settings.seed, counter, client, what])


_CHURN, _GARBLE, _DELAY, _BANDWIDTH = range(1, 5)
_MOMENTS = (AdvertisedKeys, DealtShares, Receipt, RandomnessShares, MaskedStatistics, UpdateShares)


def _parsed(name: str, text: str) -> Distribution | None:
    return Distribution.parse(f"faults.{name}", text) if text else None


def garbled(frames: Sequence[bytes], rng: np.random.Generator) -> list[bytes]:
    """What a client with a fault, or one that means it, may send in the place of a message: with a
    wrong digest, larger than anything may be, without a header, or of noise."""
    header = pb.ClientFrame.FromString(frames[0]).header
    noise = rng.bytes(min(header.size, CHUNK_BYTES))
    match rng.integers(4):
        case 0:
            header.sha256 = rng.bytes(32)
        case 1:
            header.size = 1 << 40
        case 2:
            return [pb.ClientFrame(chunk=noise).SerializeToString()]
        case _:
            header.size, header.sha256 = len(noise), hashlib.sha256(noise).digest()
            header.body = noise
            return [pb.ClientFrame(header=header).SerializeToString()]
    return [pb.ClientFrame(header=header).SerializeToString(), *frames[1:]]


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
