"""Clients that are late, slow, break off or send garbage, for load tests."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest
from auror_client.config import FaultsSection, load_config
from auror_client.faults import Faults, garbled
from auror_client.slow_link import SlowLink
from auror_client.transport import ConnectionLost

from auror.errors import ConfigError
from auror.ids import ClientId, Digest, RoundId
from auror.round.messages import AdvertisedKeys, Agreement, Receipt
from auror.wire import codec
from auror.wire.fields import WireError
from auror.wire.frames import Assembler, Begun, client_frames
from auror.wire.limits import Limits
from auror.wire.v1 import transport_pb2 as pb

LIMITS = Limits(9, 100, 0)
KEYS = AdvertisedKeys(
    bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32, Digest(bytes(32)), bytes(64)
)
RECEIPT = Receipt((), bytes(64))


def frames() -> list[bytes]:
    body = codec.encode_client(KEYS)
    return list(client_frames(RoundId(1, bytes(16)), codec.kind_of(KEYS), body))


def test_a_connection_breaks_once_in_a_round_and_about_as_often_as_asked() -> None:
    faults = Faults(FaultsSection(churn=0.5))
    broken: Counter[int] = Counter()
    for client in map(ClientId, range(300)):
        for message in (KEYS, RECEIPT, KEYS, RECEIPT):
            try:
                faults.before(client, 1, message)
            except ConnectionLost:
                broken[client] += 1
    assert set(broken.values()) == {1}
    assert 30 < len(broken) < 75  # half of them, at two of six messages
    for message in (KEYS, RECEIPT):
        Faults(FaultsSection()).before(ClientId(0), 1, message)


def test_garbage_is_sent_once_in_a_round_and_never_unasked() -> None:
    faults, good = Faults(FaultsSection(malformed=0.9)), frames()
    changed = 0
    for client in map(ClientId, range(200)):
        sent = [faults.frames(client, 1, KEYS, good) for _ in range(3)]
        changed += sum(one != good for one in sent)
    assert 15 < changed < 50
    assert Faults(FaultsSection()).frames(ClientId(0), 1, KEYS, good) is good
    assert faults.frames(ClientId(0), 1, Agreement(bytes(64)), good) is good


def taken(sent: list[bytes]) -> None:
    """As a server takes it."""
    assembler = Assembler(from_client=True)
    for raw in sent:
        whole = assembler.frame(pb.ClientFrame.FromString(raw), LIMITS)
        if whole is not None:
            codec.decode_client(whole.envelope.kind, whole.read(), LIMITS)


def test_no_garbage_is_a_message() -> None:
    taken(frames())
    kinds = set()
    for seed in range(40):
        with pytest.raises(WireError) as refused:
            taken(garbled(frames(), np.random.default_rng(seed)))
        kinds.add(str(refused.value)[:20])
    assert len(kinds) >= 4


def test_delays_are_drawn_per_round_and_links_per_client() -> None:
    faults = Faults(FaultsSection(delay="uniform:1:3", bandwidth="uniform:2:4"))
    one, two = ClientId(1), ClientId(2)
    assert faults.delay(one, 1) == faults.delay(one, 1)
    assert len({faults.delay(one, 1), faults.delay(one, 2), faults.delay(two, 1)}) == 3
    rates = faults.bytes_per_second(one), faults.bytes_per_second(two)
    assert all(rate is not None and 250_000 <= rate <= 500_000 for rate in rates)
    assert rates[0] != rates[1]
    none = Faults(FaultsSection())
    assert none.delay(one, 1) == 0.0
    assert none.bytes_per_second(one) is None
    dead = Faults(FaultsSection(bandwidth="0")).bytes_per_second(one)
    assert dead == pytest.approx(12_500)


def test_a_distribution_that_is_none_is_refused_before_anything_starts() -> None:
    with pytest.raises(ConfigError, match=r"faults\.delay = 'often'"):
        load_config(None, {}, ["faults.delay=often"])
    with pytest.raises(ConfigError, match=r"faults\.seed.* without any fault"):
        load_config(None, {}, ["faults.seed=3"])


class Fast:
    """A link that takes no time."""

    begun: Begun | None = None

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def read(self) -> pb.ServerFrame:
        return pb.ServerFrame(chunk=bytes(1000))

    async def send(self, frames: Iterable[bytes]) -> None:
        self.sent += frames

    async def finish(self) -> None:
        pass


class Slept:
    def __init__(self) -> None:
        self.seconds: list[float] = []

    def now(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)


def test_a_slow_link_takes_its_time_both_ways() -> None:
    async def scene() -> None:
        inner, clock = Fast(), Slept()
        link = SlowLink(inner, 100.0, clock)
        await link.send([bytes(50), bytes(150)])
        assert inner.sent == [bytes(50), bytes(150)]
        assert clock.seconds == [0.5, 1.5]
        await link.read()
        assert clock.seconds[-1] == pytest.approx(10.0, rel=0.02)
        link.begun = Begun(Digest(bytes(32)), 7)
        assert inner.begun is link.begun

    asyncio.run(scene())
