"""One client or many in a process: each has its own identity, TLS connection, data and machine;
they share one event loop and two bounded executors."""

from __future__ import annotations

import asyncio
import functools
import math
import signal
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from auror.crypto.signing import verified_once
from auror.deployment.credentials import ClientCredentials
from auror.deployment.locks import allow_many_files
from auror.deployment.model_file import tensor_entries
from auror.round.policy import Policy
from auror.wire.limits import Limits
from auror_client.account import Account, as_text
from auror_client.answering import Answering, ProcessShared
from auror_client.clock import LoopClock
from auror_client.config import ClientConfig
from auror_client.driver import ClientEnding, ClientSession, first_error
from auror_client.exclusion import check_excluded
from auror_client.faults import Faults, RoundClock
from auror_client.final_model import check_released, make_folders
from auror_client.held_policy import newest
from auror_client.journal import Journal
from auror_client.participation import check_took_part
from auror_client.read_once import HELD, ReadOnce
from auror_client.recording import Recording
from auror_client.slow_link import SlowTransport
from auror_client.standing import stand
from auror_client.start import load, load_members
from auror_client.trainer import make_trainers
from auror_client.trainings import TrainingPool
from auror_client.transport import GrpcTransport, Transport


async def run(config: ClientConfig) -> ClientEnding:
    """Take part in one session with every client of this process.

    Raises:
        UserError: bad settings, credentials or data; the server cannot be reached; the session
            finished and trained with none of these clients, or kept back a promised model.
    """
    members = load(config)
    enrolled = members[0][1].policy.id_bound
    open_files(len(members))
    with ExitStack() as stack:
        if len(members) > 1:
            stack.enter_context(verified_once(4 * enrolled))  # keys, views, a quorum twice
        # before all else: a second process must find out before it has read or written anything
        journals = {
            own.client: stack.enter_context(
                Journal(config.client.state, own.policy.name, own.client)
            )
            for _, own in members
        }
        finals = make_folders(config, [own for _, own in members])
        trainers = make_trainers(
            config, list(journals), enrolled, members[0][1].policy.task, members[0][1].clean
        )
        compute = stack.enter_context(ThreadPoolExecutor(config.client.threads, "compute"))
        training = TrainingPool(config.client.training_threads)
        stack.callback(training.abandon)
        faults, clock = Faults(config.faults), LoopClock()
        transport: Transport = GrpcTransport(config.client.server)
        if config.faults.bandwidth:
            transport = SlowTransport(transport, faults, clock)
        shared = ProcessShared(
            transport,
            math.inf if config.client.stand else config.client.give_up_after_s,
            compute,
            training,
            Recording(config.record),
            faults,
            RoundClock(),
            clock,
            ReadOnce(HELD if len(members) > 1 else 0),
        )
        rules = config.own_rules()

        def begin(folder: Path, read: ClientCredentials) -> ClientSession:
            own = newest(config.client.state, folder, read)
            limits = limits_of(own.policy)
            journal, trainer = journals[own.client], trainers[own.client]
            final = finals[own.client].fresh()
            final.follow(own)
            answering = Answering(own, rules, journal, trainer, final, limits, shared)
            return ClientSession(folder, answering, shared)

        begins = [functools.partial(begin, *member) for member in members]
        try:
            if config.client.stand:
                return await _standing([stand(begin, shared.clock) for begin in begins])
            return await _together([begin() for begin in begins])
        finally:
            if not config.client.quiet:
                kept = [Account.of(client, journal.memory) for client, journal in journals.items()]
                print(as_text(kept), flush=True)


def open_files(clients: int) -> None:
    """Raises ConfigError: fewer files may be open here than ``clients`` in one process need."""
    allow_many_files(3 * clients)  # a connection, a lock and an event descriptor each


def limits_of(policy: Policy) -> Limits:
    """What a server may send under ``policy``."""
    return Limits(policy.id_bound, tensor_entries(policy.task), policy.caps.max_statistics)


def accounts(config: ClientConfig) -> list[Account]:
    """What the data of the client, or of every client of ``swarm.clients``, were used for.

    Raises:
        UserError: a folder is missing or broken.
    """
    found = []
    for _, own in load_members(config):
        with Journal(config.client.state, own.policy.name, own.client) as journal:
            found.append(Account.of(own.client, journal.load()))
    return found


async def _until_stopped(
    clients: Sequence[Coroutine[Any, Any, ClientEnding]],
) -> list[ClientEnding | BaseException]:
    """What every one of ``clients`` ended with; a signal ends them all."""
    loop = asyncio.get_running_loop()
    tasks = [asyncio.create_task(client) for client in clients]
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: [task.cancel() for task in tasks])
    return await asyncio.gather(*tasks, return_exceptions=True)


def _errors(results: Sequence[ClientEnding | BaseException]) -> BaseException | None:
    return first_error([r for r in results if not isinstance(r, asyncio.CancelledError)])


async def _standing(clients: Sequence[Coroutine[Any, Any, ClientEnding]]) -> ClientEnding:
    error = _errors(await _until_stopped(clients))
    if error is not None:
        raise error
    return ClientEnding.STOPPED


async def _together(sessions: list[ClientSession]) -> ClientEnding:
    results = await _until_stopped([session.run() for session in sessions])
    await asyncio.gather(*(session.answering.close() for session in sessions))
    told = [(s.answering.account.client, s.answering.excluded) for s in sessions]
    error = _errors(results)
    if error is not None:
        raise error
    check_excluded([(client, why) for client, why in told if why is not None])
    finished = all(result is ClientEnding.FINISHED for result in results)
    if all(isinstance(result, ClientEnding) for result in results):
        check_took_part([session.answering.participation for session in sessions], finished)
    if not finished:
        return ClientEnding.STOPPED
    check_released([session.answering.final for session in sessions])
    return ClientEnding.FINISHED
