"""A server that stands: one training after the other, as they are asked for (docs/adr/0027)."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

from auror.deployment.control_socket import (
    ENDED,
    Asked,
    asked_of,
    ended_of,
    numbered,
)
from auror.deployment.credentials import load_policy
from auror.deployment.logs import logger
from auror.deployment.run_reader import RunReader
from auror.deployment.settings import validated
from auror.deployment.without_effect import refuse_idle
from auror.errors import ConfigError, UserError, exit_code_of
from auror.files import replace_file, sync
from auror.ids import ClientId
from auror.training.confirmation import Confirmation
from auror_server.app import serve
from auror_server.config import IDLE, ServerConfig
from auror_server.control_port import ControlPort
from auror_server.metrics_port import MetricsPort
from auror_server.monitor import Monitor
from auror_server.standing import SessionEnding
from auror_server.start import load
from auror_server.store import lock_folder

_log = logger("server")


async def stand(config: ServerConfig) -> SessionEnding:
    """Run trainings until a signal comes: first the one that an earlier process left unfinished.

    Returns FINISHED when the signal came between two of them.

    Raises:
        UserError: nothing could be trained: settings, credentials, the folder. What is wrong with
            a single training is kept in its run folder instead.
        OSError: the disk takes nothing more.
    """
    runs = Path(config.server.runs)
    load(config)
    with lock_folder(runs):
        monitor = Monitor()
        monitor.idle()
        trainings = Trainings(config, runs, monitor)
        metrics = MetricsPort(monitor.text).listening(config.server.metrics)
        async with metrics, ControlPort(trainings.answer).listening(runs):
            return await trainings.run()


class Trainings:
    """Those of one folder. One is under way at a time."""

    def __init__(self, config: ServerConfig, runs: Path, monitor: Monitor | None = None) -> None:
        self._config = config
        self._runs = runs
        self._monitor = monitor
        self._under_way: Path | None = None
        self._granted = asyncio.Event()
        self._stopped = asyncio.Event()

    async def answer(self, wanted: Any) -> dict[str, Any]:
        """Of the control port.

        Raises:
            UserError: what is asked for cannot be granted, or is no request.
        """
        match wanted:
            case {"do": "look"}:
                run = self._under_way
                return {"under_way": None if run is None else run.name}
            case {"do": "start", "asked": asked}:
                run = await asyncio.to_thread(self._grant, Asked.from_dict(asked))
                self._under_way = run
                self._granted.set()
                return {"run": run.name, "folder": str(run.absolute())}
            case {"do": str(other)}:
                name = "NNNN" if self._under_way is None else self._under_way.name
                raise ConfigError(
                    f"`auror {other}` is of one training: name its run folder, {self._runs}/{name}"
                )
        raise ConfigError("no request that this version knows: use its own `auror start`")

    async def run(self) -> SessionEnding:
        """Until a signal comes (see ``stand``)."""
        self._under_way = self._left()
        while True:
            run = self._under_way or await self._next()
            if run is None:
                return SessionEnding.FINISHED
            if await self._train(run) is SessionEnding.STOPPED:
                return SessionEnding.STOPPED
            self._granted.clear()
            self._under_way = None

    def _left(self) -> Path | None:
        """The training that was under way when a process ended."""
        for run in numbered(self._runs):
            if asked_of(run) is not None and ended_of(run) is None:
                return run
        return None

    async def _next(self) -> Path | None:
        """The run that somebody asks for; None once a signal came."""
        _log.info("standing, waiting for `auror start`", runs=str(self._runs))
        self._on_signals(self._stopped.set)
        asked, stopped = (
            asyncio.ensure_future(event.wait()) for event in (self._granted, self._stopped)
        )
        try:
            await asyncio.wait({asked, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
            stopped.cancel()
        return None if self._stopped.is_set() else self._under_way

    async def _train(self, run: Path) -> SessionEnding:
        asked = asked_of(run)
        if asked is None:
            raise ConfigError(f"{run} was not asked for: take it out of {self._runs}")
        _log.info("training asked for", run=run.name, **asked.to_dict())
        try:
            # a process that ended after the last round and before it had written down that it did
            if not _finished(run):
                settings = self._settings(asked, run)
                flagged = await asyncio.to_thread(self._flagged, settings)
                serving = serve(settings, flagged, self._stopped.set, self._monitor)
                training = asyncio.create_task(serving)
                self._on_signals(training.cancel)  # until the session has handlers of its own
                if await training is SessionEnding.STOPPED:
                    return SessionEnding.STOPPED
            code, why = 0, "finished"
        except asyncio.CancelledError:
            return SessionEnding.STOPPED
        except UserError as error:
            code, why = exit_code_of(error), str(error)
            _log.error("training ended", run=run.name, code=code, why=why)
        finally:
            self._on_signals(self._stopped.set)
        kept = json.dumps({"code": code, "why": why}).encode()
        await asyncio.to_thread(replace_file, run / ENDED, kept, 0o600)
        return SessionEnding.FINISHED

    def _flagged(self, settings: ServerConfig) -> tuple[ClientId, ...]:
        """Whom earlier trainings flagged and the operator has not reinstated since: a flag of a
        last round is in no client's memory."""
        members, found = load_policy(settings.server.credentials).members, set[ClientId]()
        for run in numbered(self._runs):
            kept = RunReader(run).glance(0)
            if kept is None:
                continue
            confirmation = Confirmation.from_dict(kept.state["confirmation"])
            for client in confirmation.flagged.keys() & members.keys():
                if members[client].since <= kept.policy_version:
                    found.add(client)
        return tuple(sorted(found))

    def _on_signals(self, act: Any) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, act)

    def _grant(self, asked: Asked) -> Path:
        """Its run folder, durable with what was asked for."""
        if self._under_way is not None:
            raise ConfigError(
                f"training {self._under_way.name} is under way: wait for it (`auror runs"
                f" {self._runs}`)"
            )
        if asked.resume is not None:
            return self._resumed(asked)
        known = numbered(self._runs)
        run = self._runs / f"{int(known[-1].name) + 1 if known else 1:04d}"
        load(self._settings(asked, run))  # what no training could be trained with is no run
        try:
            run.mkdir(mode=0o700)
            asked.keep(run)
            sync(self._runs)
        except OSError as error:
            raise ConfigError(
                f"server.runs = {self._runs}: cannot write there ({error.strerror})"
            ) from error
        return run

    def _resumed(self, asked: Asked) -> Path:
        run, how = self._runs / str(asked.resume), None
        if len(asked.to_dict()) > 1:
            raise ConfigError("a run goes on as it was asked for: name nothing beside resume")
        if run in numbered(self._runs):
            how = ended_of(run)
        if how is None:
            raise ConfigError(f"resume = {asked.resume}: {self._runs} has no such run that ended")
        if how["code"] == 0:
            raise ConfigError(f"resume = {asked.resume}: it is finished; start another one")
        load(self._settings(asked_of(run) or Asked(), run))
        (run / ENDED).unlink()
        sync(run)
        return run

    def _settings(self, asked: Asked, run: Path) -> ServerConfig:
        """Raises ConfigError: a value that cannot be used, or is set in vain."""
        whole = self._config.model_dump(exclude_unset=True)
        server, session = {**whole.get("server", {})}, {**whole.get("session", {})}
        server |= {"run_dir": run, "runs": ""}
        if asked.from_model is not None:
            server["from_model"] = asked.from_model
        for name in ("rounds", "after_flag", "min_clients"):
            if getattr(asked, name) is not None:
                session[name] = getattr(asked, name)
        made = validated(ServerConfig, {**whole, "server": server, "session": session})
        refuse_idle(made, IDLE)
        return made


def _finished(run: Path) -> bool:
    found = RunReader(run).glance(0)
    return found is not None and found.finished
