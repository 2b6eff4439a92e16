"""What a start loads, and the same as a list of checks (``--check``)."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from auror.deployment.audit_log import AuditSigner
from auror.deployment.checks import Checklist, check_free
from auror.deployment.credentials import (
    End,
    ServerCredentials,
    check_expiry,
    check_tls,
    load_first_models,
    load_operator,
    load_policy,
    load_server,
    load_tls,
)
from auror.deployment.model_file import read_model
from auror.errors import ConfigError
from auror.round.arithmetic import check_round
from auror.round.description import model_digest
from auror.round.policy import Policy
from auror.secagg.topology import Topology
from auror.training.config import check_campaign
from auror.training.state import CampaignState
from auror_server.config import ServerConfig
from auror_server.extension import rounds_to_train
from auror_server.hosts import has_nothing_to_read, make_host
from auror_server.state.audit import AuditedSettings
from auror_server.state.identity import RunIdentity
from auror_server.state.opening import look
from auror_server.state.run import RunState
from auror_server.store import check_folder


def load(config: ServerConfig) -> ServerCredentials:
    """Credentials and policy, checked as far as they need no other file.

    Raises:
        UserError: one line with the fix.
    """
    folder, now = config.server.credentials, time.time()
    check_tls(folder, load_tls(folder), End.SERVER, now)
    credentials = load_server(folder)
    check_policy(config, credentials.policy, now)
    check_first_model(config.server.from_model, credentials.policy)
    return credentials


def expiry_of(config: ServerConfig, credentials: ServerCredentials) -> float:
    """When the first of the certificates expires, in Unix seconds; they were checked."""
    folder = config.server.credentials
    return check_tls(folder, credentials.tls, End.SERVER, time.time()).timestamp()


def check_policy(config: ServerConfig, policy: Policy, now: float) -> Topology:
    """The wiring of all members under ``policy``, at ``now`` in Unix seconds.

    Raises:
        UserError: it has expired, or allows less than ``config`` wants.
    """
    check_expiry(policy, now)
    check_campaign(config.campaign(has_nothing_to_read(policy.task)), policy)
    return check_round(policy.params, len(policy.members))


def check_first_model(path: str, policy: Policy) -> None:
    """Raises UserError when ``path`` names a model and the policy signs another first one: clients
    would refuse it."""
    if not path:
        return
    given = model_digest(read_model(Path(path)))
    if given not in policy.first_models:
        signed = ", ".join(f"{digest.hex()[:16]}…" for digest in policy.first_models)
        raise ConfigError(
            f"server.from_model = {path}: its hash is {given.hex()[:16]}…, the policy signs"
            f" {signed} as first models, and clients refuse any other: let the operator enrol with"
            f" `auror certs --from-model {path}`, or run `auror policy next DIR --trainings 1"
            f" --from-model {path}`"
        )


def check(config: ServerConfig) -> int:
    """Load everything that a start would load, and print how that went.

    Returns:
        The exit code: 0, or that of the first thing that is wrong.
    """
    checks, folder, now = Checklist(), config.server.credentials, time.time()
    tls = checks.run("credentials", lambda: load_tls(folder), lambda _found: str(folder))
    if tls is not None:
        checks.run(
            "certificate",
            lambda: check_tls(folder, tls, End.SERVER, now),
            lambda expires: f"valid until {expires:%Y-%m-%d}",
        )
    policy = checks.run("signature of the policy", lambda: load_policy(folder))
    if policy is not None:
        checks.run(
            "policy",
            lambda: check_policy(config, policy, now),
            lambda topology: _thresholds(policy, topology),
        )
        checks.run("first models", lambda: load_first_models(folder, policy))
        if config.server.from_model:
            checks.run("from_model", lambda: check_first_model(config.server.from_model, policy))
        checks.run("task and data", lambda: make_host(config.learning, policy.task))
    run_dir = Path(config.server.runs or config.server.run_dir)
    checks.run("run folder", lambda: check_folder(run_dir), str)
    if policy is not None and run_dir.is_dir() and not config.server.runs:
        checks.run("unfinished run", lambda: _look(config, policy), _resumable)
    checks.run("listen", lambda: check_free("server.listen", config.server.listen), str)
    if config.server.health:
        checks.run("health", lambda: check_free("server.health", config.server.health), str)
    if config.server.metrics:
        checks.run("metrics", lambda: check_free("server.metrics", config.server.metrics), str)
    return checks.exit_code


def with_rounds(config: ServerConfig, policy: Policy, found: CampaignState | None) -> ServerConfig:
    """``config`` with the rounds that are to be trained; ``found``: the state in the run folder.

    Raises:
        ConfigError: the folder's run has other rounds, or cannot be extended so.
    """
    session = config.session
    rounds = rounds_to_train(session, found, policy, config.server.run_dir)
    session = session.model_copy(update={"rounds": rounds, "add_rounds": 0})
    return config.model_copy(update={"session": session})


def _look(config: ServerConfig, policy: Policy) -> CampaignState | None:
    found = look(config.server.run_dir, identity_of(config, policy), config.session.add_rounds > 0)
    with_rounds(config, policy, found)
    return found


def _thresholds(policy: Policy, topology: Topology) -> str:
    silent = topology.cohort - max(topology.fewest, policy.fewest_present(False))
    return (
        f"deployment {policy.name}, version {policy.version}: {topology.cohort} clients,"
        f" g = {policy.params.group_size}, c = {policy.params.colluders},"
        f" t = {topology.shares}, Q = {topology.quorum}, up to {silent} silent"
    )


def _resumable(found: object) -> str:
    return "none" if found is None else "will be resumed"


def begin_audit(
    config: ServerConfig, credentials: ServerCredentials, run: RunState, state: CampaignState
) -> None:
    """From here on what ``run`` is told is signed with the server's identity."""
    begun = AuditedSettings(
        policy=credentials.policy,
        tls=credentials.tls,
        operator=load_operator(config.server.credentials),
        settings=identity_of(config, credentials.policy).settings,
        detector=config.session.detector,
        error_rate=config.session.error_rate,
        defend=config.session.defend,
    )
    run.audit(AuditSigner(credentials.tls.key), begun, state)


def identity_of(config: ServerConfig, policy: Policy) -> RunIdentity:
    """Whose run it is: a resumed one must share the settings that decide the training, its rounds
    too (``auror_server.extension``). A later version of the policy may go on with it."""
    parts = (config.session.after_flag, config.session.defend)
    text = repr((parts, config.statistics, config.learning))
    return RunIdentity(policy, hashlib.sha256(text.encode()).hexdigest())
