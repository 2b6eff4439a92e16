"""A later version of the policy, as it came over the wire: kept in the state folder.

Credentials may lie on a disk that this program cannot write. At a start the later of the two
versions counts; both are signed by the operator whose key lies with the credentials.
"""

from __future__ import annotations

from pathlib import Path

from auror.deployment.credentials import ClientCredentials, own_credentials, read_policy
from auror.deployment.policy_file import parse_policy
from auror.errors import AuthenticationFailed, ConfigError, CredentialsError
from auror.ids import ClientId
from auror.round.policy import Policy
from auror.round.policy_chain import check_follows
from auror.wire.fields import WireError


def policy_file(state: Path, deployment: str, client: ClientId) -> Path:
    """Of one client, in its state folder."""
    return state / deployment / f"client-{client:03d}.policy.json"


def newest(state: Path, folder: Path, own: ClientCredentials) -> ClientCredentials:
    """``own``, which was read from ``folder``, under the version that this client has held.

    Raises:
        CredentialsError: what was kept is damaged, or none of the two versions follows the other.
    """
    path = policy_file(state, own.policy.name, own.client)
    if not path.exists():
        return own
    kept = read_policy(path, own.operator)
    ahead = own.policy.version >= kept.version
    before, after = (kept, own.policy) if ahead else (own.policy, kept)
    try:
        check_follows(before, after)
    except ConfigError as error:
        raise CredentialsError(f"{path}: {error}") from error
    if ahead:
        return own
    return own_credentials(folder, own.tls, kept, own.operator, own.clean)


def handed_on(own: ClientCredentials, text: bytes) -> Policy | None:
    """The version that a server hands on as ``text``; None: it is no later one.

    Raises:
        WireError: the operator did not sign it, or it is no policy.
        ConfigError: it cannot follow the version that is held.
        CredentialsError: it is signed, and this client is no member any more.
    """
    try:
        policy = parse_policy(text)
        policy.verify(own.operator)
    except (ValueError, ConfigError, AuthenticationFailed) as error:
        raise WireError(f"a policy that is none of the operator's ({error})") from error
    if policy.deployment == own.policy.deployment and policy.version < own.policy.version:
        return None  # one that a server sends again
    check_follows(own.policy, policy)
    if policy.version == own.policy.version:
        return None
    if own.client not in policy.members:
        raise CredentialsError(
            f"client {own.client} was revoked by the operator: it is no member in version"
            f" {policy.version} of the policy; ask the operator (`auror roster reinstate`)"
        )
    return policy
