"""What one client's machine asks for, carried out: replies, memory, training.

The machine repeats an answer when the server repeats a question, so a client that connects again
needs no memory of what was under way: the server asks for what it lacks.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import Secret, system_entropy
from auror.deployment.credentials import ClientCredentials
from auror.deployment.exclusion_words import in_words
from auror.deployment.logs import logger
from auror.errors import BudgetSpent, Excluded, Refusal
from auror.ids import RoundId
from auror.params import OwnRules
from auror.round.client.machine import ClientMachine
from auror.round.client.state import ClientEffect, Ended, GaveUp, Remember, Reply, Train
from auror.round.label_rows import ClassMeans
from auror.round.messages import (
    ClientMessage,
    Exclusion,
    FinalModel,
    NewPolicy,
    RoundEnd,
    RoundStart,
    ServerMessage,
    Withdraw,
)
from auror.round.past import Past
from auror.secagg.quantise import CLIPPED_WARNING, Quantiser
from auror.wire.fields import WireError
from auror.wire.frames import Received
from auror.wire.limits import Limits
from auror_client.account import Account
from auror_client.clock import Clock
from auror_client.failures import budget_spent, refused_for_good
from auror_client.faults import Faults, RoundClock
from auror_client.final_model import ModelFolder
from auror_client.held_policy import handed_on
from auror_client.journal import Journal
from auror_client.outgoing import Sender, cut, frames_of
from auror_client.participation import Participation
from auror_client.read_once import ReadOnce
from auror_client.recording import Recording
from auror_client.start import check_reachable
from auror_client.trainer import Trainer
from auror_client.transport import ConnectionLost, Transport

_Result = TypeVar("_Result")
_log = logger("client")


@dataclass(frozen=True)
class ProcessShared:
    """What the clients of one process share."""

    transport: Transport
    give_up_after: float
    """Seconds without a server."""
    compute: Executor
    """For cryptography and arrays."""
    training: Executor
    recording: Recording
    faults: Faults
    rounds: RoundClock
    clock: Clock
    decoded: ReadOnce = field(default_factory=ReadOnce)


class Answering:
    """One client's machine and what it needs; over as many connections as it takes."""

    def __init__(
        self,
        credentials: ClientCredentials,
        rules: OwnRules,
        journal: Journal,
        trainer: Trainer,
        final: ModelFolder,
        limits: Limits,
        shared: ProcessShared,
    ) -> None:
        self.credentials = credentials
        """With the version of the policy that is held."""
        self._me, self._rules = credentials.client, rules
        self._params = credentials.policy.params
        self._journal = journal
        self._trainer = trainer
        self.limits = limits
        """Of what the server may send."""
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
        self.final = final
        """What becomes of the trained model."""
        self.participation = Participation(credentials.client)
        self.link: Sender | None = None
        """The connection, while there is one."""
        self.training: asyncio.Task[None] | None = None
        """The local training under way, or one whose end nobody has looked at."""
        self.excluded: str | None = None
        """Why this client is not invited any more, once it was told."""
        self._task = credentials.policy.task
        self._open: RoundId | None = None
        """The round that waits for this client."""
        self._turn = asyncio.Lock()
        self._start: RoundStart | None = None
        self._log = _log.bind(client=int(self._me))

    @property
    def account(self) -> Account:
        """What this client's data were used for so far."""
        return Account.of(self._me, self._machine.memory)

    @property
    def past(self) -> Past:
        """What this client has taken part in."""
        return self._machine.memory.past

    def check_budget(self) -> None:
        """Raises BudgetSpent when nothing is left to take part with."""
        if self._machine.spent is not None:
            raise self._spent(self._machine.spent)

    async def take(self, whole: Received) -> None:
        """One message of the server.

        Raises:
            WireError: it is not a message of this protocol.
            ConnectionLost: an answer could not be sent.
            UserError: this client takes part in nothing more, or something cannot be written.
        """
        envelope = whole.envelope
        decoded = self._shared.decoded
        message = decoded.known(whole, self.limits)
        if message is None:
            message = await self._compute(lambda: decoded.read(whole, self.limits))
        async with self._turn:
            if isinstance(message, FinalModel):
                await self._compute(lambda: self.final.take(self._machine, message))
                return
            if isinstance(message, Exclusion):
                self._take_exclusion(message)
                return
            if isinstance(message, NewPolicy):
                await self._compute(lambda: self._take_policy(message))
                return
            if isinstance(message, RoundStart):
                if message.description.round_id != envelope.round_id:
                    raise WireError("invitation under another round's name")
                self._start, self._open = message, envelope.round_id
                self._shared.rounds.began()
            elif not self._is_current(envelope.round_id):
                await self._excuse(envelope.round_id, message)
                return
            self.participation.heard(envelope.round_id, message)
            await self._step(envelope.round_id, lambda: self._machine.on_message(message))

    async def close(self) -> None:
        """Leave unused what a training yields that nobody waits for any more."""
        if self.training is not None:
            self.training.cancel()
            await asyncio.gather(self.training, return_exceptions=True)

    async def withdraw(self, refusal: Refusal) -> None:
        """Leave the round in progress, if there is one, so that nobody waits for this client."""
        if self._open is None:
            return
        round_id, self._open = self._open, None
        self._log.warning("withdraws", round=str(round_id), why=refusal.value)
        self.participation.gave_up(round_id, refusal)
        with contextlib.suppress(ConnectionLost):
            await self._reply(round_id, Withdraw(refusal))

    def _take_policy(self, message: NewPolicy) -> None:
        """Go on under a later version; a round that is open for this client is left."""
        own = self.credentials
        policy = handed_on(own, message.text)
        if policy is None:
            return
        check_reachable(policy, self._rules)
        self._start = self._open = None
        remember = self._machine.adopt(policy)
        self._journal.keep_policy(policy)
        self._journal.save(remember.memory)
        self.credentials = replace(own, policy=policy)
        self._params = policy.params
        self.limits = Limits(policy.id_bound, self.limits.dim, policy.caps.max_statistics)
        self.final.follow(self.credentials)
        if policy.members[self._me].since > own.policy.version:
            self.excluded = None  # the operator reinstated it
        self._log.info("policy taken", version=policy.version, members=len(policy.members))

    def _take_exclusion(self, exclusion: Exclusion) -> None:
        if self.excluded is None:
            self.excluded = in_words(self._me, exclusion, self._task)
            self._log.error(self.excluded)
        if self.final.folder is None:  # nothing is left to wait for
            raise Excluded(self.excluded)

    def _spent(self, detail: str) -> BudgetSpent:
        return budget_spent(self._me, detail)

    async def _excuse(self, round_id: RoundId, message: ServerMessage) -> None:
        """Asked about a round whose secrets went with an earlier process: the others must not wait
        for an answer that cannot come."""
        if isinstance(message, RoundEnd):
            return
        refusal = Refusal.UNKNOWN_ROUND
        self._log.warning("withdraws", round=str(round_id), why=refusal.value)
        self.participation.gave_up(round_id, refusal)
        await self._reply(round_id, Withdraw(refusal))

    def _is_current(self, round_id: RoundId) -> bool:
        return self._start is not None and self._start.description.round_id == round_id

    # Effects ------------------------------------------------------------------------------------

    async def _step(self, round_id: RoundId, step: Callable[[], list[ClientEffect]]) -> None:
        """One step of the machine: what it must remember is durable before anything leaves, all in
        one way to the executor and back: behind a second one, every upload of a process of many
        would wait until the last one is masked."""
        link = self.link

        def taken() -> list[tuple[ClientEffect, list[bytes]]]:
            effects = step()
            for effect in effects:
                if isinstance(effect, Remember):
                    self._journal.save(effect.memory)
            return [(effect, frames_of(round_id, effect, link)) for effect in effects]

        await self._carry(round_id, await self._compute(taken), link)

    async def _carry(
        self,
        round_id: RoundId,
        effects: list[tuple[ClientEffect, list[bytes]]],
        link: Sender | None,
    ) -> None:
        """All of them, even when the stream breaks in between: the machine repeats replies, but
        it asks for training and for durable memory only once."""
        broken: ConnectionLost | None = None
        for effect, frames in effects:
            match effect:
                case Remember():
                    pass  # it was
                case Reply(message):
                    try:
                        await self._reply(round_id, message, frames, link)
                    except ConnectionLost as error:
                        broken = error
                case Train(task, model):
                    await self.close()
                    self.training = asyncio.create_task(self._train(round_id, task, model))
                case Ended(end):
                    self._open = None
                    aborted = None if end.aborted is None else end.aborted.value
                    self._log.info("round ended", round=str(round_id), aborted=aborted)
                    self.participation.ended(round_id, end)
                    self._shared.rounds.ended(round_id.counter)
                case GaveUp(refusal, detail):
                    self._open = None
                    self.participation.gave_up(round_id, refusal)
                    self._log.warning("refused to go on", why=refusal.value, detail=detail)
                    if refusal is Refusal.BUDGET_SPENT:
                        raise self._spent(detail)
                    if refusal.is_final:
                        raise refused_for_good(refusal, detail)
        if broken is not None:
            raise broken

    async def _reply(
        self,
        round_id: RoundId,
        message: ClientMessage,
        frames: Sequence[bytes] = (),
        cut_for: Sender | None = None,
    ) -> None:
        """``frames``: of ``message``, as they were cut for ``cut_for``."""
        faults, link = self._shared.faults, self.link
        faults.before(self._me, round_id.counter, message)
        if link is not None and link is not cut_for:
            frames = await self._compute(lambda: cut(round_id, message, link))
        if link is not None and link is self.link:  # else: the server asks again over another one
            await link.send(faults.frames(self._me, round_id.counter, message, frames))
        faults.after(self._me, round_id.counter, message)

    def _say_clipped(self, update: NDArray[np.float32]) -> None:
        """For this client's own log; nobody else learns it."""
        params = self._params
        share = Quantiser(params.quantisation_bits, params.quantisation_range).clipped_share(update)
        self._log.info("trained", clipped=f"{share:.2%}")
        if share > CLIPPED_WARNING:
            self._log.warning(
                f"{share:.1%} of this update's entries lie beyond ±{params.quantisation_range:g}"
                " and are clipped, which biases the model: are these samples in the task's units?"
                " If every client says so, the operator enrols again with a larger range"
            )

    async def _train(self, round_id: RoundId, task: bytes, model: NDArray[np.float32]) -> None:
        seed = int.from_bytes(system_entropy(8), "little") >> 1
        rounding = Secret.draw(system_entropy)
        recording, params = self._shared.recording, self._params

        def trained() -> tuple[NDArray[np.float32], ClassMeans | None]:
            update = self._trainer.train(task, model, seed)
            self._say_clipped(update)
            return update, self._trainer.class_means(task, model)

        update, means = await self._loop.run_in_executor(self._shared.training, trained)

        def recorded() -> None:
            recording.update(round_id.counter, self._me, params, update, rounding)
            recording.seeds(round_id.counter, self._me, seed, rounding)

        if late := self._shared.faults.delay(self._me, round_id.counter):
            await self._shared.clock.sleep(late)
        if recording.wanted:
            await self._compute(recorded)
        async with self._turn:
            if not self._is_current(round_id):
                return
            try:
                await self._step(round_id, lambda: self._machine.on_update(update, rounding, means))
            except ConnectionLost as error:
                self._log.info("upload broken off, the server will ask again", why=str(error))

    async def _compute(self, work: Callable[[], _Result]) -> _Result:
        return await self._loop.run_in_executor(self._shared.compute, work)
