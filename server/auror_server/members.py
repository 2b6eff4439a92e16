"""Who may connect: the members of the policy that the next rounds are under."""

from __future__ import annotations

from collections.abc import Callable

from auror.errors import ProtocolError
from auror.ids import ClientId, Digest
from auror.round.policy import Policy


class NotEnrolled(ProtocolError):
    """The TLS certificate is no member's."""


class Revoked(ProtocolError):
    """The TLS certificate is a former member's."""


class NotYet(ProtocolError):
    """A version of the policy that this server takes between two rounds, or has not been given."""


class Members:
    """As the streams see them. Only the event loop's thread touches it."""

    def __init__(self, policy: Policy, ready: Callable[[], Policy | None] = lambda: None) -> None:
        """``ready``: the newest version, which will be taken between two rounds if it is later."""
        self._ready = ready
        self.adopt(policy)

    def adopt(self, policy: Policy) -> None:
        """From now on these."""
        self.policy = policy
        self._clients = {entry.tls_key: client for client, entry in policy.members.items()}
        self._former = {entry.tls_key for entry in policy.former.values()}

    def client_of(self, tls_key: Digest) -> ClientId:
        """The member that holds ``tls_key``.

        Raises:
            Revoked: who held it is no member any more.
            NotYet: it is a member of the version that is ready.
            NotEnrolled: nobody's.
        """
        client = self._clients.get(tls_key)
        if client is not None:
            return client
        ready = self._ready()
        if ready is not None and any(e.tls_key == tls_key for e in ready.members.values()):
            # also while that version is being taken, until the streams go by it
            raise NotYet("a member of the next version of the policy")
        if tls_key in self._former:
            raise Revoked("certificate of a former member")
        raise NotEnrolled("certificate of no member")

    def check_version(self, version: int) -> None:
        """Raises NotYet: a client that holds ``version`` of the policy would refuse every round."""
        if version > self.policy.version:
            raise NotYet(f"it holds version {version} of the policy, here {self.policy.version}")
