"""While a load test runs: what it says about itself, and what its programs cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auror.deployment.run_reader import RunReader
from auror.deployment.status_socket import ask
from auror.errors import MembersMissing, UntrainedError
from auror.programs.load_swarm import Host, Swarm
from auror.programs.processes import RunningProgram
from auror.report.status import RunStatus, run_status

Say = Callable[[str], None]
_POLL_SECONDS = 0.25
_LOOK_SECONDS = 2.0
_FAREWELL_SECONDS = 10.0


@dataclass(frozen=True)
class Moment:
    """One look at the programs, at most two seconds after the one before."""

    seconds: float
    """Since the first look."""
    playing: bool
    """A round is under way."""
    phase: str | None
    connected: int
    server_cpu: float
    """CPU seconds since the start of the program, as are the next ones."""
    swarm_cpu: tuple[float, ...]
    """Of every process of clients."""
    machine_cpu: float
    """Of everything on the machines of the test, whoever started it, since they run."""
    server_rss: int
    """Bytes."""
    swarm_rss: int
    """Bytes, of all processes of clients together."""


@dataclass(frozen=True)
class Watched:
    """What was seen of a test from its start to its end."""

    moments: Sequence[Moment]
    gave_up: str = ""
    """Why the server ended before all rounds had a total; "" where it did not."""


class ProgramWatch:
    """Of one test's programs: a server, where this machine runs it, and a swarm."""

    def __init__(self, server: RunningProgram | None, swarm: Swarm) -> None:
        self.moments: list[Moment] = []
        self._server, self._swarm = server, swarm
        self._began = time.monotonic()

    def look(self, live: dict[str, Any] | None) -> bool:
        """Whether a round is under way. ``live``: what the server says, if it does."""
        said = live or {}
        hosts = self._swarm.hosts
        for one in (*hosts, *([self._server] if self._server else [])):
            one.look()
        self.moments.append(
            Moment(
                round(time.monotonic() - self._began, 3),
                said.get("counter") is not None,
                said.get("phase"),
                len(said.get("connected", ())),
                0.0 if self._server is None else self._server.cpu,
                tuple(one.cpu for one in hosts),
                round(sum(use.cpu for use in self._swarm.machines().values()), 2),
                0 if self._server is None else self._server.rss,
                sum(one.rss for one in hosts),
            )
        )
        return self.moments[-1].playing


def watch(
    rounds: int,
    clients: int,
    run: Path,
    server: RunningProgram,
    swarm: Swarm,
    fewest: int,
    say: Say,
) -> Watched:
    """Until the server has ended well, or has given up after some rounds, and the clients after it.

    Args:
        fewest: members that a round needs.

    Raises:
        UnavailableError: one of them ended with an error.
    """
    watching, reader = ProgramWatch(server, swarm), RunReader(run)
    looked, shown, begun = 0.0, 0, False
    while server.running():
        swarm.check()
        found = reader.rounds()
        for line in found[shown:]:
            say(_fate(rounds, found[: line["index"] + 1]))
        late = time.monotonic() - looked >= _LOOK_SECONDS or len(found) > shown
        if late or not begun:  # what clients cost before the first round is known to a poll
            live = ask(run)[1]
            begun = watching.look(live) or begun
        if late:
            looked, shown = time.monotonic(), len(found)
            say(_doing(rounds, clients, _done(found), live))
        time.sleep(_POLL_SECONDS)
    watching.look(None)
    found = reader.rounds()
    for line in found[shown:]:
        say(_fate(rounds, found[: line["index"] + 1]))
    code, gave_up = server.process.returncode, ""
    if code == UntrainedError.exit_code and found:
        say(server.last_line())
        gave_up = "too many rounds ended without a total"
    elif code == MembersMissing.exit_code and found:
        gave_up = _too_few(clients, run_status(run), fewest)
    if gave_up:
        say(f"the server gave up: {gave_up}")  # after rounds that are worth a report
    else:
        server.check()
    end(swarm.hosts)
    return Watched(watching.moments, gave_up)


def _too_few(clients: int, status: RunStatus, fewest: int) -> str:
    """Why no further round can be played; "" where that is not for want of members."""
    left = clients - len({*status.excluded, *status.flagged})
    if left >= fewest:
        return ""
    flagged = len(set(status.flagged) - set(status.excluded))
    return (
        f"{left} of {clients} clients are left, and a round needs {fewest}:"
        f" {len(status.excluded)} were excluded for their conduct"
        + (f", {flagged} flagged" if flagged else "")
    )


def end(clients: Sequence[Host]) -> None:
    """The server is gone, so the test is over: who had vanished on purpose and found nobody to
    come back to is no failure."""
    until = time.monotonic() + _FAREWELL_SECONDS
    while any(one.running() for one in clients) and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
    late = [one for one in clients if one.running()]
    for one in late:
        one.stop()
    for one in clients:
        if one not in late:
            one.check()


def _done(rounds: Sequence[dict[str, Any]]) -> int:
    return sum(line["aborted"] is None for line in rounds)


def _fate(planned: int, rounds: Sequence[dict[str, Any]]) -> str:
    """Of the last of ``rounds``."""
    last = rounds[-1]
    if last["aborted"]:
        return f"a round was aborted after {last['seconds']:.1f} s: {last['aborted']}"
    done, accepted = _done(rounds), len(last["accepted"])
    return f"round {done} of {planned} done: {accepted} accepted, {last['seconds']:.1f} s"


def _doing(planned: int, clients: int, done: int, live: dict[str, Any] | None) -> str:
    """What the server says that it is doing."""
    if live is None:
        return "the server ends" if done else "the server starts"
    doing, here = live["activity"], len(live["connected"])
    if live["phase"] is None:
        return f"{doing}, {here} of {clients} connected"
    return (
        f"round {done + 1} of {planned}: {live['phase']} for {live['phase_s']:.0f} s,"
        f" waiting for {len(live['waiting_for'])}, {here} connected"
    )
