"""The server program: sockets, signals and the session's life, from configuration to exit code."""

from __future__ import annotations

import asyncio
import functools
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import grpc.aio
import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import system_entropy
from auror.deployment.addresses import check_address
from auror.deployment.credentials import ServerCredentials, TlsFiles
from auror.deployment.locks import allow_many_files
from auror.deployment.logs import logger
from auror.deployment.orders import orders_of
from auror.deployment.policy_file import POLICY_FILE, policy_json
from auror.deployment.settings import to_toml
from auror.errors import ConfigError, UnavailableError
from auror.ids import ClientId
from auror.round.past import Past
from auror.training.campaign import Campaign
from auror.training.notices import notices_of
from auror.wire.service import server_options
from auror_server.clock import LoopSessionClock
from auror_server.commands import OperatorCommands
from auror_server.config import ServerConfig
from auror_server.control_port import ControlPort
from auror_server.hosts import has_nothing_to_read, is_synthetic, make_host
from auror_server.metrics_port import MetricsPort
from auror_server.monitor import Monitor
from auror_server.own_certificate import OwnCertificate
from auror_server.policy_watch import PolicyWatch
from auror_server.probes import PROBES, Health, probe_server
from auror_server.recorder import Recorder
from auror_server.reporting import make_report
from auror_server.servicer import Servicer
from auror_server.session import Session
from auror_server.standing import SessionEnding
from auror_server.start import begin_audit, expiry_of, identity_of, load, with_rounds
from auror_server.state.opening import begin, resume
from auror_server.status_port import StatusPort
from auror_server.store import CONFIG, SAMPLES, Store, lock_folder

GOODBYE_SECONDS = 5.0
STRANGERS = 4096
"""Connections beside those of the members, most of them about to prove who they are: an idle one
costs 20 KB and is cut off after 10 s."""
_log = logger("server")


async def serve(
    config: ServerConfig,
    flagged: tuple[ClientId, ...] = (),
    told: Callable[[], None] = lambda: None,
    monitor: Monitor | None = None,
) -> SessionEnding:
    """Run one session.

    Args:
        flagged: in earlier runs of this server, under the same policy.
        told: called when a signal comes; it may come when the session is over, and say nothing to
            it any more.
        monitor: of a server that stands, which has an endpoint already.

    Raises:
        UserError: bad settings or credentials, a port in use, too few clients; too many rounds
            without a total.
    """
    credentials = load(config)
    connections = connections_for(len(credentials.policy.members))
    async with AsyncExitStack() as stack:
        # before anything in the folder is read or written: a second server must change nothing
        stack.enter_context(lock_folder(config.server.run_dir))
        if monitor is None:
            monitor = Monitor()
            metrics = MetricsPort(monitor.text).listening(config.server.metrics)
            await stack.enter_async_context(metrics)
        status = StatusPort()
        await stack.enter_async_context(status.listening(config.server.run_dir))
        pool = stack.enter_context(ThreadPoolExecutor(config.server.threads, "compute"))
        loop = asyncio.get_running_loop()
        policy = credentials.policy
        host = await loop.run_in_executor(
            pool, make_host, config.learning, policy.task, credentials.clean
        )
        identity, folder = identity_of(config, policy), config.server.run_dir
        orders = orders_of(folder)

        def keep(taken: ServerCredentials) -> None:
            run.go_on_as(identity_of(config, taken.policy))
            begin_audit(config, taken, run, campaign.state)
            store.keep_text(POLICY_FILE, policy_json(taken.policy).decode())

        watch = PolicyWatch(config.server.credentials, credentials, keep)

        def first_model(era: int) -> NDArray[np.float32]:
            return watch.credentials.first_models[era]

        resumed = await loop.run_in_executor(
            pool,
            lambda: resume(
                folder,
                identity,
                config.server.generation or None,
                first_model,
                config.session.add_rounds > 0,
            ),
        )
        if resumed is not None:
            stack.callback(resumed.run.close)
        found = None if resumed is None else resumed.state
        config = with_rounds(config, policy, found)
        campaign = Campaign(
            config.campaign(has_nothing_to_read(policy.task)),
            host,
            policy,
            system_entropy,
            found,
            first_model=first_model,
        )
        if resumed is None and flagged:
            campaign.follow(Past(flagged=flagged))
        campaign.check_failures()
        signed = policy.signs_samples or is_synthetic(policy.task)
        for line in notices_of(campaign.config, campaign.plan, len(policy.members), signed):
            _log.warning(line)
        if resumed is None:
            run = begin(folder, identity, campaign.state)
            stack.callback(run.close)
        else:
            run = resumed.run
        await loop.run_in_executor(pool, begin_audit, config, credentials, run, campaign.state)
        store = Store(folder, run)
        store.keep_text(CONFIG, to_toml(config))
        store.keep_text(POLICY_FILE, policy_json(policy).decode())
        store.keep_json(SAMPLES, host.fingerprint())
        recorder = Recorder(store, config.server.keep_totals, monitor)
        if resumed is not None:
            _log.info(
                "resuming",
                folder=str(folder),
                index=campaign.state.index,
                rounds=campaign.state.rounds,
            )
            recorder.pass_interrupted(campaign, resumed.lost)
        recorder.spool.mkdir(exist_ok=True)
        # its own threads: the round's machine waits for them in one of the pool's
        masks = stack.enter_context(ThreadPoolExecutor(config.server.threads, "masks"))
        session = Session(
            config.session, campaign, host, recorder, pool, LoopSessionClock(), masks.map, watch
        )
        session.obey(orders)
        status.standing = monitor.standing = session.standing
        stack.callback(monitor.idle)
        monitor.policy = lambda: campaign.policy
        monitor.expires("certificate", expiry_of(config, credentials))
        watch.certificate.on_taken = functools.partial(monitor.expires, "certificate")
        monitor.trains(campaign)
        healthy = await _start_health(config.server.health, stack)
        stop = _stop_on_signals(session, healthy, told)
        commands = OperatorCommands(folder, session, campaign, stop, told)
        await _take_commands(commands, folder, stack)
        secure = showing(watch.certificate)
        await _listen(config, secure, connections, session, recorder.spool, stack)
        await healthy.serving()
        ending = SessionEnding.STOPPED
        try:
            ending = await session.run()
        finally:
            await healthy.enter_graceful_shutdown()
            session.say_goodbye(ending)
            await loop.run_in_executor(pool, recorder.account, policy)
        if ending is SessionEnding.FINISHED:
            await loop.run_in_executor(pool, recorder.finish, campaign)
            if config.server.report and not is_synthetic(policy.task):
                await loop.run_in_executor(pool, make_report, store.folder)
        _log.info("session over", ending=ending.value, folder=str(store.folder))
        return ending


def _stop_on_signals(
    session: Session, healthy: Health, told: Callable[[], None]
) -> Callable[[], None]:
    """The round may take a while to drain: nobody is sent here meanwhile.

    Returns what does the same as a signal.
    """
    loop, draining = asyncio.get_running_loop(), set[asyncio.Task[None]]()

    def stop() -> None:
        _log.info("stopping")
        told()
        session.stop()
        draining.add(loop.create_task(healthy.enter_graceful_shutdown()))

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return stop


async def _take_commands(commands: OperatorCommands, folder: Path, stack: AsyncExitStack) -> None:
    try:
        await stack.enter_async_context(ControlPort(commands.answer).listening(folder))
    except ConfigError as error:  # the training itself does not depend on it
        _log.warning("no commands are taken", why=str(error))


def connections_for(members: int) -> int:
    """How many connections the port takes: two of each member, for one may replace the other, and
    ``STRANGERS`` as far as this process may open files.

    Raises:
        ConfigError: it may not open enough for the members.
    """
    wanted = 2 * members
    return min(wanted + STRANGERS, allow_many_files(wanted + PROBES + members) - PROBES - members)


def showing(own: OwnCertificate) -> grpc.ServerCredentials:
    """Of the clients' port: each handshake shows what ``own`` holds then."""

    def configuration(tls: TlsFiles) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration([(tls.key, tls.certificate)], tls.ca)

    def newer() -> grpc.ServerCertificateConfiguration | None:
        found = own.newer()
        return None if found is None else configuration(found)

    return grpc.dynamic_ssl_server_credentials(
        configuration(own.tls), newer, require_client_authentication=True
    )


async def _listen(
    config: ServerConfig,
    secure: grpc.ServerCredentials,
    connections: int,
    session: Session,
    spool: Path,
    stack: AsyncExitStack,
) -> None:
    server = grpc.aio.server(options=server_options(connections))
    server.add_generic_rpc_handlers(
        (Servicer(session.reception.members, session.reception, spool).handler(),)
    )
    _bind("server.listen", config.server.listen, lambda a: server.add_secure_port(a, secure))
    await server.start()
    stack.push_async_callback(server.stop, GOODBYE_SECONDS)
    members = session.reception.members
    _log.info("listening", address=config.server.listen, deployment=members.policy.name)


async def _start_health(address: str, stack: AsyncExitStack) -> Health:
    healthy = Health()
    if address:
        server = probe_server()
        _bind("server.health", address, server.add_insecure_port)
        await healthy.start(server)
        stack.push_async_callback(healthy.stop)
    return healthy


def _bind(setting: str, address: str, bind: object) -> None:
    check_address(setting, address)
    if not callable(bind):
        raise TypeError("bind must be callable")
    try:
        bound = bind(address)
    except RuntimeError:
        bound = 0
    if not bound:
        raise UnavailableError(
            f"{setting}: cannot listen on {address}, the port is in use or the address is not of"
            " this machine; choose another one"
        )
