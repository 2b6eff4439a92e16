"""A training session: the clock, the deadlines, and the effects of the round machines carried out.

The session owns no rule of the protocol. Messages, lost connections and the clock become calls
to ``RoundServer`` one at a time; everything heavy runs in the executor, so the loop stays free.
"""

from __future__ import annotations

import asyncio
import enum
import functools
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar

from auror.deployment.logs import logger
from auror.errors import (
    AbortReason,
    DropReason,
    PeerMisbehaved,
    UnavailableError,
)
from auror.ids import ClientId, Digest, RoundId
from auror.round.messages import ClientMessage, RoundEnd, RoundStart, ServerMessage
from auror.round.record import OpenedGroup
from auror.round.server.context import (
    Aborted,
    Dropped,
    Finished,
    Opened,
    Persist,
    Phase,
    PhaseStarted,
    RoundTotal,
    Send,
    ServerEffect,
)
from auror.round.server.machine import RoundServer
from auror.training.campaign import Campaign
from auror.training.host import ModelHost
from auror.wire import codec
from auror.wire.fields import WireError
from auror.wire.frames import Received, server_frames
from auror.wire.limits import Kind, Limits
from auror.wire.v1 import transport_pb2 as pb
from auror_server.config import SessionSection
from auror_server.connections import Connection, Connections, Parcel
from auror_server.metrics import RoundMeter
from auror_server.recorder import Recorder
from auror_server.uploads import SpooledUploads

_Result = TypeVar("_Result")
_PROGRESS_SECONDS = 2.0
_log = logger("session")


class Ending(enum.Enum):
    FINISHED = "finished"
    STOPPED = "stopped"


@dataclass(frozen=True)
class _Message:
    client: ClientId
    round_id: RoundId
    message: ClientMessage


@dataclass(frozen=True)
class _Joined:
    client: ClientId


@dataclass(frozen=True)
class _Left:
    client: ClientId


@dataclass(frozen=True)
class _Fault:
    client: ClientId
    detail: str


@dataclass(frozen=True)
class _Stop:
    """The operator ends the server."""


_Event = _Message | _Joined | _Left | _Fault | _Stop


@dataclass(frozen=True)
class _Outcome:
    total: RoundTotal | None
    aborted: AbortReason | None
    detail: str


@dataclass
class _Round:
    """The round in progress and its clock."""

    machine: RoundServer
    round_id: RoundId
    meter: RoundMeter
    seen: dict[tuple[ClientId, Kind], Digest]
    banned: set[ClientId]
    disputed: bool
    phase: Phase = Phase.ADVERTISE
    phase_started: float = 0.0
    deadline: float = 0.0
    overtime: int | None = None
    """Messages that were already in when the deadline passed and still count."""


class Session:
    """One run of the server, from the first connection to the goodbye."""

    def __init__(
        self,
        settings: SessionSection,
        campaign: Campaign,
        host: ModelHost,
        recorder: Recorder,
        pool: Executor,
    ) -> None:
        self._settings = settings
        self._campaign = campaign
        self._host = host
        self._policy = campaign.policy
        self._recorder = recorder
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._inbox: asyncio.Queue[_Event] = asyncio.Queue()
        self._connections = Connections(self._policy.members, self._now())
        self._round: _Round | None = None
        self._limits = Limits(self._policy.id_bound, host.dim, 0)
        self._stopping = False
        self._last_start = self._now()

    # The desk of the streams --------------------------------------------------------------------

    @property
    def limits(self) -> Limits:
        return self._limits

    def connected(self, client: ClientId) -> Connection:
        connection = self._connections.add(client)
        self._inbox.put_nowait(_Joined(client))
        return connection

    def disconnected(self, connection: Connection) -> None:
        if self._connections.remove(connection, self._now()):
            self._inbox.put_nowait(_Left(connection.client))

    async def received(self, client: ClientId, message: Received) -> None:
        """Decode in the executor; a repeated message of this round goes no further.

        Raises:
            WireError: it is not a message of this protocol.
        """
        current, envelope = self._round, message.envelope
        if current is None or envelope.round_id != current.round_id:
            return  # of a round that is over: too late, and nobody's fault
        current.meter.bytes_up += envelope.size
        if current.seen.get((client, envelope.kind)) == envelope.sha256:
            return
        decoded = await self._compute(
            lambda: codec.decode_client(envelope.kind, message.body, self._limits)
        )
        current.seen.setdefault((client, envelope.kind), envelope.sha256)
        self._inbox.put_nowait(_Message(client, envelope.round_id, decoded))

    def malformed(self, client: ClientId, error: WireError) -> None:
        self._inbox.put_nowait(_Fault(client, str(error)))

    def stop(self) -> None:
        """End the session: the round is aborted, clients are told."""
        if not self._stopping:
            self._stopping = True
            self._inbox.put_nowait(_Stop())

    # The session --------------------------------------------------------------------------------

    async def run(self) -> Ending:
        """Play rounds until the training is over or :meth:`stop` is called.

        Raises:
            UnavailableError: too few clients connected in time, too many aborted rounds, or too few
                members left.
        """
        wanted = self._settings.min_clients or len(self._policy.members)
        await self._wait_for_clients(min(wanted, len(self._campaign.invitable)))
        aborted = 0
        while not self._stopping:
            await self._wait_for_returning()
            start = await self._compute(
                functools.partial(self._campaign.next_round, self._connections.clients())
            )
            if start is None:
                return Ending.FINISHED
            outcome = await self._play(start)
            await self._finish(start, outcome)
            aborted = aborted + 1 if outcome.aborted else 0
            if aborted >= self._settings.max_aborted and not self._stopping:
                raise UnavailableError(
                    f"{aborted} rounds in a row were aborted, the last one: {outcome.detail};"
                    " see the log for the clients that dropped out"
                )
        return Ending.STOPPED

    def say_goodbye(self, ending: Ending) -> None:
        finished = ending is Ending.FINISHED
        reason = pb.GOODBYE_REASON_FINISHED if finished else pb.GOODBYE_REASON_STOPPED
        for connection in self._connections.all():
            connection.say_goodbye(reason)

    async def _wait_for_clients(self, wanted: int) -> None:
        deadline = self._now() + self._settings.join_timeout_s
        said = -1
        while not self._stopping:
            here = len(self._connections.clients() - self._campaign.uninvited)
            if here >= wanted:
                _log.info("clients connected", connected=here, wanted=wanted)
                return
            if self._now() >= deadline:
                raise UnavailableError(
                    f"{here} of {wanted} clients connected within"
                    f" {self._settings.join_timeout_s:g} s: start the missing ones, or lower"
                    " session.min_clients"
                )
            if here != said:
                _log.info("waiting for clients", connected=here, wanted=wanted)
                said = here
            await self._event(min(deadline, self._now() + _PROGRESS_SECONDS))

    async def _wait_for_returning(self) -> None:
        """Give clients lost in the last round a moment to come back; then enough for a round."""
        deadline = self._now() + self._settings.reconnect_grace_s
        while not self._stopping and self._now() < deadline:
            recent = [c for c in self._campaign.invitable if self._lost_at(c) >= self._last_start]
            if not recent:
                break
            await self._event(deadline)
        # if exclusions leave fewer than that, the campaign says so
        fewest = min(self._policy.fewest_present(False), len(self._campaign.invitable))
        if len(self._available()) < fewest:
            await self._wait_for_clients(fewest)

    def _available(self) -> frozenset[ClientId]:
        return self._connections.clients() - self._campaign.uninvited

    def _lost_at(self, client: ClientId) -> float:
        gone = self._connections.gone_since(client)
        return -1.0 if gone is None else gone

    # One round ----------------------------------------------------------------------------------

    async def _play(self, start: RoundStart) -> _Outcome:
        now = self._now()
        statistics = start.plan.rows + self._policy.params.challenge_rows
        self._limits = Limits(self._policy.id_bound, start.plan.dim, statistics)
        uploads = SpooledUploads(self._recorder.spool / "uploads")
        machine = await self._compute(lambda: RoundServer(start, self._policy, uploads))
        description = start.description
        self._round = _Round(
            machine, description.round_id, RoundMeter(now), {}, set(), description.disputed
        )
        self._last_start = now
        try:
            effects = await self._compute(machine.start)
            while (outcome := await self._carry(self._round, effects)) is None:
                effects = await self._next(self._round)
            return outcome
        finally:
            uploads.close()

    async def _next(self, current: _Round) -> list[ServerEffect]:
        """Wait for the next thing that happens and hand it to the machine."""
        machine, now = current.machine, self._now()
        due = self._due(current)
        if now >= due:
            if current.overtime is None:
                current.overtime = self._inbox.qsize()
            if current.overtime == 0:
                current.overtime = None
                return await self._compute(machine.on_deadline)
            current.overtime -= 1
        event = await self._event(due)
        match event:
            case _Message(client, round_id, message):
                if round_id != current.round_id or client in current.banned:
                    return []
                current.meter.answered(client, self._now())
                return await self._compute(lambda: machine.on_message(client, message))
            case _Joined(client):
                waiting = machine.resend(client)
                connection = self._connections.get(client)
                if waiting is None or connection is None or client in current.banned:
                    return []
                if connection.sent is not waiting:
                    connection.send(await self._parcel(current, waiting), waiting)
            case _Fault(client, detail):
                current.banned.add(client)
                fault = PeerMisbehaved(client, DropReason.MALFORMED, detail)
                return await self._compute(lambda: machine.on_fault(fault))
            case _Stop():
                return await self._compute(machine.stop)
            case _Left() | None:
                pass
        return []

    def _due(self, current: _Round) -> float:
        """When the phase ends: at its deadline, or as soon as only lost clients are missing."""
        missing = current.machine.waiting_for
        due = current.phase_started
        for client in missing:
            gone = self._connections.gone_since(client)
            if gone is None:
                return current.deadline
            grace = self._settings.reconnect_grace_s
            # at the start of a round everybody gets the grace anew
            since = current.phase_started if current.phase is Phase.ADVERTISE else gone
            due = max(due, since + grace)
        return min(due, current.deadline) if missing else current.deadline

    async def _carry(self, current: _Round, effects: list[ServerEffect]) -> _Outcome | None:
        queue = list(effects)
        while queue:
            effect = queue.pop(0)
            match effect:
                case Persist(kind, fields):
                    self._recorder.note(kind, dict(fields))
                case PhaseStarted(phase, waiting):
                    self._enter(current, phase, len(waiting))
                case Send(to, message):
                    await self._send(current, to, message)
                case Dropped(client, reason, detail):
                    _log.warning("client dropped", client=client, reason=reason.name, detail=detail)
                case Opened(groups):
                    queue += await self._compute(
                        functools.partial(self._decide, current.machine, groups)
                    )
                case Finished(total):
                    return _Outcome(total, None, "")
                case Aborted(reason, detail):
                    return _Outcome(None, reason, f"{reason.value} ({detail})")
        return None

    def _decide(self, machine: RoundServer, groups: tuple[OpenedGroup, ...]) -> list[ServerEffect]:
        full = machine.progress.plan
        if full is None:
            raise ValueError("statistics were opened before the plan was complete")
        return machine.on_decision(self._campaign.decide(groups, full))

    def _enter(self, current: _Round, phase: Phase, waiting: int) -> None:
        now = self._now()
        upload = phase is Phase.UPLOAD
        seconds = self._settings.upload_deadline_s if upload else self._settings.phase_deadline_s
        current.phase, current.phase_started, current.deadline = phase, now, now + seconds
        current.overtime = None
        current.meter.phase(phase, now)
        if phase is Phase.UPLOAD:
            self._recorder.note("attempt", {"disputed": current.disputed})
        if phase is Phase.UNMASK:
            self._recorder.note("unmasking", {})
        _log.info("phase", round=str(current.round_id), phase=phase.name.lower(), waiting=waiting)

    async def _send(
        self, current: _Round, to: tuple[ClientId, ...], message: ServerMessage
    ) -> None:
        if self._recorder.dirty:
            await self._compute(self._recorder.sync)  # durable before reply
        parcel = await self._parcel(current, message)
        for client in to:
            connection = self._connections.get(client)
            if connection is not None and client not in current.banned:
                connection.send(parcel, message)
                current.meter.bytes_down += parcel.size

    async def _parcel(self, current: _Round, message: ServerMessage) -> Parcel:
        def cut() -> Parcel:
            body = codec.encode_server(message)
            return Parcel(tuple(server_frames(current.round_id, codec.kind_of(message), body)))

        return await self._compute(cut)

    async def _finish(self, start: RoundStart, outcome: _Outcome) -> None:
        current = self._round
        if current is None:
            raise ValueError("no round is in progress")
        current.meter.end(self._now())
        progress = current.machine.progress

        def conclude() -> RoundEnd:
            end, record = self._campaign.finish(progress, outcome.total, outcome.aborted)
            metrics = self._host.evaluate(self._campaign.state.model)
            self._recorder.conclude(
                self._campaign, record, outcome.total, metrics, current.meter, self._now()
            )
            return end

        end = await self._compute(conclude)
        await self._send(current, start.description.cohort, end)
        self._round = None

    # Helpers ------------------------------------------------------------------------------------

    def _now(self) -> float:
        return self._loop.time()

    async def _event(self, until: float) -> _Event | None:
        """The next event, or None at ``until``."""
        try:
            async with asyncio.timeout_at(max(until, self._now() + 0.001)):
                return await self._inbox.get()
        except TimeoutError:
            return None

    async def _compute(self, work: Callable[[], _Result]) -> _Result:
        return await self._loop.run_in_executor(self._pool, work)
