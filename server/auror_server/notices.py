"""What people are told beside the rounds: the operator by events of their own in the log, an
excluded client why it is."""

from __future__ import annotations

from dataclasses import asdict

from auror.deployment.logs import logger
from auror.errors import DropReason
from auror.ids import NO_ROUND
from auror.round.server.context import Dropped
from auror.training.state import CampaignState
from auror_server.connections import Connections, encode_message

_log = logger("session")


def say_dropped(dropped: Dropped) -> None:
    """A client left the round: by its own decision, or because of what it did."""
    client, refusal = dropped.client, dropped.refusal
    if refusal is not None:
        _log.warning("client withdrew", client=client, reason=refusal.name, final=refusal.is_final)
    else:
        reason: DropReason = dropped.reason
        _log.warning("client dropped", client=client, reason=reason.name, detail=dropped.detail)


class Notices:
    """Says every exclusion and restart once; tells the excluded over each of their streams."""

    def __init__(self, state: CampaignState, connections: Connections) -> None:
        """``state``: of the training; what is in it by now was said before."""
        self._exclusions = state.exclusions
        self._connections = connections
        self._said = set(state.exclusions)
        self._era = state.models.era

    def tell(self) -> None:
        """Send to every excluded client that is connected and was not told over this stream."""
        for client, exclusion in self._exclusions.items():
            connection = self._connections.get(client)
            if connection is not None and not connection.told_exclusion:
                connection.told_exclusion = True
                connection.send(encode_message(NO_ROUND, exclusion), exclusion)

    def say(self, index: int) -> None:
        """After round ``index``: whom it excluded."""
        self._said.intersection_update(self._exclusions)  # who was reinstated may be so again
        for client in self._exclusions.keys() - self._said:
            self._said.add(client)
            facts = asdict(self._exclusions[client])
            cause = facts.pop("cause")
            known = {name: value for name, value in facts.items() if value is not None}
            event = "client flagged" if cause.name == "FLAG" else "client proven to have lied"
            _log.warning(event, client=client, index=index, **known)

    def follows(self, era: int) -> None:
        """The run begins with ``era``, and with the exclusions of earlier runs."""
        without = sorted(int(client) for client in self._exclusions)
        _log.info("follows earlier trainings", era=era, without=without)
        self._said, self._era = set(self._exclusions), era

    def begins(self, era: int) -> None:
        """A round of ``era`` is about to begin."""
        if era > self._era:
            without = sorted(int(client) for client in self._exclusions)
            _log.warning("training restarts", era=era, without=without)
        self._era = era
