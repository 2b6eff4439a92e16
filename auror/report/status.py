"""Where a server's run stands: what its database holds, and what the server says when it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from auror.deployment.orders import Orders, orders_of
from auror.deployment.policy_file import POLICY_FILE, parse_policy
from auror.deployment.run_reader import Glance, RunReader
from auror.deployment.status_socket import Presence, ask
from auror.errors import ConfigError, DataError, DropReason
from auror.training.state import CampaignState

RECENT = 20
"""Rounds whose withdrawals and drops are shown: what an operator can still mend."""
_NO_MODEL = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True)
class NewestRound:
    """The newest closed round."""

    round: int
    """From 1, over the whole run."""
    accepted: int
    """Clients in its total; 0 without one."""
    aborted: str | None
    """An ``AbortReason``."""
    seconds: float


@dataclass(frozen=True)
class ClientConduct:
    """What clients did. Clients are their numbers, rounds count from 1."""

    paused: dict[int, int]
    """Client → first round that may invite it again."""
    withdrawn: dict[int, dict[str, Any]]
    """Client → reason (a ``Refusal``) and round of its last withdrawal in ``RECENT`` rounds."""
    dropped: dict[str, dict[int, int]]
    """``DropReason`` → client → how often in ``RECENT`` rounds; withdrawals are not in it."""
    refused: dict[str, int]
    """What the server refused since it was started, by reason."""


@dataclass(frozen=True)
class RunStatus:
    """One look at a run."""

    folder: str
    server: str
    """A :class:`auror.deployment.status_socket.Presence`."""
    live: dict[str, Any] | None
    """What the server does right now (``auror_server.standing``); None when it does not say."""
    written: str | None
    """When the database was last written, ISO 8601 in UTC; what follows is of then. None: there is
    none yet."""
    deployment: str | None = None
    policy_version: int | None = None
    members: int | None = None
    finished: bool = False
    era: int = 0
    """Of all trainings under the policy, earlier runs' included."""
    restarted: bool = False
    """Whether the run trains anew after a flag."""
    rounds_done: int = 0
    """Of this training, those that ended with a total."""
    rounds_planned: int | None = None
    rounds_failed: int = 0
    """Of this training, those that ended without one."""
    broken_off: tuple[int, ...] = ()
    """Counters of rounds that ended with the server; the next start closes them."""
    last: NewestRound | None = None
    metrics: dict[str, float] | None = None
    """As last measured on the server's own test samples."""
    metrics_round: int | None = None
    flagged: tuple[int, ...] = ()
    suspected: tuple[int, ...] = ()
    """Accused by the latest verdict, and not flagged."""
    excluded: tuple[int, ...] = ()
    """Not invited any more for their conduct."""
    by_hand: tuple[int, ...] = ()
    """Excluded by the operator (`auror exclude`)."""
    paused: bool = False
    """No round begins (`auror pause`)."""
    conduct: ClientConduct | None = None
    audit_head: str | None = None
    """To be kept: see ``auror audit verify --head``."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def run_status(folder: Path) -> RunStatus:
    """Look at the run folder of an ``auror-server``, whether that runs or not.

    Raises:
        DataError: it is none, cannot be read, or is of another version.
    """
    try:
        server, live = ask(folder)
        found = RunReader(folder).glance(RECENT)
    except PermissionError as error:
        raise DataError(
            f"{folder} is another user's: ask as the user that runs auror-server"
        ) from error
    if found is not None:
        try:
            return _status(folder, server, live, found, orders_of(folder))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{folder} was written by another version: {error!r}") from error
    if server is Presence.ABSENT:
        raise DataError(f"{folder} holds no run of auror-server: name its server.run_dir")
    return RunStatus(str(folder), server.value, live, None)


def _status(
    folder: Path,
    server: Presence,
    live: Mapping[str, Any] | None,
    found: Glance,
    orders: Orders,
) -> RunStatus:
    state = CampaignState.from_dict(found.state, {"model": _NO_MODEL}, ())
    flagged = state.confirmation.flagged.keys()
    accused = {int(client) for client in (found.verdict or {}).get("flagged", ())}
    measured = next((line for line in reversed(found.recent) if line["metrics"]), None)
    return RunStatus(
        folder=str(folder),
        server=server.value,
        live=None if live is None else dict(live),
        written=datetime.fromtimestamp(found.written, UTC).isoformat(timespec="seconds"),
        deployment=found.deployment,
        policy_version=found.policy_version,
        members=len(members_of(folder, found)),
        finished=found.finished,
        era=state.models.era,
        restarted=state.models.era > state.first_era,
        rounds_done=state.models.era_round,
        rounds_planned=state.rounds,
        rounds_failed=state.models.failed,
        broken_off=found.open_rounds if server is Presence.ABSENT else (),
        last=_last(found.recent[-1]) if found.recent else None,
        metrics=None if measured is None else measured["metrics"],
        metrics_round=None if measured is None else measured["index"] + 1,
        flagged=_sorted(flagged),
        suspected=_sorted(accused - flagged),
        excluded=_sorted(state.conduct.uninvited),
        by_hand=_sorted(orders.excluded),
        paused=orders.paused,
        conduct=_conduct(state, found, live),
        audit_head=found.audit_head,
    )


def members_of(folder: Path, found: Glance) -> tuple[int, ...]:
    """Who is a member now, sorted; where the folder lacks its policy, whoever ever was."""
    try:
        policy = parse_policy((folder / POLICY_FILE).read_bytes())
    except (OSError, ValueError, ConfigError):
        return found.enrolled
    return _sorted(policy.members)


def _last(line: Mapping[str, Any]) -> NewestRound:
    return NewestRound(line["index"] + 1, len(line["accepted"]), line["aborted"], line["seconds"])


def _conduct(state: CampaignState, found: Glance, live: Mapping[str, Any] | None) -> ClientConduct:
    withdrawn: dict[int, dict[str, Any]] = {}
    dropped: dict[str, Counter[int]] = {}
    for line in found.recent:
        for client, reason in line["withdrawn"].items():
            withdrawn[int(client)] = {"reason": reason, "round": line["index"] + 1}
        for client, reason in line["dropped"].items():
            if reason != DropReason.REFUSED.name:
                dropped.setdefault(reason, Counter())[int(client)] += 1
    until = state.conduct.attendance.until
    return ClientConduct(
        paused={int(client): until[client] + 1 for client in state.paused},
        withdrawn=dict(sorted(withdrawn.items())),
        dropped={reason: dict(sorted(each.items())) for reason, each in sorted(dropped.items())},
        refused=dict(found.refused if live is None else live["refused"]),
    )


def _sorted(clients: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(map(int, clients)))
