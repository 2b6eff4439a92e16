"""A client's program in one thread and no time: its server is a list of connections in memory.

The machine, journal, codec and frames are the real ones. ``Trainings`` finishes a training when
the test says so; ``Clock`` lets every pause pass at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Executor, Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from audit_kit import tls
from auror_client.answering import Answering, ProcessShared
from auror_client.config import FaultsSection, RecordSection
from auror_client.driver import ClientSession
from auror_client.faults import Faults, RoundClock
from auror_client.final_model import ModelFolder
from auror_client.journal import Journal
from auror_client.recording import Recording
from auror_client.trainer import SyntheticTrainer
from auror_client.transport import ConnectionLost
from rounds_kit import DIM, Deployment, answer, rounding

from auror.deployment.credentials import ClientCredentials
from auror.errors import CredentialsError, UserError
from auror.ids import ClientId, RoundId
from auror.round.client.state import Reply
from auror.round.messages import ClientMessage, RoundStart, ServerMessage
from auror.round.past import Past
from auror.round.plan import OutputLayer, StatisticsPlan
from auror.round.run import accept_all
from auror.round.server.context import Finished, Opened, Send
from auror.round.server.machine import RoundServer
from auror.wire import codec
from auror.wire.frames import Assembler, Begun, Body, server_frames
from auror.wire.limits import Limits
from auror.wire.v1 import transport_pb2 as pb

ME = ClientId(0)
TASK = b'{"synthetic": 24}'
Scene = Callable[["Bench"], Awaitable[None]]


class Inline(Executor):
    """Does at once what it is given, and counts."""

    turns = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.turns += 1
        future: Future[Any] = Future()
        _finish(future, fn, *args, **kwargs)
        return future


class Trainings(Executor):
    """Trainings that were asked for, each finished when the test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[Future[Any], Callable[[], Any]]] = []
        self._news = asyncio.Event()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if fn.__name__ == "class_means":  # comes after the training and takes no time
            _finish(future, fn, *args, **kwargs)
        else:
            self.asked.append((future, lambda: fn(*args, **kwargs)))
            self._news.set()
        return future

    async def begun(self, number: int) -> None:
        """Wait until ``number`` trainings were asked for."""
        while len(self.asked) < number:
            self._news.clear()
            await self._news.wait()

    def finish(self, number: int) -> None:
        future, work = self.asked[number]
        _finish(future, work)


def _finish(future: Future[Any], fn: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    if future.cancelled():
        return
    try:
        result = fn(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 the future hands it on
        future.set_exception(error)
    else:
        future.set_result(result)


class Clock:
    """Virtual seconds; pauses pass at once and are kept."""

    def __init__(self) -> None:
        self.time = 50.0
        self.pauses: list[float] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds
        await asyncio.sleep(0)


class Line:
    """One connection. What the server says is put in, what the client says comes out."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._incoming: asyncio.Queue[pb.ServerFrame | Exception] = asyncio.Queue()
        self._outgoing: asyncio.Queue[tuple[RoundId, ClientMessage]] = asyncio.Queue()
        self._dead = False
        self.begun: Begun | None = None
        self.breaks_after: int | None = None
        """Frames of a message, then the connection is lost."""
        self.part: Body | None = None
        """What of it the server then has."""
        self.frames: list[bytes] = []
        """Of the client's last message."""
        self.finished = False
        """Whether the client has waited for its words to arrive."""

    def tell(self, round_id: RoundId, message: ServerMessage) -> None:
        body = codec.encode_server(message)
        for frame in server_frames(round_id, codec.kind_of(message), body):
            self._incoming.put_nowait(pb.ServerFrame.FromString(frame))

    def frame(self, frame: pb.ServerFrame) -> None:
        self._incoming.put_nowait(frame)

    def goodbye(self, reason: pb.GoodbyeReason = pb.GOODBYE_REASON_FINISHED) -> None:
        self.frame(pb.ServerFrame(goodbye=pb.Goodbye(reason=reason)))

    def hold(self, part: Body) -> None:
        self.part, self.begun = part, part.begun

    def lose(self) -> None:
        """The connection breaks, in both directions."""
        self._dead = True
        self._incoming.put_nowait(ConnectionLost("cut"))

    async def said(self) -> tuple[RoundId, ClientMessage]:
        """The client's next message."""
        return await self._outgoing.get()

    @property
    def quiet(self) -> bool:
        """Whether the client has said nothing more."""
        return self._outgoing.empty()

    async def finish(self) -> None:
        self.finished = True

    # Link ---------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._dead = True

    async def read(self) -> pb.ServerFrame:
        item = await self._incoming.get()
        if isinstance(item, Exception):
            raise item
        return item

    async def send(self, frames: Iterable[bytes]) -> None:
        if self._dead:
            raise ConnectionLost("cut")
        assembler, self.frames = Assembler(from_client=True), list(frames)
        if self.part is not None:
            assembler.hold(self.part)
        for number, frame in enumerate(map(pb.ClientFrame.FromString, self.frames)):
            if number == self.breaks_after:
                self.part = assembler.hand_over()
                self.lose()
                raise ConnectionLost("cut")
            if (whole := assembler.frame(frame, self._limits)) is not None:
                message = codec.decode_client(whole.envelope.kind, whole.read(), self._limits)
                self._outgoing.put_nowait((whole.envelope.round_id, message))


class Refused:
    """An attempt to connect that fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def __aenter__(self) -> Line:
        raise self._error

    async def __aexit__(self, *_: object) -> None:
        pass


class Network:
    """The transport: attempts to connect end as the test has written down."""

    address = "server:7443"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.attempts: list[Line | Refused] = []
        self.tried: list[float] = []
        """When, per attempt."""
        self.pasts: list[Past] = []
        """As told in the hello, per attempt."""
        self.diagnosis: str | None = None

    def away(self, times: int = 1) -> None:
        self.attempts += [Refused(ConnectionLost("nobody there"))] * times

    def connect(self, credentials: ClientCredentials, past: Past) -> Line | Refused:
        self.pasts.append(past)
        self.tried.append(self.clock.now())
        return self.attempts.pop(0) if self.attempts else Refused(ConnectionLost("nobody there"))

    async def diagnose(self, folder: Path) -> UserError | None:
        return None if self.diagnosis is None else CredentialsError(self.diagnosis)


class Bench:
    """Client 0 of seven on its network; to be made inside a running loop."""

    def __init__(self, folder: Path, give_up_after: float = 120.0) -> None:
        self.house = Deployment(7, task=TASK, plan=StatisticsPlan(DIM, (OutputLayer(1, 4),)))
        self.clock = Clock()
        self.network = Network(self.clock)
        self.compute, self.trainings = Inline(), Trainings()
        policy = self.house.policy
        self.limits = Limits(policy.id_bound, DIM, policy.caps.max_statistics)
        self.shared = ProcessShared(
            self.network,
            give_up_after,
            self.compute,
            self.trainings,
            Recording(RecordSection()),
            Faults(FaultsSection()),
            RoundClock(),
            self.clock,
        )
        self.folder = folder
        self.model_folder: Path | None = folder / policy.name / "client-000"
        self.journal = Journal(folder, policy.name, ME)
        self.session = self.started()

    def started(self) -> ClientSession:
        """The program, started (again) on the same journal."""
        keys = self.house.keys[ME], self.house.operator.verify_key
        credentials = ClientCredentials(tls(), self.house.policy, ME, *keys)
        answering = Answering(
            credentials,
            self.house.machine(ME)._identity.rules,
            self.journal,
            SyntheticTrainer(),
            ModelFolder(self.model_folder, credentials, {}),
            self.limits,
            self.shared,
        )
        return ClientSession(self.folder, answering, self.shared)

    def line(self) -> Line:
        """The next attempt to connect that has not been written down yet succeeds."""
        line = Line(self.limits)
        self.network.attempts.append(line)
        return line

    def invite(self, line: Line, counter: int = 0) -> RoundStart:
        start = self.house.start(counter)
        line.tell(start.description.round_id, start)
        return start


class Round:
    """A round of the real server and six others, in which client 0 is at the end of a line."""

    def __init__(self, bench: Bench, counter: int = 0) -> None:
        self._bench = bench
        start = bench.house.start(counter)
        self.round_id = start.description.round_id
        self.server = RoundServer(start, bench.house.policy, {})
        self._others = {c: m for c, m in bench.house.machines().items() if c != ME}
        self.finished: Finished | None = None
        self.asked: ServerMessage = start
        """What client 0 was asked last."""
        self._effects = list(self.server.start())
        self.pump(None)

    def pump(self, line: Line | None) -> None:
        """Everything that happens until client 0 has to answer."""
        updates = self._bench.house.updates()
        while self._effects:
            effect = self._effects.pop(0)
            if isinstance(effect, Opened):
                self._effects += self.server.on_decision(accept_all(effect.groups, effect.plan))
            if isinstance(effect, Finished):
                self.finished = effect
            if not isinstance(effect, Send):
                continue
            for client in effect.to:
                if client == ME:
                    self.asked = effect.message
                    if line is not None:
                        line.tell(self.round_id, effect.message)
                    continue
                machine = self._others[client]
                said = answer(machine, effect.message, updates[client], rounding(client))
                for reply in (e.message for e in said if isinstance(e, Reply)):
                    self._effects += self.server.on_message(client, reply)

    def ask(self, line: Line) -> None:
        """Put the open question to client 0, for the first time or again."""
        line.tell(self.round_id, self.asked)

    async def hear(self, line: Line, times: int = 1) -> ClientMessage:
        """Take client 0's next answers and go on; the last of them."""
        for _ in range(times):
            round_id, message = await line.said()
            assert round_id == self.round_id
            self._effects += self.server.on_message(ME, message)
            self.pump(line)
        return message


def played(folder: Path, scene: Scene, give_up_after: float = 120.0) -> None:
    async def run() -> None:
        bench = Bench(folder, give_up_after)
        try:
            async with asyncio.timeout(60):  # a scene that hangs fails here
                await scene(bench)
        finally:
            bench.journal.__exit__(None, None, None)

    asyncio.run(run())
