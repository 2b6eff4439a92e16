"""A whole server session in one thread and no time: real machines, codec, store and campaign.

``Stage`` is the session's clock. When the session waits, the clients first read and answer; when
nobody has anything left to say, time jumps to the next scripted moment or to the session's
deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, TypeVar

from auror_server.config import SessionSection
from auror_server.connections import Connection
from auror_server.hosts import SyntheticHost
from auror_server.monitor import Monitor
from auror_server.reception import Reception
from auror_server.recorder import Recorder
from auror_server.session import Session
from auror_server.standing import SessionEnding
from auror_server.state.identity import RunIdentity
from auror_server.state.opening import begin
from auror_server.store import Store
from rounds_kit import DIM, Deployment, answer, rounding

from auror.crypto.entropy import system_entropy
from auror.deployment.run_reader import RunReader
from auror.errors import Refusal
from auror.ids import ClientId
from auror.round.client.state import Reply
from auror.round.messages import ClientMessage, Exclusion, FinalModel, RoundStart, Withdraw
from auror.training.campaign import Campaign
from auror.training.config import CampaignConfig
from auror.training.observations import PlanChoice
from auror.wire import codec
from auror.wire.frames import Assembler, Begun, client_frames
from auror.wire.limits import Kind, Limits
from auror.wire.v1 import transport_pb2 as pb

_Item = TypeVar("_Item")
TASK = b'{"synthetic": 24}'
ENOUGH = 5000
"""Waits after which a test is stuck."""


class Inline(Executor):
    """Does at once what it is given."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 the future hands it on
            future.set_exception(error)
        return future


class Site:
    """One client's program, reduced to its machine and a stream."""

    def __init__(self, house: Deployment, client: ClientId, reception: Reception) -> None:
        self.client = client
        self.silent = False
        """It reads and does not answer."""
        self.silent_in: set[int] = set()
        """Counters of the rounds in which it does not answer."""
        self.withdraws: dict[int, Refusal] = {}
        """Counter of a round → what it says instead of taking part."""
        self.told: list[str] = []
        """Kinds of the messages it got, and goodbyes."""
        self.on_told: Callable[[str], None] = self.told.append
        self._house = house
        self._machine = house.machine(client)
        self._reception = reception
        self._connection: Connection | None = None
        self._assembler = Assembler(from_client=True)
        self._begun: Begun | None = None
        self.on_chunk: Callable[[], None] = lambda: None
        """A chunk of its upload has left."""
        self.chunks = 0
        """Of its uploads, that have left."""
        self._limits = Limits(house.policy.id_bound, DIM, house.policy.caps.max_statistics)

    def connect(self) -> None:
        self._assembler = Assembler(from_client=True)
        past = self._machine.memory.past
        self._connection = self._reception.connected(self.client, past, self._assembler)
        self._begun = self._connection.begun

    def leave(self) -> None:
        if self._connection is not None:
            self._reception.disconnected(self._connection)
            self._connection = None

    def abandon(self) -> Callable[[], None]:
        """Nobody is at the end of its stream any more, and the server is not told before what is
        returned is called."""
        stream, self._connection = self._connection, None
        return lambda: None if stream is None else self._reception.disconnected(stream)

    async def play(self) -> bool:
        """Read everything and answer; whether there was anything."""
        busy = False
        while self._connection is not None and not self._connection.outbox.empty():
            busy = True
            await self._read(self._connection.outbox.get_nowait().frames)
        return busy

    async def _read(self, frames: tuple[bytes, ...]) -> None:
        assembler, update = Assembler(from_client=False), self._house.updates()[self.client]
        for frame in map(pb.ServerFrame.FromString, frames):
            if frame.WhichOneof("frame") == "goodbye":
                self.told.append(pb.GoodbyeReason.Name(frame.goodbye.reason))
                if self._connection is not None:
                    self._connection.delivered = True
                self.leave()
            elif (whole := assembler.frame(frame, self._limits)) is not None:
                envelope = whole.envelope
                message = codec.decode_server(envelope.kind, whole.read(), self._limits)
                self.on_told(type(message).__name__)
                if isinstance(message, FinalModel | Exclusion):
                    continue
                counter = envelope.round_id.counter
                if counter in self.withdraws:
                    if isinstance(message, RoundStart):
                        await self._send(envelope.round_id, Withdraw(self.withdraws[counter]))
                    continue
                if self.silent or counter in self.silent_in:
                    continue
                effects = answer(self._machine, message, update, rounding(self.client, counter))
                for effect in effects:
                    if isinstance(effect, Reply):
                        await self._send(envelope.round_id, effect.message)

    async def _send(self, round_id: Any, message: ClientMessage) -> None:
        kind, body = codec.kind_of(message), codec.encode_client(message)
        assembler, is_upload = self._assembler, kind is Kind.UPLOAD
        begun, self._begun = self._begun if is_upload else None, None
        for frame in map(pb.ClientFrame.FromString, client_frames(round_id, kind, body, begun)):
            if self._connection is None:
                return
            whole = assembler.frame(frame, self._reception.limits)
            if whole is not None:
                await self._reception.received(self.client, whole)
            if is_upload and frame.WhichOneof("frame") == "chunk":
                self.chunks += 1
                self.on_chunk()


class Stage:
    """The clock and everything that happens by it."""

    def __init__(self, folder: Path, clients: int = 7, **settings: Any) -> None:
        """To be made inside a running loop. ``settings``: of ``SessionSection``."""
        self.time = 500.0
        self._script: list[tuple[float, Callable[[], None]]] = []
        self._waits = 0
        self.house = Deployment(clients, task=TASK)
        self.folder = folder
        section = SessionSection(**settings)
        host = SyntheticHost(TASK, DIM)
        config = CampaignConfig(
            rounds=section.rounds, defend=False, plan=PlanChoice(confusion=False)
        )
        self.campaign = Campaign(
            config, host, self.house.policy, system_entropy, first_model=self.house.model
        )
        state = begin(folder, RunIdentity(self.house.policy, "test"), self.campaign.state)
        self._store = Store(folder, state)
        self.monitor = Monitor()
        recorder = Recorder(self._store, keep_totals=False, monitor=self.monitor)
        recorder.spool.mkdir()
        self.session = Session(section, self.campaign, host, recorder, Inline(), self)
        reception = self.session.reception
        self.monitor.standing = self.session.standing
        self.monitor.policy = lambda: self.campaign.policy
        self.sites = [Site(self.house, client, reception) for client in self.house.everybody]

    def at(self, seconds: float, what: Callable[[], None]) -> None:
        """Let ``what`` happen ``seconds`` after the start."""
        self._script = sorted([*self._script, (500.0 + seconds, what)], key=lambda each: each[0])

    @property
    def elapsed(self) -> float:
        return self.time - 500.0

    @property
    def rounds(self) -> list[dict[str, Any]]:
        return RunReader(self.folder).rounds()

    async def run(self) -> SessionEnding:
        """The session to its goodbye, which every client then reads."""
        ending = SessionEnding.STOPPED
        try:
            ending = await self.session.run()
        finally:
            self.session.say_goodbye(ending)
            for site in self.sites:
                await site.play()
            self._store.close()
        return ending

    # Clock --------------------------------------------------------------------------------------

    def now(self) -> float:
        return self.time

    async def next(self, queue: asyncio.Queue[_Item], until: float) -> _Item | None:
        self._waits += 1
        assert self._waits < ENOUGH, "the session goes in circles"
        while queue.empty():
            if any([await site.play() for site in self.sites]):
                continue
            moment = self._script[0][0] if self._script else until
            self.time = max(self.time, min(moment, until))
            if moment > until or not self._script:
                return None
            self._script.pop(0)[1]()
        return queue.get_nowait()


def invitations(site: Site) -> int:
    return site.told.count(RoundStart.__name__)
