"""Who is a member, where the operator decides it: approve, revoke, reinstate, renew.

Each writes the next version of the policy, and for every client that it concerns a bundle, which
holds no secret. What the operator keeps of a site lies in ``clients/NNN``: its request, its
certificate, its bundle; of those who enrolled by themselves no key.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from auror.deployment.addresses import MAX_CLIENTS, PORT, check_address
from auror.deployment.bundle import BUNDLE_FILE, Bundle
from auror.deployment.canonical import write_whole
from auror.deployment.certs import ca_name
from auror.deployment.clean_samples import read_clean
from auror.deployment.credential_files import REQUEST_FILE
from auror.deployment.credentials import CERTIFICATE_FILE, client_folder, key_digest
from auror.deployment.issuing import (
    Issued,
    check_days,
    client_certificate,
    expiry,
    pem_of,
)
from auror.deployment.join_request import JoinRequest, read_request
from auror.deployment.operator import Operator
from auror.deployment.server_key import (
    check_not_the_servers,
    key_of,
    read_certificate,
    renew_server,
)
from auror.errors import ConfigError, CredentialsError
from auror.ids import ClientId
from auror.round.policy import Policy
from auror.round.roster import Keys, Roster, RosterEntry


@dataclass(frozen=True)
class Concerned:
    """A client, and the bundle that it has to get."""

    client: ClientId
    name: str
    """As it asked to be called; "" for whom `auror certs` enrolled."""
    request: str
    """Fingerprint of its request; "" without one."""
    bundle: str
    """File for this client."""


@dataclass(frozen=True)
class Row:
    """A line of the roster."""

    client: ClientId
    name: str
    state: str
    """member, or left."""
    since: int
    """Version with which it joined or was last reinstated."""
    certificate_until: str | None
    """Date (UTC); None: this folder has no certificate of it."""
    identity: str
    """SHA-256 of its identity key (hex)."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def approve(
    folder: Path, paths: Sequence[Path], days: int, server: str | None = None
) -> tuple[Policy, list[Concerned]]:
    """Make members of those who sent the requests in ``paths``, in this order.

    Args:
        days: until their certificates expire.
        server: host:port for their bundles; by default the first host of `auror certs`.

    Raises:
        ConfigError: a site asks twice or is known, or the policy cannot have so many.
        CredentialsError: a request that was changed, or the operator's files do not fit.
    """
    check_days("days", days)
    operator = Operator(folder)
    requests = [read_request(path) for path in paths]
    with operator.alone():
        ca = operator.ca()
        asked = zip(paths, requests, strict=True)
        check_not_the_servers(operator, ca, {path: one.keys.tls_key for path, one in asked})
        address = _address(operator, server)
        draft = operator.draft
        after = _with(operator, draft, [request.keys for request in requests])
        joined = sorted(after.members)[-len(requests) :] if requests else []
        for client, request in zip(joined, requests, strict=True):
            home = client_folder(folder, client)
            issued = client_certificate(ca, ca_name(after), client, request.tls_key, days)
            write_whole(home / REQUEST_FILE, request.raw)
            write_whole(home / CERTIFICATE_FILE, pem_of(issued))
        operator.publish(after)
        return after, [_bundle(operator, ca, after, client, address) for client in joined]


def _with(operator: Operator, draft: Policy | None, newcomers: Sequence[Keys]) -> Policy:
    if draft is None:
        after = operator.policy.successor(operator.key, newcomers=newcomers)
    else:
        members, n = Roster({}, {}).joined(newcomers, 1).members, len(newcomers)
        budget = draft.budget
        if n > len(draft.members):
            budget = budget.deciding(draft.params.rounds_of_doubt(n))
        try:
            after = replace(draft, members=members, budget=budget).signed(operator.key)
        except ConfigError as error:
            raise ConfigError(
                f"{n} requests for the first version, {len(draft.members)} were expected ({error}):"
                " approve those of all first members at once"
            ) from error
    if after.roster.next_number > MAX_CLIENTS:
        raise ConfigError(
            f"a deployment numbers {MAX_CLIENTS:,} clients, those who left too: make a new one with"
            " `auror certs`"
        )
    return after


def revoke(folder: Path, clients: Collection[ClientId]) -> Policy:
    """Sign the next version without ``clients``.

    Raises:
        ConfigError: one of them is no member, or too few would be left.
        CredentialsError: the operator's files are missing or do not fit.
    """
    operator = Operator(folder)
    with operator.alone():
        before = operator.policy
        _check_enough(before, clients)
        after = before.successor(operator.key, clients)
        operator.publish(after)
    return after


def _check_enough(policy: Policy, leaving: Collection[ClientId]) -> None:
    """Raises ConfigError when too few members would be left; who is none is not counted."""
    there, left = len(policy.members), len(policy.members.keys() - set(leaving))
    needed = next((n for n in range(2, there + 1) if _can_play(policy, n)), there)
    if left < needed:
        raise ConfigError(
            f"{left} of {there} members would be left, and the policy needs {needed}: revoke fewer,"
            " or approve others first"
        )


def _can_play(policy: Policy, members: int) -> bool:
    """Whether ``policy`` could have so many."""
    try:
        kept = dict(sorted(policy.members.items())[:members])
        replace(policy, members=kept).check()
    except ConfigError:
        return False
    return True


def reinstate(
    folder: Path, clients: Collection[ClientId], server: str | None = None
) -> tuple[Policy, list[Concerned]]:
    """Sign the next version, in which ``clients`` are members who count anew.

    Raises:
        ConfigError: one of them was never enrolled.
        CredentialsError: the operator's files are missing or do not fit.
    """
    operator = Operator(folder)
    with operator.alone():
        after = operator.policy.successor(operator.key, reinstated=clients)
        ca = operator.ca()
        address = _address(operator, server)
        operator.publish(after)
        concerned = [_bundle(operator, ca, after, c, address) for c in sorted(clients)]
    return after, concerned


def renew(
    folder: Path,
    clients: Collection[ClientId],
    days: int,
    *,
    server_too: bool = False,
    server: str | None = None,
) -> tuple[Policy, list[Concerned]]:
    """Issue new certificates for the keys that ``clients`` have, and for the server's; sign the
    next version, which lasts as long, or longer where it did.

    Raises:
        ConfigError: one of them is no member.
        CredentialsError: the operator's files are missing or do not fit.
    """
    check_days("days", days)
    operator = Operator(folder)
    with operator.alone():
        before = operator.policy
        before.roster.without(clients)  # members, all of them
        after = before.successor(operator.key, expires=max(before.expires, expiry(days)))
        ca = operator.ca()
        address = _address(operator, server)
        if server_too:
            renew_server(operator, ca, days)
        for client in sorted(clients):
            path = client_folder(folder, client) / CERTIFICATE_FILE
            key = key_of(read_certificate(path), path)
            if key_digest(key) != before.members[client].tls_key:
                raise CredentialsError(
                    f"{path} is for another key than that of client {client} in the policy: put"
                    " back the certificate that `auror approve` or `auror certs` made"
                )
            write_whole(path, pem_of(client_certificate(ca, ca_name(after), client, key, days)))
        operator.publish(after)
        return after, [_bundle(operator, ca, after, c, address) for c in sorted(clients)]


def rows(folder: Path) -> tuple[Policy, list[Row]]:
    """Everybody who was ever enrolled, by number.

    Raises:
        CredentialsError: the operator's files are missing or do not fit.
    """
    policy, found = Operator(folder).policy, []
    for client, entry in sorted(policy.roster.everybody.items()):
        path = client_folder(folder, client) / CERTIFICATE_FILE
        until = read_certificate(path).not_valid_after_utc if path.exists() else None
        request = _request(folder, entry)
        row = Row(
            client=client,
            name="" if request is None else request.name,
            state="member" if client in policy.members else "left",
            since=entry.since,
            certificate_until=None if until is None else f"{until:%Y-%m-%d}",
            identity=hashlib.sha256(entry.verify_key).hexdigest(),
        )
        found.append(row)
    return policy, found


def expires_on(policy: Policy) -> str:
    """Date (UTC)."""
    return f"{datetime.datetime.fromtimestamp(policy.expires, datetime.UTC):%Y-%m-%d}"


def _bundle(
    operator: Operator, ca: Issued, policy: Policy, client: ClientId, server: str
) -> Concerned:
    home = client_folder(operator.folder, client)
    request = _request(operator.folder, policy.members[client])
    certificate = pem_of(read_certificate(home / CERTIFICATE_FILE))
    key = operator.key
    clean = read_clean(operator.home, policy)
    made = Bundle(client, certificate, ca.certificate_pem, policy, key.verify_key, server, clean)
    write_whole(home / BUNDLE_FILE, made.to_json(key))
    name, asked = ("", "") if request is None else (request.name, request.fingerprint)
    return Concerned(client, name, asked, str(home / BUNDLE_FILE))


def _request(folder: Path, entry: RosterEntry) -> JoinRequest | None:
    path = client_folder(folder, entry.client) / REQUEST_FILE
    if not path.exists():
        return None
    request = read_request(path)
    if request.keys != Keys(entry.verify_key, entry.tls_key):
        raise CredentialsError(
            f"{path} is another site's than client {entry.client}: put back the request that was"
            " approved, or remove the file"
        )
    return request


def _address(operator: Operator, server: str | None) -> str:
    if server is not None:
        check_address("server", server)
        return server
    host = operator.hosts()[0]
    return f"[{host}]:{PORT}" if ":" in host else f"{host}:{PORT}"
