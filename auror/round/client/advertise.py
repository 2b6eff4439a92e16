"""Phase 0, the client: check the invitation against its own rules, then advertise fresh keys.

docs/protocol.md steps 0.1–0.4.
"""

from __future__ import annotations

from auror.crypto.tags import Tag
from auror.errors import ConfigError, Refusal, Refused
from auror.round.arithmetic import check_round
from auror.round.client.memory import ClientMemory
from auror.round.client.state import Identity, Invitation, RoundSecrets
from auror.round.description import PROTOCOL_VERSION, configuration_digest, model_digest
from auror.round.messages import AdvertisedKeys, RoundStart
from auror.secagg.instance import SecretKind
from auror.secagg.sharing import secret_commitment
from auror.secagg.topology import Topology


def check_invitation(identity: Identity, memory: ClientMemory, start: RoundStart) -> Invitation:
    """Step 0.1: every hash of the description is recomputed, every floor is this client's own.

    Raises:
        Refused: see the refusals below; nothing was drawn or signed yet.
    """
    description, policy = start.description, identity.policy
    if description.version != PROTOCOL_VERSION or (
        description.deployment != identity.roster.deployment
    ):
        raise Refused(Refusal.WRONG_CONFIGURATION, "another protocol version or deployment")
    if description.round_id.counter <= memory.counter:
        raise Refused(Refusal.ROUND_REPLAYED, f"counter {description.round_id.counter}")
    if description.roster != identity.roster.digest():
        raise Refused(Refusal.WRONG_ROSTER)
    cohort = description.cohort
    if (
        list(cohort) != sorted(set(cohort))
        or identity.me not in cohort
        or not identity.roster.entries.keys() >= set(cohort)
    ):
        raise Refused(Refusal.WRONG_ROSTER, "cohort is not a sorted part of the roster with me")
    if len(cohort) < policy.min_cohort:
        raise Refused(Refusal.COHORT_TOO_SMALL, f"{len(cohort)} of {policy.min_cohort}")
    if configuration_digest(start.params, start.task) != description.configuration:
        raise Refused(Refusal.WRONG_CONFIGURATION)
    if start.model.shape != (start.plan.dim,) or model_digest(start.model) != description.model:
        raise Refused(Refusal.WRONG_MODEL)
    if start.plan.digest() != description.plan:
        raise Refused(Refusal.WRONG_CONFIGURATION, "statistics plan does not match")
    start.plan.check(policy, start.params.challenge_rows)
    if start.params.group_size < policy.min_group:
        raise Refused(Refusal.GROUP_TOO_SMALL, f"{start.params.group_size} of {policy.min_group}")
    if start.params.colluders < policy.colluders:
        raise Refused(
            Refusal.THRESHOLD_UNSAFE,
            f"thresholds for {start.params.colluders} colluders, {policy.colluders} assumed here",
        )
    try:
        Topology.for_cohort(len(cohort), start.params.colluders, start.params.dropouts)
    except ConfigError as error:
        raise Refused(Refusal.THRESHOLD_UNSAFE, str(error)) from error
    try:
        topology = check_round(start.params, len(cohort), start.plan.largest_row_norm())
    except ConfigError as error:
        raise Refused(Refusal.RING_OVERFLOW, str(error)) from error
    allowed = min(policy.max_attempts, start.params.max_attempts)
    if memory.openings.get(description.model.hex(), 0) >= allowed:
        raise Refused(Refusal.ATTEMPTS_EXHAUSTED, f"{allowed} openings for one model")
    if description.model.hex() in memory.totals:
        raise Refused(Refusal.TOTAL_REPEATED)
    return Invitation(start, description.transcript(), topology)


def advertise(identity: Identity, invitation: Invitation) -> tuple[RoundSecrets, AdvertisedKeys]:
    """Steps 0.2–0.4: draw everything anew, commit to r, sign over T."""
    secrets = RoundSecrets.draw(identity.entropy)
    keys = (
        secrets.encryption.public,
        secrets.update.mask_key.public,
        secrets.statistics.mask_key.public,
        secret_commitment(
            invitation.transcript, identity.me, SecretKind.RANDOMNESS, secrets.randomness
        ),
    )
    signature = identity.signing_key.sign(Tag.ADVERTISE, invitation.transcript, *keys)
    return secrets, AdvertisedKeys(*keys, signature)
