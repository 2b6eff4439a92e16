"""One client: carries the machine's effects out over a connection that may break at any time.

The machine repeats an answer when the server repeats a question, so a client that connects again
needs no memory of what was under way: the server asks for what it lacks.
"""

from __future__ import annotations

import asyncio
import enum
import functools
import secrets
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import Secret, system_entropy
from auror.deployment.credentials import ClientCredentials
from auror.deployment.logs import logger
from auror.errors import BudgetSpent, CredentialsError, Refusal, UnavailableError, UserError
from auror.ids import RoundId
from auror.params import OwnRules
from auror.round.client.machine import ClientMachine
from auror.round.client.state import ClientEffect, Ended, GaveUp, Remember, Reply, Train
from auror.round.messages import ClientMessage, RoundStart, ServerMessage
from auror.wire import codec
from auror.wire.fields import WireError
from auror.wire.frames import Assembler, Received, client_frames
from auror.wire.limits import Limits
from auror.wire.v1 import transport_pb2 as pb
from auror_client.account import Account
from auror_client.faults import Faults, RoundClock, Vanish
from auror_client.journal import Journal
from auror_client.participation import Participation
from auror_client.recording import Recording
from auror_client.trainer import Trainer
from auror_client.transport import Broken, Link, diagnose

_Result = TypeVar("_Result")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 10.0
_log = logger("client")


class Ending(enum.Enum):
    FINISHED = "finished"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Shared:
    """What the clients of one process share."""

    address: str
    give_up_after: float
    compute: Executor
    """For cryptography and arrays."""
    training: Executor
    recording: Recording
    faults: Faults
    clock: RoundClock


class Member:
    """One client from its first connection to the server's goodbye."""

    def __init__(
        self,
        credentials: ClientCredentials,
        folder: Path,
        rules: OwnRules,
        journal: Journal,
        trainer: Trainer,
        limits: Limits,
        shared: Shared,
    ) -> None:
        self._me = credentials.client
        self.participation = Participation(credentials.client)
        self._credentials = credentials
        self._folder = folder
        self._journal = journal
        self._trainer = trainer
        self._limits = limits
        self._shared = shared
        self._loop = asyncio.get_running_loop()
        self._machine = ClientMachine(
            credentials.client,
            credentials.identity,
            credentials.policy,
            rules,
            journal.load(),
            system_entropy,
            time.time,
        )
        journal.save(self._machine.memory)  # which version of the policy it holds
        self._turn = asyncio.Lock()
        self._start: RoundStart | None = None
        self._link: Link | None = None
        self._training: asyncio.Task[None] | None = None
        self._log = _log.bind(client=int(self._me))

    async def run(self) -> Ending:
        """Take part until the server says goodbye.

        Raises:
            UserError: the server cannot be reached, or refuses this client; the budget is spent.
        """
        detail = self._machine.spent
        if detail is not None:
            raise self._spent(detail)
        last_contact, pause, diagnosed = self._loop.time(), _FIRST_PAUSE, False
        while True:
            try:
                async with Link(self._shared.address, self._credentials) as link:
                    self._link = link
                    self._log.info("connected", server=self._shared.address)
                    pause, diagnosed = _FIRST_PAUSE, True
                    try:
                        return await self._converse(link)
                    finally:
                        self._link, last_contact = None, self._loop.time()
            except Vanish as fault:
                self._log.info("vanishing on purpose", counter=fault.counter)
                await self._shared.clock.past(fault.counter)
                last_contact = self._loop.time()
            except (Broken, WireError) as error:
                if not diagnosed:
                    found = await diagnose(self._shared.address, self._folder)
                    if found is not None:
                        raise CredentialsError(found) from error
                silent = self._loop.time() - last_contact
                if silent > self._shared.give_up_after:
                    raise UnavailableError(
                        f"no server at {self._shared.address} for {silent:.0f} s: is it running,"
                        " and is client.server right?"
                    ) from error
                self._log.info("no connection, trying again", pause=round(pause, 2), why=str(error))
                # full jitter: many clients that lost one server do not return as one
                await asyncio.sleep(pause * (0.5 + secrets.randbelow(1000) / 1000))
                pause = min(2 * pause, _LONGEST_PAUSE)

    @property
    def account(self) -> Account:
        """What this client's data were used for so far."""
        return Account.of(self._me, self._machine.memory)

    def _spent(self, detail: str) -> BudgetSpent:
        return BudgetSpent(
            f"client {self._me}: the budget of this client's data is spent ({detail}): it takes"
            " part in nothing more; `auror-client --account` says what it was spent on"
        )

    async def close(self) -> None:
        """Stop a training that nobody waits for any more."""
        if self._training is not None:
            self._training.cancel()
            await asyncio.gather(self._training, return_exceptions=True)

    # One connection -----------------------------------------------------------------------------

    async def _converse(self, link: Link) -> Ending:
        assembler = Assembler(from_client=False)
        try:
            while True:
                frame = await self._read(link)
                match frame.WhichOneof("frame"):
                    case "header":
                        assembler.header(frame.header, self._limits)
                    case "chunk":
                        whole = assembler.chunk(frame.chunk)
                        if whole is not None:
                            await self._take(whole)
                    case "goodbye":
                        return self._told(frame.goodbye.reason)
                    case _:
                        raise WireError("unexpected frame")
        finally:
            assembler.close()

    async def _read(self, link: Link) -> pb.ServerFrame:
        """The next frame, unless the training under way fails first."""
        reading = asyncio.create_task(link.read())
        waiting: set[asyncio.Task[pb.ServerFrame] | asyncio.Task[None]] = {reading}
        try:
            while not reading.done():
                training = self._training
                if training is not None:
                    if training.done():
                        self._training = None
                        training.result()
                    else:
                        waiting.add(training)
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                waiting = {reading}
            return reading.result()
        finally:
            if not reading.done():
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    def _told(self, reason: int) -> Ending:
        if reason == pb.GOODBYE_REASON_FINISHED:
            self._log.info("session finished")
            return Ending.FINISHED
        if reason == pb.GOODBYE_REASON_STOPPED:
            self._log.warning("server stopped before the end")
            return Ending.STOPPED
        raise UnavailableError(
            f"client {self._me} connected from another process: run each identity only once"
        )

    async def _take(self, whole: Received) -> None:
        envelope = whole.envelope
        message = await self._compute(
            lambda: codec.decode_server(envelope.kind, whole.body, self._limits)
        )
        async with self._turn:
            if isinstance(message, RoundStart):
                if message.description.round_id != envelope.round_id:
                    raise WireError("invitation under another round's name")
                self._start = message
            elif not self._is_current(envelope.round_id):
                return
            self.participation.heard(envelope.round_id, message)
            await self._carry(envelope.round_id, await self._step(message))

    async def _step(self, message: ServerMessage) -> list[ClientEffect]:
        return await self._compute(lambda: self._machine.on_message(message))

    def _is_current(self, round_id: RoundId) -> bool:
        return self._start is not None and self._start.description.round_id == round_id

    # Effects ------------------------------------------------------------------------------------

    async def _carry(self, round_id: RoundId, effects: list[ClientEffect]) -> None:
        """All of them, even when the stream breaks in between: the machine repeats replies, but
        it asks for training and for durable memory only once."""
        broken: Broken | None = None
        for effect in effects:
            match effect:
                case Remember(memory):
                    await self._compute(functools.partial(self._journal.save, memory))
                case Reply(message):
                    try:
                        await self._reply(round_id, message)
                    except Broken as error:
                        broken = error
                case Train(task, model):
                    await self.close()
                    self._training = asyncio.create_task(self._train(round_id, task, model))
                case Ended(end):
                    aborted = None if end.aborted is None else end.aborted.value
                    self._log.info("round ended", round=str(round_id), aborted=aborted)
                    self.participation.ended(round_id, end)
                    self._shared.clock.ended(round_id.counter)
                case GaveUp(refusal, detail):
                    self.participation.gave_up(round_id, refusal)
                    self._log.warning("refused to go on", why=refusal.value, detail=detail)
                    if refusal is Refusal.BUDGET_SPENT:
                        raise self._spent(detail)
        if broken is not None:
            raise broken

    async def _reply(self, round_id: RoundId, message: ClientMessage) -> None:
        self._shared.faults.before(self._me, round_id.counter, message)

        def cut() -> list[bytes]:
            return list(
                client_frames(round_id, codec.kind_of(message), codec.encode_client(message))
            )

        frames = await self._compute(cut)
        if self._link is not None:  # else: the server asks again when we are back
            await self._link.send(frames)
        self._shared.faults.after(self._me, round_id.counter, message)

    async def _train(self, round_id: RoundId, task: bytes, model: NDArray[np.float32]) -> None:
        seed = int.from_bytes(system_entropy(8), "little") >> 1
        rounding = Secret.draw(system_entropy)
        recording, params = self._shared.recording, self._credentials.policy.params
        update = await self._loop.run_in_executor(
            self._shared.training, self._trainer.train, task, model, seed
        )
        means = await self._loop.run_in_executor(
            self._shared.training, self._trainer.class_means, task, model
        )
        await self._compute(
            lambda: recording.update(round_id.counter, self._me, params, update, rounding)
        )
        await self._compute(lambda: recording.seeds(round_id.counter, self._me, seed, rounding))
        async with self._turn:
            if not self._is_current(round_id):
                return
            effects = await self._compute(lambda: self._machine.on_update(update, rounding, means))
            try:
                await self._carry(round_id, effects)
            except Broken as error:
                self._log.info("upload broken off, the server will ask again", why=str(error))

    async def _compute(self, work: Callable[[], _Result]) -> _Result:
        return await self._loop.run_in_executor(self._shared.compute, work)


def first_error(results: list[Ending | BaseException]) -> BaseException | None:
    """The error that ends a process of many clients: the user's own first."""
    errors = [result for result in results if isinstance(result, BaseException)]
    return next(
        (error for error in errors if isinstance(error, UserError)), next(iter(errors), None)
    )
