"""Who could be invited to the next round, as far as connections and hellos tell."""

from __future__ import annotations

from auror.ids import ClientId
from auror.round.past import Past, common_past
from auror.training.campaign import Campaign
from auror_server.connections import Connection
from auror_server.reception import Reception


class Invitees:
    """Asked between rounds."""

    def __init__(self, campaign: Campaign, reception: Reception) -> None:
        self._campaign = campaign
        self._reception = reception
        self._connections = reception.connections
        self._withdrawn: dict[ClientId, Connection | None] = {}
        """Who withdrew for a reason that holds for the whole run, and over which stream."""

    def withdrew(self, client: ClientId) -> None:
        """… for such a reason."""
        self._withdrawn[client] = self._connections.get(client)

    def expected(self) -> frozenset[ClientId]:
        """Who may be invited to the next round, as far as is known by now: whom clients know as
        flagged need not come."""
        past = self.past() if not self._campaign.state.index else Past()
        return frozenset(self._campaign.invitable).difference(past.flagged)

    def past(self) -> Past:
        """What clients took part in beside this run."""
        pasts = self._reception.pasts.values()
        return common_past(pasts, self._campaign.policy.params.colluders)

    def available(self) -> frozenset[ClientId]:
        """Who is here and may be invited."""
        here = self._connections.clients() - self._campaign.uninvited
        return frozenset(client for client in here if not self._is_gone_for_good(client))

    def awaited(self, since: float) -> frozenset[ClientId]:
        """Who was lost after ``since`` and may come back; whoever was never here counts as lost
        when the session began."""
        wanted = set(self._campaign.invitable).difference(self._campaign.state.paused)
        lost = [client for client in wanted if self._connections.lost_after(client, since)]
        return frozenset(client for client in lost if not self._is_gone_for_good(client))

    def _is_gone_for_good(self, client: ClientId) -> bool:
        """Whoever opens another stream after it had withdrawn was mended."""
        return client in self._withdrawn and (
            self._connections.get(client) in (None, self._withdrawn[client])
        )
