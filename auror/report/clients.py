"""The clients of a server's run, one by one: what each is to the training, what it did lately."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from auror.deployment.run_reader import RunReader
from auror.errors import DataError, DropReason
from auror.report.status import RECENT, RunStatus, members_of, run_status


class ClientStanding(Enum):
    """Of a client in the training; the first that holds."""

    REVOKED = "revoked"
    FLAGGED = "flagged"
    EXCLUDED = "excluded for its conduct"
    BY_HAND = "excluded by hand"
    PAUSED = "paused for silence"
    SUSPECTED = "suspected"
    INVITED = "invited"


@dataclass(frozen=True)
class ClientLine:
    """Whoever was ever a member. Rounds are the newest ``RECENT`` of the run."""

    client: int
    standing: str
    """A ``ClientStanding``."""
    connected: bool | None
    """None: no server says."""
    waited_for: bool | None
    """The round in progress waits for it."""
    invited: int
    """To so many rounds."""
    in_total: int
    """Rounds that ended with a total in which it is."""
    dropped: dict[str, int]
    """``DropReason`` → rounds that it left so."""
    withdrawn: str | None
    """The ``Refusal`` of its last withdrawal."""
    paused_until: int | None
    """First round that may invite it again, from 1."""


@dataclass(frozen=True)
class ClientLines:
    """Everybody."""

    folder: str
    server: str
    rounds: int
    """How many the lines are of."""
    clients: tuple[ClientLine, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def client_lines(folder: Path) -> ClientLines:
    """Look at the run folder of an ``auror-server``, whether that runs or not.

    Raises:
        DataError: it is none, or nothing is written yet.
    """
    found = run_status(folder)
    kept = RunReader(folder).glance(RECENT)
    if kept is None:
        raise DataError(f"{folder}: nothing is written yet; `auror status {folder}` says why")
    rounds = kept.recent
    members = members_of(folder, kept)
    lines = tuple(_line(c, c in members, found, rounds) for c in kept.enrolled)
    return ClientLines(str(folder), found.server, len(rounds), lines)


def _line(
    client: int, member: bool, found: RunStatus, rounds: tuple[Mapping[str, Any], ...]
) -> ClientLine:
    live, conduct = found.live, found.conduct
    withdrawn = None if conduct is None else conduct.withdrawn.get(client)
    return ClientLine(
        client=client,
        standing=(_standing(client, found) if member else ClientStanding.REVOKED).value,
        connected=None if live is None else client in live["connected"],
        waited_for=None if live is None else client in live["waiting_for"],
        invited=sum(client in line["cohort"] for line in rounds),
        in_total=sum(client in line["accepted"] for line in rounds if line["aborted"] is None),
        dropped=_dropped(client, rounds),
        withdrawn=None if withdrawn is None else withdrawn["reason"],
        paused_until=None if conduct is None else conduct.paused.get(client),
    )


def _standing(client: int, found: RunStatus) -> ClientStanding:
    paused = {} if found.conduct is None else found.conduct.paused
    for standing, clients in (
        (ClientStanding.FLAGGED, found.flagged),
        (ClientStanding.EXCLUDED, found.excluded),
        (ClientStanding.BY_HAND, found.by_hand),
        (ClientStanding.PAUSED, paused),
        (ClientStanding.SUSPECTED, found.suspected),
    ):
        if client in clients:
            return standing
    return ClientStanding.INVITED


def _dropped(client: int, rounds: tuple[Mapping[str, Any], ...]) -> dict[str, int]:
    reasons = (line["dropped"].get(str(client)) for line in rounds)
    counted = Counter(why for why in reasons if why not in (None, DropReason.REFUSED.name))
    return dict(sorted(counted.items()))
