"""One client from its first connection to the server's goodbye, over connections that may break."""

from __future__ import annotations

import asyncio
import enum
import math
import secrets
import time
from pathlib import Path

from auror.deployment.expiring import SAY_EVERY_S, expiring
from auror.deployment.logs import logger
from auror.errors import ConfigError, CredentialsError, UnavailableError, UserError
from auror.wire.fields import WireError
from auror.wire.frames import Assembler
from auror.wire.limits import ModelTooLarge
from auror.wire.v1 import transport_pb2 as pb
from auror_client.answering import Answering, ProcessShared
from auror_client.failures import failure_of
from auror_client.faults import Vanish
from auror_client.reconnect import Reconnection
from auror_client.transport import ConnectionLost, Link

_UNREADABLE = 3
_LOOK_EVERY_S = 30.0
_log = logger("client")


class Replaced(UnavailableError):
    """Another process connected with this client's keys."""


class ClientEnding(enum.Enum):
    FINISHED = "finished"
    STOPPED = "stopped"


class ClientSession:
    """Connects, hands messages to ``answering``, and connects again."""

    def __init__(
        self,
        folder: Path,
        answering: Answering,
        shared: ProcessShared,
    ) -> None:
        """``folder``: where the credentials were read from."""
        self.answering = answering
        self._folder = folder
        self._transport = shared.transport
        self._rounds = shared.rounds
        self._give_up_after = shared.give_up_after
        self._clock = shared.clock
        self._unreadable = 0
        """Connections in a row that ended with something unreadable."""
        self._found: UserError | None = None
        """What is in the way, as it was looked at last."""
        self._next_look = self._next_warning = -math.inf
        self._vanished = False
        """On purpose, once or more: it need not see the end that others of its process saw."""
        self._client = answering.credentials.client
        self._log = _log.bind(client=int(self._client))

    async def run(self) -> ClientEnding:
        """Take part until the server says goodbye.

        Raises:
            UserError: the server cannot be reached, or refuses this client; the budget is spent.
        """
        self.answering.check_budget()
        now, address, contact = self._clock.now, self._transport.address, False
        again = Reconnection(self._give_up_after, now(), lambda: secrets.randbelow(1000) / 1000)
        while True:
            self._warn()
            past = self.answering.past
            try:
                async with self._transport.connect(self.answering.credentials, past) as link:
                    self._log.info("connected", server=address)
                    contact, self._found = True, None
                    try:
                        return await self._converse(link, again)
                    finally:
                        again.lost(now())
            except Vanish as fault:
                self._log.info("vanishing on purpose", counter=fault.counter)
                self._vanished = True
                await self._rounds.past(fault.counter)
                if self._rounds.over:
                    return ClientEnding.FINISHED
                again.lost(now())
            except ModelTooLarge as error:
                raise ConfigError(
                    f"the server's model is larger than the policy's task, which has"
                    f" {self.answering.limits.dim} entries ({error}): it runs another deployment or"
                    " version"
                ) from error
            except (ConnectionLost, WireError) as error:
                self._check_readable(error)
                if self._vanished and self._rounds.over:
                    return ClientEnding.FINISHED
                if self.answering.final.settled:  # the model comes last, but for the goodbye
                    self._log.info("session finished")
                    return ClientEnding.FINISHED
                news = await self._diagnose()
                if isinstance(self._found, CredentialsError) and not contact:
                    raise self._found from error
                if news is not None:
                    self._log.warning(str(news))
                pause = again.pause(now())
                if pause is None:
                    kind = type(self._found) if self._found is not None else UnavailableError
                    raise kind(
                        f"no server at {address} for {again.silent(now()):.0f} s ({error}):"
                        f" {self._advice()}"
                    ) from error
                self._log.info("no connection, trying again", pause=round(pause, 2), why=str(error))
                await self._clock.sleep(pause)

    async def _converse(self, link: Link, again: Reconnection) -> ClientEnding:
        assembler = Assembler(from_client=False)
        self.answering.link = link
        try:
            while True:
                frame = await self._read(link)
                match frame.WhichOneof("frame"):
                    case "header" if self._declines(frame.header):
                        self._log.info("session finished, the final model is not wanted")
                        return ClientEnding.FINISHED
                    case "header" | "chunk" as kind:
                        if kind == "header":
                            again.heard()
                        whole = assembler.frame(frame, self.answering.limits)
                        if whole is not None:
                            await self.answering.take(whole)
                            self._unreadable = 0
                    case "goodbye":
                        return self._told(frame.goodbye.reason)
                    case _:
                        raise WireError("unexpected frame")
        except (ConnectionLost, WireError, Vanish):
            raise
        except Replaced:
            await link.finish()  # it tells the server that two of this client live
            raise
        except Exception as error:
            refusal, said = failure_of(error)
            await self.answering.withdraw(refusal)
            await link.finish()
            if said is error:
                raise
            raise said from error
        finally:
            self.answering.link = None
            assembler.close()

    def _check_readable(self, error: Exception) -> None:
        """Raises ConfigError when the server keeps sending what this client cannot read."""
        self._unreadable = self._unreadable + 1 if isinstance(error, WireError) else 0
        if self._unreadable >= _UNREADABLE:
            raise ConfigError(
                f"the server at {self._transport.address} sent {self._unreadable} times in a row"
                f" what this client cannot read ({error}): run the same version of auror on both"
                " sides"
            ) from error

    def _declines(self, header: pb.Header) -> bool:
        return self.answering.final.declined and header.kind == pb.MESSAGE_KIND_FINAL_MODEL

    async def _diagnose(self) -> UserError | None:
        """Look for what keeps it from connecting, now and then. Returns what is found newly: it is
        to be said once.

        Once there was contact it ends nothing: what is in the way may go away again."""
        now = self._clock.now()
        if now < self._next_look:
            return None
        self._next_look = now + _LOOK_EVERY_S
        before, self._found = self._found, await self._transport.diagnose(self._folder)
        return None if str(self._found) == str(before) else self._found

    def _warn(self) -> None:
        """Of what expires soon, once a day."""
        now = time.time()
        if now < self._next_warning:
            return
        self._next_warning = now + SAY_EVERY_S
        own = self.answering.credentials
        for line in expiring(self._folder, own.tls, own.policy, now):
            self._log.warning(line)

    def _advice(self) -> str:
        if self._found is not None:
            return str(self._found)
        if self.answering.participation.trained and not self.answering.final.declined:
            return "if its training is over, ask the operator for the model; else start again"
        return "is it running, and is client.server right?"

    async def _read(self, link: Link) -> pb.ServerFrame:
        """The next frame, unless the training under way fails first. Nobody but who reads begins
        one, so without one there is nothing else to wait for."""
        training = self.answering.training
        if training is None:
            return await link.read()
        reading = asyncio.create_task(link.read())
        try:
            await asyncio.wait({reading, training}, return_when=asyncio.FIRST_COMPLETED)
            if training.done():
                self.answering.training = None
                training.result()
            return await reading
        finally:
            if not reading.done():
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    def _told(self, reason: int) -> ClientEnding:
        if reason != pb.GOODBYE_REASON_REPLACED:
            self._rounds.session_over()
        if reason == pb.GOODBYE_REASON_FINISHED:
            self._log.info("session finished")
            return ClientEnding.FINISHED
        if reason == pb.GOODBYE_REASON_STOPPED:
            self._log.warning("server stopped before the end")
            return ClientEnding.STOPPED
        raise Replaced(
            f"client {self._client} connected from another process: run each identity only once; if"
            " no other is yours, somebody else has its keys: tell the operator (`auror roster"
            " revoke`) and enrol anew"
        )


def first_error(results: list[ClientEnding | BaseException]) -> BaseException | None:
    """The error that ends a process of many clients: the user's own first."""
    errors = [result for result in results if isinstance(result, BaseException)]
    return next(
        (error for error in errors if isinstance(error, UserError)), next(iter(errors), None)
    )
