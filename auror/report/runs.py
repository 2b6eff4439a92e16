"""The trainings of a server that stands, each with what became of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from auror.deployment.control_socket import asked_of, ended_of, numbered, request
from auror.errors import DataError, UnavailableError
from auror.report.status import run_status

UNDER_WAY = "under way"


@dataclass(frozen=True)
class RunLine:
    """One training."""

    run: str
    """Its number, and the name of its run folder."""
    state: str
    """finished, ended early, under way, or broken off: the next start of the server goes on."""
    rounds_done: int = 0
    """Of the present era, with a total."""
    rounds_planned: int | None = None
    era: int | None = None
    """Of all trainings under the policy."""
    metrics: dict[str, float] | None = None
    flagged: tuple[int, ...] = ()
    code: int | None = None
    """Exit code that a server of its own would have had; None: it has not ended."""
    why: str | None = None
    """It ended early."""


@dataclass(frozen=True)
class Runs:
    """All trainings of a folder, oldest first."""

    folder: str
    standing: bool
    """A server stands on it."""
    runs: tuple[RunLine, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def list_runs(folder: Path) -> Runs:
    """What is in ``folder``, whether a server stands on it or not.

    Raises:
        DataError: it cannot be read.
    """
    standing, now = _look(folder)
    try:
        found = [path for path in numbered(folder) if asked_of(path) is not None]
    except OSError as error:
        raise DataError(
            f"{folder} cannot be read ({error.strerror}): name the folder of `auror-server --runs`"
        ) from error
    return Runs(str(folder), standing, tuple(_line(run, run.name == now) for run in found))


def look_at(folder: Path, run: str) -> tuple[bool, RunLine]:
    """Whether a server stands on ``folder``, and the training ``run`` alone."""
    standing, now = _look(folder)
    return standing, _line(folder / run, run == now)


def _look(folder: Path) -> tuple[bool, str | None]:
    """Whether a server stands on ``folder``, and which training is under way there."""
    try:
        return True, request(folder, {"do": "look"}).get("under_way")
    except UnavailableError:
        return False, None


def _line(run: Path, now: bool) -> RunLine:
    ended = ended_of(run)
    if ended is not None:
        state = "finished" if ended["code"] == 0 else "ended early"
    else:
        state = UNDER_WAY if now else "broken off"
    code = None if ended is None else ended["code"]
    why = None if ended is None or ended["code"] == 0 else ended["why"]
    try:
        known = run_status(run)
    except DataError:  # no round was begun
        return RunLine(run.name, state, code=code, why=why)
    return RunLine(
        run=run.name,
        state=state,
        rounds_done=known.rounds_done,
        rounds_planned=known.rounds_planned,
        era=known.era,
        metrics=known.metrics,
        flagged=known.flagged,
        code=code,
        why=why,
    )
