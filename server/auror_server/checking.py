"""What ``--check`` looks at: all that a start would load, ports, disk and open files."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auror.deployment.checks import Checklist, check_free, check_room
from auror.deployment.clean_samples import how_many, load_clean
from auror.deployment.credentials import (
    End,
    check_tls,
    load_policy,
    load_tls,
)
from auror.deployment.expiring import validity
from auror.deployment.first_models import load_first_models
from auror.deployment.model_file import tensor_entries
from auror.deployment.policy_file import check_ring
from auror.round.arithmetic import update_bits
from auror.round.policy import Policy
from auror.secagg.topology import Topology
from auror.training.host import ModelHost
from auror.training.observations import check_plan, usable
from auror.training.state import CampaignState
from auror.wire import sizes
from auror_server.app import connections_for
from auror_server.config import ServerConfig
from auror_server.hosts import device_of, has_nothing_to_read, is_synthetic, make_host
from auror_server.parts import WAITING_BYTES
from auror_server.start import check_first_model, check_policy, identity_of, with_rounds
from auror_server.state.opening import look
from auror_server.store import check_folder

_ROUND_BYTES = 100_000
"""Of a round of 30 clients in both databases, and their logs."""
_MODELS = 5
"""At once: two blobs, the third before the first goes, the file for people, and its successor."""


def check(config: ServerConfig, checks: Checklist) -> None:
    """Load everything that a start would load, and say how that went."""
    folder, now = config.server.credentials, time.time()
    tls = checks.run("credentials", lambda: load_tls(folder), lambda _found: str(folder))
    policy = checks.run("signature of the policy", lambda: load_policy(folder))
    if tls is not None:
        checks.run(
            "certificate",
            lambda: check_tls(folder, tls, End.SERVER, now),
            lambda expires: (
                f"valid until {expires:%Y-%m-%d}"
                if policy is None
                else validity(folder, tls, policy, expires, now)
            ),
        )
    if policy is not None:
        checks.run(
            "policy",
            lambda: check_policy(config, policy, now),
            lambda topology: _thresholds(policy, topology),
        )
        checks.run("ring", lambda: check_ring(policy), str)
        models = checks.run("first models", lambda: load_first_models(folder, policy))
        if config.server.from_model:
            checks.run("from_model", lambda: check_first_model(config.server.from_model, policy))
        if not is_synthetic(policy.task):
            checks.run("device", lambda: device_of(config.learning), str)
        clean = checks.run("clean samples", lambda: load_clean(folder, policy), how_many)
        host = checks.run("task and data", lambda: make_host(config.learning, policy.task, clean))
        if host is not None and models is not None:
            first = models[0]
            checks.run("plan", lambda: _statistics(config, policy, host, first), str)
    run_dir = Path(config.server.runs or config.server.run_dir)
    checks.run("run folder", lambda: check_folder(run_dir), str)
    if policy is not None:
        if run_dir.is_dir() and not config.server.runs:
            checks.run("unfinished run", lambda: _look(config, policy), _resumable)
        checks.run("disk", lambda: _disk(config, policy, run_dir), str)
        checks.run("open files", lambda: connections_for(len(policy.members)), _connections)
    for name in ("listen", "health", "metrics"):
        if address := getattr(config.server, name):
            _port(checks, name, address)


def _port(checks: Checklist, name: str, address: str) -> None:
    checks.run(name, lambda: check_free(f"server.{name}", address), str)


def _disk(config: ServerConfig, policy: Policy, run_dir: Path) -> str:
    """Models, rounds, and uploads that wait or broke off."""
    dim, n = tensor_entries(policy.task), len(policy.members)
    upload = sizes.upload(dim, update_bits(policy.params, n))
    kept = 8 * dim * config.session.rounds if config.server.keep_totals else 0
    uploads = n * upload + min(n * upload, max(WAITING_BYTES, 2 * upload))
    rounds = config.session.rounds * _ROUND_BYTES
    needed = _MODELS * 4 * dim + uploads + rounds + kept
    setting = "server.runs" if config.server.runs else "server.run_dir"
    return check_room(setting, run_dir, needed)


def _look(config: ServerConfig, policy: Policy) -> CampaignState | None:
    found = look(config.server.run_dir, identity_of(config, policy), config.session.add_rounds > 0)
    with_rounds(config, policy, found)
    return found


def _statistics(
    config: ServerConfig, policy: Policy, host: ModelHost, model: NDArray[np.float32]
) -> str:
    """Whether clients would take part in what is opened of the first ``model`` (d,)."""
    asked = config.campaign(has_nothing_to_read(policy.task)).plan
    plan = usable(asked, host.dim, host.output, policy.caps)
    check_plan(plan, host, model, policy)
    return f"at most {policy.caps.max_statistics} statistics of a group"


def _connections(found: int) -> str:
    return f"{found} connections at once"


def _thresholds(policy: Policy, topology: Topology) -> str:
    silent = topology.cohort - max(topology.fewest, policy.fewest_present(False))
    return (
        f"deployment {policy.name}, version {policy.version}: {topology.cohort} clients,"
        f" g = {policy.params.group_size}, c = {policy.params.colluders},"
        f" t = {topology.shares}, Q = {topology.quorum}, up to {silent} silent"
    )


def _resumable(found: object) -> str:
    return "none" if found is None else "will be resumed"
