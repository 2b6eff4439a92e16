"""Between two rounds the run goes on under the version of the policy that the operator put here."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from auror.deployment.credentials import ServerCredentials
from auror.deployment.logs import logger
from auror.errors import ConfigError
from auror.training.campaign import Campaign
from auror.wire.limits import Limits
from auror_server.policy_watch import PolicyWatch
from auror_server.reception import Reception
from auror_server.recorder import Recorder

_log = logger("session")
Compute = Callable[[Callable[[], Any]], Awaitable[Any]]


class Following:
    """What a new version changes, in the order in which it must: the training, the disk, the
    clients."""

    def __init__(
        self,
        watch: PolicyWatch | None,
        campaign: Campaign,
        recorder: Recorder,
        reception: Reception,
        dim: int,
        compute: Compute,
    ) -> None:
        """``watch``: None: versions are found nowhere. ``dim``: d, entries of the model.
        ``compute`` runs what takes long."""
        self._watch = watch
        self._campaign = campaign
        self._recorder = recorder
        self._reception = reception
        self._dim = dim
        self._compute = compute

    async def follow(self) -> None:
        """Take the version that lies ready, if one does.

        Raises:
            CredentialsError: the policy has expired.
        """
        if self._watch is None:
            return
        found = await self._compute(self._watch.newer)
        if found is not None:
            await self._adopt(self._watch, found)
        self._watch.check_dates()

    async def _adopt(self, watch: PolicyWatch, found: ServerCredentials) -> None:
        policy, before = found.policy, self._campaign.policy
        try:
            anew = await self._compute(functools.partial(self._campaign.adopt, policy))
        except ConfigError as error:
            watch.refuse(str(error))
            return
        await self._compute(functools.partial(watch.adopt, found))
        await self._compute(functools.partial(self._recorder.keep, self._campaign))
        self._reception.adopt(policy, anew, Limits(policy.id_bound, self._dim, 0))
        _log.info(
            "policy taken",
            version=policy.version,
            members=len(policy.members),
            anew=sorted(int(client) for client in anew),
            left=sorted(int(client) for client in before.members.keys() - policy.members.keys()),
        )
