"""What a start loads."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from auror.deployment.audit_log import AuditSigner
from auror.deployment.credentials import (
    End,
    ServerCredentials,
    check_expiry,
    check_tls,
    load_operator,
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
from auror_server.hosts import has_nothing_to_read
from auror_server.state.audit import AuditedSettings
from auror_server.state.identity import RunIdentity
from auror_server.state.run import RunState


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


def with_rounds(config: ServerConfig, policy: Policy, found: CampaignState | None) -> ServerConfig:
    """``config`` with the rounds that are to be trained; ``found``: the state in the run folder.

    Raises:
        ConfigError: the folder's run has other rounds, or cannot be extended so.
    """
    session = config.session
    rounds = rounds_to_train(session, found, policy, config.server.run_dir)
    session = session.model_copy(update={"rounds": rounds, "add_rounds": 0})
    return config.model_copy(update={"session": session})


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
