"""What a start loads."""

from __future__ import annotations

import datetime
import time
from pathlib import Path

from auror.deployment.addresses import parse_ids
from auror.deployment.credentials import (
    ClientCredentials,
    End,
    check_expiry,
    check_tls,
    load_client,
    load_tls,
)
from auror.deployment.model_file import tensor_entries
from auror.errors import ConfigError
from auror.ids import ClientId
from auror.params import OwnRules
from auror.round.policy import Policy
from auror_client.config import ClientConfig
from auror_client.held_policy import newest

Members = list[tuple[Path, ClientCredentials]]


def load(config: ClientConfig) -> Members:
    """Credentials and policy of every client of this process, fit for a start.

    Raises:
        UserError: one line with the fix.
    """
    now = time.time()
    check_certificates(config, now)
    members = load_members(config)
    check_policies(config, members, now)
    return members


def load_members(config: ClientConfig) -> Members:
    """Credentials of the client, or of every client of ``swarm.clients``.

    Raises:
        UserError: a folder is missing or broken, or is not the client it is named after.
    """
    found = []
    for client, folder in _folders(config):
        credentials = newest(config.client.state, folder, load_client(folder))
        if client is not None and credentials.client != client:
            raise ConfigError(f"{folder} holds the credentials of client {credentials.client}")
        found.append((folder, credentials))
    return found


def _folders(config: ClientConfig) -> list[tuple[ClientId | None, Path]]:
    folder, ids = config.client.credentials, parse_ids("swarm.clients", config.swarm.clients)
    if not ids:
        return [(None, folder)]
    return [(client, folder / f"{client:03d}") for client in ids]


def check_certificates(config: ClientConfig, now: float) -> datetime.datetime:
    """When the first of all certificates expires. Raises CredentialsError: one does not serve."""
    return min(
        check_tls(folder, load_tls(folder), End.CLIENT, now) for _, folder in _folders(config)
    )


def check_policies(config: ClientConfig, members: Members, now: float) -> None:
    """Raises UserError: a policy has expired, or does not go with the client's own rules."""
    rules = config.own_rules()
    for _, own in members:
        check_expiry(own.policy, now)
        own.policy.check_rules(rules)
        check_reachable(own.policy, rules)
        _check_size(config, own.policy)


def check_reachable(policy: Policy, rules: OwnRules) -> None:
    """Raises ConfigError for a rule that no round under ``policy`` can keep."""
    members = len(policy.members)
    for name, highest, what in (
        ("min_group", policy.params.group_size, "clients in a group"),
        ("min_present", members, "members"),
        ("min_accepted", members, "members"),
    ):
        own = getattr(rules, name)
        if own is not None and own > highest:
            raise ConfigError(
                f"rules.{name} = {own}: the operator's policy has {highest} {what}, so this client"
                f" would take part in nothing; choose {highest} or less, or ask the operator"
            )


def _check_size(config: ClientConfig, policy: Policy) -> None:
    """What the policy trains is known before anything is received."""
    entries, most = tensor_entries(policy.task), config.client.max_dim
    if entries > most:
        raise ConfigError(
            f"client.max_dim = {most}: the policy's task trains a model of {entries} entries; raise"
            " it, if this client may train a model of that size"
        )
