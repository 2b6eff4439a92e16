"""What ``--check`` looks at: all that a start would load, and the link to the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from auror.deployment.addresses import check_address
from auror.deployment.checks import (
    Checklist,
    check_peer,
    check_room,
    check_writable,
    in_bytes,
)
from auror.deployment.clean_samples import how_many
from auror.deployment.credentials import ClientCredentials
from auror.deployment.expiring import validity
from auror.deployment.model_file import tensor_entries
from auror.deployment.policy_file import check_ring
from auror.errors import ConfigError, CredentialsError
from auror.ids import ClientId
from auror.round.arithmetic import update_bits
from auror.round.client.state import spent
from auror.round.policy import Policy
from auror.wire import sizes
from auror_client.config import ClientConfig
from auror_client.diagnosis import diagnose, proxy_of
from auror_client.failures import budget_spent
from auror_client.final_model import ModelFolder, make_folders
from auror_client.journal import check_journal
from auror_client.probe import Probed, probe
from auror_client.start import (
    Members,
    check_certificates,
    check_policies,
    load_members,
)
from auror_client.swarm import open_files
from auror_client.trainer import make_trainers

MOST_SKEW_S = 60.0
"""Clocks further apart make certificates and policies that are valid here expired there."""
_MEMORY_BYTES = 1 << 20
"""What a client must not forget, and the versions of its policy."""


def check(config: ClientConfig, checks: Checklist) -> None:
    """Load everything that a start would load, look at the server, and say how that went."""
    now = time.time()
    members = checks.run("credentials and policy", lambda: load_members(config), _named)
    if members is None:
        checks.run("certificate", lambda: check_certificates(config, now))
    else:
        folder, own = members[0]
        checks.run(
            "certificate",
            lambda: check_certificates(config, now),
            lambda expires: validity(folder, own.tls, own.policy, expires, now),
        )
        checks.run("dates and own rules", lambda: check_policies(config, members, now))
        checks.run("ring", lambda: check_ring(own.policy), str)
        checks.run("clean samples", lambda: own.clean, how_many)
        checks.run("task", lambda: _task(config, own.policy.task), str)
        checks.run("data", lambda: _data(config, members), str)
    checks.run("device", lambda: _device(config), str)
    checks.run("state folder", lambda: _state(config, members or []), str)
    if members is not None:
        checks.run("budget", lambda: _budget(config, members), str)
        checks.run("final model", lambda: make_folders(config, [own for _, own in members]), _where)
        checks.run("disk", lambda: _disk(config, members), str)
    checks.run("open files", lambda: open_files(len(members or [1])))
    for setting in ("randomness", "inputs"):
        if path := getattr(config.record, setting):
            folder = Path(path) if setting == "inputs" else Path(path).parent
            checks.run("record", _writable(f"record.{setting}", folder), str)
    if members is None:
        checks.run("server", lambda: check_peer("client.server", config.client.server), str)
    else:
        _link(config, members, checks)


def check_skew(found: Probed) -> str:
    """Raises ConfigError: clocks are so far apart that dates mean other things to both ends."""
    apart = abs(found.skew_s)
    if not apart - found.round_trip_s / 2 <= MOST_SKEW_S:  # a server may say that it is no time
        side = "behind" if found.skew_s > 0 else "ahead of"
        raise ConfigError(
            f"this machine's clock is {apart:.0f} s {side} the server's: set both by NTP, or"
            " certificates and policies expire at other times here and there"
        )
    return f"{found.skew_s:+.2f} s from the server's, give or take {found.round_trip_s / 2:.2f} s"


def check_version(found: Probed, policy: Policy) -> str:
    """Raises CredentialsError: the server would not let a client in that holds ``policy``."""
    if policy.version > found.policy_version:
        raise CredentialsError(
            f"version {policy.version} of the policy is here, and {found.policy_version} at the"
            " server: copy the newest server/policy.json to it"
        )
    more = "" if policy.version == found.policy_version else ", which it will hand on"
    return f"{policy.version} here, {found.policy_version} at the server{more}"


def check_patience(found: Probed, policy: Policy, clients: int = 1) -> str:
    """``clients``: of this process, that upload at the same time.

    Raises:
        ConfigError: an upload takes longer than others wait for it, training included.
    """
    params = policy.params
    bits = update_bits(params, len(policy.members))
    body = clients * sizes.upload(tensor_entries(policy.task), bits)
    takes, waits = body / found.uplink, params.training_patience
    link = f"{in_bytes(body)} at {in_bytes(found.uplink)}/s take {max(takes, 0.1):.1f} s"
    if takes > waits:
        raise ConfigError(
            f"an upload of {link}, and others wait {waits} s for it, training included: use a"
            " faster link, or let the operator run `auror policy next DIR --training-patience"
            f" {int(2 * takes) + 1}`"
        )
    return f"{link} of the {waits} s that others wait, training included"


def _link(config: ClientConfig, members: Members, checks: Checklist) -> None:
    folder, own = members[0]
    address, policy = config.client.server, own.policy

    def look() -> Probed | None:
        return asyncio.run(_look(address, folder, own))

    def how(found: Probed | None) -> str:
        host, _port = check_address("client.server", address)
        named = proxy_of(host)
        path = "without a proxy" if named is None else f"through the proxy that {named} names"
        if found is None:
            return f"{address} {path}: nobody listens now, a start waits for it"
        return f"{address} {path} answers in {1000 * found.round_trip_s:.0f} ms"

    found = checks.run("server", look, how)
    if found is not None:
        checks.run("clock", lambda: check_skew(found), str)
        checks.run("policy version", lambda: check_version(found, policy), str)
        checks.run("uplink", lambda: check_patience(found, policy, len(members)), str)


async def _look(address: str, folder: Path, own: ClientCredentials) -> Probed | None:
    """Raises UserError: what keeps connections from being made."""
    wrong = await diagnose(address, folder)
    if wrong is not None:
        raise wrong
    return await probe(address, own)


def _task(config: ClientConfig, task: bytes) -> str:
    if config.data.dataset == "synthetic":
        return "none trained"
    from auror.learn.pinned import PinnedTask  # noqa: PLC0415 - load tests need no torch

    PinnedTask.from_bytes(task, config.data.task, "data.task")
    return config.data.task or "comes along"


def _data(config: ClientConfig, members: Members) -> str:
    first = members[0][1]
    policy, clients = first.policy, [own.client for _, own in members]
    made = make_trainers(config, clients, policy.id_bound, policy.task, first.clean)
    return f"{sum(trainer.samples for trainer in made.values())} samples"


def _device(config: ClientConfig) -> str:
    if config.data.dataset == "synthetic":
        return "none needed"
    from auror.learn.device import resolve_device  # noqa: PLC0415 - load tests need no torch

    return str(resolve_device(config.client.device))


def _state(config: ClientConfig, members: Members) -> Path:
    for _, own in members:
        check_journal(config.client.state, own.policy.name, own.client)
    return check_writable("client.state", config.client.state)


def _budget(config: ClientConfig, members: Members) -> str:
    """Of the client that has the least left. Raises BudgetSpent."""
    rules, lines = config.own_rules(), list[tuple[int, str]]()
    for _, own in members:
        budget = own.policy.budget
        memory = check_journal(config.client.state, own.policy.name, own.client)
        if (detail := spent(budget, rules, memory)) is not None:
            raise budget_spent(own.client, detail)
        most = min(budget.max_openings, rules.max_openings or budget.max_openings)
        used = f"{memory.all_attempts} of {most} attempts"
        totals = f"{memory.totals} of {budget.max_totals} totals used"
        lines.append((most - memory.all_attempts, f"{used}, {totals}"))
    return min(lines)[1]


def _disk(config: ClientConfig, members: Members) -> str:
    """A model that is replaced by the next, and what must not be forgotten."""
    one = 2 * 4 * tensor_entries(members[0][1].policy.task) + _MEMORY_BYTES
    return check_room("client.state", config.client.state, len(members) * one)


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
