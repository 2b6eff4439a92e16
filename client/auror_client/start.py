"""What a start loads, and the same as a list of checks (``--check``)."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from auror.deployment.addresses import parse_ids
from auror.deployment.checks import Checklist, check_peer, check_writable
from auror.deployment.credentials import (
    ClientCredentials,
    End,
    check_expiry,
    check_tls,
    client_folder,
    load_client,
    load_tls,
)
from auror.deployment.model_file import tensor_entries
from auror.errors import ConfigError
from auror.ids import ClientId
from auror.params import OwnRules
from auror.round.policy import Policy
from auror_client.config import ClientConfig
from auror_client.final_model import ModelFolder, make_folders
from auror_client.held_policy import newest
from auror_client.journal import check_journal
from auror_client.trainer import make_trainers

Members = list[tuple[Path, ClientCredentials]]


def load(config: ClientConfig) -> Members:
    """Credentials and policy of every client of this process, fit for a start.

    Raises:
        UserError: one line with the fix.
    """
    now = time.time()
    _check_certificates(config, now)
    members = load_members(config)
    _check_policies(config, members, now)
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


def check(config: ClientConfig) -> int:
    """Load everything that a start would load, and print how that went.

    Returns:
        The exit code: 0, or that of the first thing that is wrong.
    """
    checks, now = Checklist(), time.time()
    members = checks.run("credentials and policy", lambda: load_members(config), _named)
    checks.run(
        "certificate",
        lambda: _check_certificates(config, now),
        lambda expires: f"valid until {expires:%Y-%m-%d}",
    )
    if members is not None:
        checks.run("dates and own rules", lambda: _check_policies(config, members, now))
        clients = [own.client for _, own in members]
        policy = members[0][1].policy
        checks.run("task", lambda: _task(config, policy.task), str)
        checks.run(
            "data",
            lambda: make_trainers(config, clients, policy.id_bound, policy.task),
            lambda made: f"{sum(trainer.samples for trainer in made.values())} samples",
        )
    checks.run("device", lambda: _device(config), str)
    checks.run("state folder", lambda: _state(config, members or []), str)
    if members is not None:
        checks.run("final model", lambda: make_folders(config, [own for _, own in members]), _where)
    for setting in ("randomness", "inputs"):
        if path := getattr(config.record, setting):
            folder = Path(path) if setting == "inputs" else Path(path).parent
            checks.run("record", _writable(f"record.{setting}", folder), str)
    checks.run("server", lambda: check_peer("client.server", config.client.server), str)
    return checks.exit_code


def _folders(config: ClientConfig) -> list[tuple[ClientId | None, Path]]:
    folder, ids = config.client.credentials, parse_ids("swarm.clients", config.swarm.clients)
    if not ids:
        return [(None, folder)]
    if folder.name != "clients":
        raise ConfigError(
            f"client.credentials = {folder}: with swarm.clients, name the folder `clients`"
            " that `auror certs` made"
        )
    return [(client, client_folder(folder.parent, client)) for client in ids]


def _check_certificates(config: ClientConfig, now: float) -> datetime.datetime:
    return min(
        check_tls(folder, load_tls(folder), End.CLIENT, now) for _, folder in _folders(config)
    )


def _check_policies(config: ClientConfig, members: Members, now: float) -> None:
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


def _state(config: ClientConfig, members: Members) -> Path:
    for _, own in members:
        check_journal(config.client.state, own.policy.name, own.client)
    return check_writable("client.state", config.client.state)


def _task(config: ClientConfig, task: bytes) -> str:
    if config.data.dataset == "synthetic":
        return "none trained"
    from auror.learn.pinned import PinnedTask  # noqa: PLC0415 - load tests need no torch

    PinnedTask.from_bytes(task, config.data.task, "data.task")
    return config.data.task or "comes along"


def _device(config: ClientConfig) -> str:
    if config.data.dataset == "synthetic":
        return "none needed"
    from auror.learn.device import resolve_device  # noqa: PLC0415 - load tests need no torch

    return str(resolve_device(config.client.device))


def _named(members: Sequence[tuple[Path, ClientCredentials]]) -> str:
    first = members[0][1]
    more = "" if len(members) == 1 else f" and {len(members) - 1} more"
    return f"client {first.client}{more}, version {first.policy.version} of the policy"


def _where(finals: Mapping[ClientId, ModelFolder]) -> str:
    first = next(iter(finals.values()))
    if first.folder is not None:
        return str(first.folder)
    return "not wanted" if first.declined else "the policy keeps it at the server"


def _writable(setting: str, folder: Path) -> Callable[[], Path]:
    return lambda: check_writable(setting, folder)
