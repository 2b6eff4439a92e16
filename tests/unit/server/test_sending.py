"""What a round's sender keeps of the rounds before it: nothing."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any, cast

from auror_server.connections import Connections
from auror_server.recorder import Recorder
from auror_server.sending import RoundSender
from rounds_kit import whole_list

from auror.ids import ClientId, Digest, RoundId
from auror.round.messages import AdvertisedKeys
from auror.round.server.context import Send


def keys() -> AdvertisedKeys:
    return AdvertisedKeys(*(bytes(32) for _ in range(3)), Digest(bytes(32)), bytes(64))


def test_keys_of_an_earlier_round_are_let_go() -> None:
    async def compute(work: Callable[[], Any]) -> Any:
        return work()

    sender = RoundSender(Connections((), 0.0), cast("Recorder", None), compute)

    def told(counter: int, own: AdvertisedKeys) -> bytes:
        sends = [Send((ClientId(0),), whole_list({ClientId(0): own}))]
        (made,) = asyncio.run(sender.encoded(RoundId(counter, bytes(16)), sends))
        return b"".join(made.frames)

    first = keys()
    before = told(1, first)
    assert told(1, first) == before  # encoded once
    kept = weakref.ref(first)
    del first
    gc.collect()
    assert kept() is not None
    told(2, keys())
    gc.collect()
    assert kept() is None
