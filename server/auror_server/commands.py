"""What the operator of a running training may tell it: the answers of its control socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from auror.deployment.logs import LEVELS, level, logger, set_level
from auror.deployment.orders import Orders
from auror.errors import ConfigError
from auror.ids import ClientId
from auror.training.campaign import Campaign
from auror_server.session import Session
from auror_server.standing import OVER

_log = logger("operator")


class OperatorCommands:
    """Of one session. What outlasts it is durable before the answer (docs/adr/0032)."""

    def __init__(
        self,
        folder: Path,
        session: Session,
        campaign: Campaign,
        stop: Callable[[], None],
        told: Callable[[], None] = lambda: None,
    ) -> None:
        """``stop``: as a signal would; ``told``: of a server that stands: it is to end, too."""
        self._folder = folder
        self._session = session
        self._campaign = campaign
        self._stop, self._told = stop, told

    async def answer(self, wanted: Any) -> dict[str, Any]:
        """Of the control port.

        Raises:
            UserError: what is asked for cannot be granted, or is no request.
        """
        orders = self._session.orders
        match wanted:
            case {"do": "pause"} | {"do": "exclude", "clients": list(_)}:
                self._check_under_way()
            case {"do": "stop", "after_round": True}:
                self._check_under_way()
                self._told()
        match wanted:
            case {"do": "pause"}:
                return await self._order(replace(orders, paused=True))
            case {"do": "resume"}:
                return await self._order(replace(orders, paused=False))
            case {"do": "exclude", "clients": list(named)}:
                left_out = orders.excluded | self._members(named)
                self._check_enough(left_out)
                return await self._order(replace(orders, excluded=left_out))
            case {"do": "reinstate", "clients": list(named)}:
                found = self._members(named)
                self._check_by_hand(found)
                return await self._order(replace(orders, excluded=orders.excluded - found))
            case {"do": "stop", "after_round": bool(after_round)}:
                _log.warning("stop", after_round=after_round)
                (self._session.stop_after_round if after_round else self._stop)()
                return {"stopping": True, "after_round": after_round}
            case {"do": "log", "level": None}:
                return {"level": level()}
            case {"do": "log", "level": str(name)} if name in LEVELS:
                set_level(name)
                return {"level": name}
        raise ConfigError("no request that this version knows: use the commands of its own `auror`")

    def _check_under_way(self) -> None:
        """Raises ConfigError: no further round begins."""
        if self._campaign.complete or self._session.standing()["activity"] in OVER:
            raise ConfigError(
                "the training is over, no further round begins: nothing was changed; the server"
                " ends by itself, and one that stands with `auror stop`"
            )

    async def _order(self, orders: Orders) -> dict[str, Any]:
        """From the next round on; said in the log, however little that says."""
        try:
            await asyncio.to_thread(orders.keep, self._folder)
        except OSError as error:
            raise ConfigError(
                f"{self._folder}: cannot write there ({error.strerror}); nothing was changed"
            ) from error
        self._session.obey(orders)
        said = {"paused": orders.paused, "excluded": sorted(map(int, orders.excluded))}
        _log.warning("ordered", **said)
        return said

    def _members(self, named: Sequence[Any]) -> frozenset[ClientId]:
        """Raises ConfigError: one of them is none."""
        members = self._campaign.policy.members
        for one in named:
            if type(one) is not int or one not in members:
                raise ConfigError(
                    f"client {one} is no member of version {self._campaign.policy.version} of the"
                    " policy: `auror clients` lists them"
                )
        if not named:
            raise ConfigError("nobody is named: name clients like 3,7-9")
        return frozenset(map(ClientId, named))

    def _check_enough(self, left_out: frozenset[ClientId]) -> None:
        """Raises ConfigError: clients would take part in no round of those that are left."""
        policy = self._campaign.policy
        left = policy.members.keys() - self._session.unwanted - left_out
        floor = policy.fewest_present(False)
        if len(left) < floor:
            names = ",".join(map(str, sorted(left_out)))
            raise ConfigError(
                f"{len(left)} of {len(policy.members)} members would be left, and the floor that"
                f" every client keeps is {floor} while they are members: let whoever holds the"
                f" operator's key sign a version without them, `auror roster revoke DIR {names}`"
            )

    def _check_by_hand(self, named: frozenset[ClientId]) -> None:
        """Raises ConfigError: the training itself excluded one of them."""
        for client in sorted(named - self._session.orders.excluded):
            how = "is not excluded"
            if client in self._session.unwanted:
                how = (
                    "was excluded by the training, not by hand: only a signed version of the policy"
                    f" readmits it, `auror roster reinstate DIR {client}`"
                )
            raise ConfigError(f"client {client} {how}")
