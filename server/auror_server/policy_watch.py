"""A later version of the policy that the operator puts beside the server's credentials.

It is looked at between rounds, and taken there only (docs/adr/0030).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from auror.deployment.credentials import (
    ServerCredentials,
    check_expiry,
    operator_key,
    read_policy,
)
from auror.deployment.expiring import SAY_EVERY_S, expiring
from auror.deployment.first_models import load_first_models
from auror.deployment.logs import logger
from auror.deployment.policy_file import POLICY_FILE
from auror.errors import UserError
from auror.files import stamp_of
from auror.round.policy import Policy
from auror.round.policy_chain import check_follows
from auror_server.own_certificate import OwnCertificate

_log = logger("server")
RETRY_S = 2.0
"""A file that was refused is read again after so long, for models may be on their way: every
stranger that connects asks."""


class PolicyWatch:
    """The folder of a server's credentials. May be asked from any thread."""

    def __init__(
        self,
        folder: Path,
        credentials: ServerCredentials,
        keep: Callable[[ServerCredentials], None] = lambda _credentials: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``credentials`` were read from ``folder``; ``keep`` makes durable what the run goes on
        under, before any client is told. ``now``: Unix seconds."""
        self._folder, self._now, self._keep = folder, now, keep
        self._operator = operator_key(folder)
        self.credentials = credentials
        """What the run is under."""
        self.certificate = OwnCertificate(folder, credentials.tls, now)
        """What the port serves with."""
        self._seen = stamp_of(folder / POLICY_FILE)
        """As it was read last."""
        self._again_at = math.inf
        """When it is read again though it is the same."""
        self._found: ServerCredentials | None = None
        self._refused = ""
        self._next_warning = -1.0
        self._lock = threading.Lock()

    def newer(self) -> ServerCredentials | None:
        """Credentials with the version that lies ready, if it is later than the run's.

        A file that cannot be taken is said once and changes nothing.
        """
        with self._lock:
            seen, now = stamp_of(self._folder / POLICY_FILE), self._now()
            if seen is not None and (seen != self._seen or now >= self._again_at):
                self._seen, self._again_at = seen, math.inf
                try:
                    self._found, self._refused = self._read(), ""
                except UserError as error:
                    self._again_at = now + RETRY_S
                    self._say_refused(str(error))
            return self._found

    def ready(self) -> Policy:
        """The newest version that lies here: what streams may see of it before it is taken."""
        return (self.newer() or self.credentials).policy

    def adopt(self, found: ServerCredentials) -> None:
        """The run goes on under ``found``. Raises MachineError: the disk takes nothing more."""
        self._keep(found)
        with self._lock:
            self.credentials, self._found = found, None

    def refuse(self, why: str) -> None:
        """The version that lies ready cannot be this run's."""
        with self._lock:
            self._found = None
            self._say_refused(why)

    def check_dates(self) -> None:
        """Warn of what expires soon, once a day.

        Raises:
            CredentialsError: the policy has expired, so every client refuses.
        """
        now = self._now()
        check_expiry(self.credentials.policy, now)
        if now >= self._next_warning:
            self._next_warning = now + SAY_EVERY_S
            self.certificate.look()
            for line in expiring(self._folder, self.certificate.tls, self.credentials.policy, now):
                _log.warning(line)

    def _say_refused(self, why: str) -> None:
        if why != self._refused:
            self._refused = why
            _log.error("policy not taken", why=why, version=self.credentials.policy.version)

    def _read(self) -> ServerCredentials | None:
        policy = read_policy(self._folder / POLICY_FILE, self._operator)
        check_follows(self.credentials.policy, policy)
        check_expiry(policy, self._now())
        models = load_first_models(self._folder, policy)
        later = policy.version > self.credentials.policy.version
        return replace(self.credentials, policy=policy, first_models=models) if later else None
