"""Phase 0, the client: check the invitation against the policy, then advertise fresh keys.

docs/protocol.md steps 0.1–0.4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from auror.crypto.tags import Tag
from auror.errors import ConfigError, Refusal, Refused
from auror.round.arithmetic import check_round
from auror.round.client.memory import ClientMemory
from auror.round.client.state import Identity, Invitation, RoundSecrets
from auror.round.description import PROTOCOL_VERSION, RoundDescription, model_digest
from auror.round.messages import AdvertisedKeys, RoundStart
from auror.round.policy import NO_DIGEST
from auror.round.public import draw_committee, set_of
from auror.round.watch import Watch
from auror.secagg.instance import SecretKind
from auror.secagg.sharing import commitments_under


@dataclass(frozen=True)
class Advertised:
    """Its keys are out."""

    invitation: Invitation
    secrets: RoundSecrets
    own: AdvertisedKeys


def check_invitation(identity: Identity, memory: ClientMemory, start: RoundStart) -> Invitation:
    """Step 0.1: the policy is this client's own, every hash is recomputed, every name is new.

    Raises:
        Refused: see the refusals below; nothing was drawn or signed yet.
    """
    description = start.description
    _check_policy(identity, description)
    _check_cohort(identity, description)
    if description.round_id.counter <= memory.counter:
        raise Refused(
            Refusal.ROUND_REPLAYED,
            f"counter {description.round_id.counter}, joined before: {memory.counter}",
        )
    _check_names(identity, memory, description)
    if start.model.shape != (start.plan.dim,) or model_digest(start.model) != description.model:
        raise Refused(Refusal.WRONG_MODEL, "not the model that the description hashes")
    if not np.isfinite(start.model).all():
        raise Refused(Refusal.WRONG_MODEL, "values that are not finite")
    _check_plan(identity, start)
    _check_budget(identity, memory, description)
    _check_watch(identity, memory, description)
    policy, own = identity.policy, identity.rules.floors()
    try:
        norm = start.plan.largest_row_norm()
        topology = check_round(policy.params, len(description.cohort), norm)
    except ConfigError as error:
        raise Refused(Refusal.RING_OVERFLOW, str(error)) from error
    floors = policy.floors(topology, description.disputed, own)
    if len(description.cohort) < floors.present:
        raise Refused(
            Refusal.COHORT_TOO_SMALL, f"{len(description.cohort)} invited, floor {floors.present}"
        )
    transcript = description.transcript()
    committee = draw_committee(transcript, description.cohort, topology)
    return Invitation(start, policy.params, transcript, topology, floors, committee)


def _check_policy(identity: Identity, description: RoundDescription) -> None:
    policy = identity.policy
    for name, told, mine in (
        ("protocol version", description.version, PROTOCOL_VERSION),
        ("deployment", description.deployment.hex(), policy.name),
    ):
        if told != mine:
            raise Refused(Refusal.WRONG_CONFIGURATION, f"{name} {told}, here {mine}")
    if description.policy_version != policy.version:
        raise Refused(
            Refusal.WRONG_POLICY, f"version {description.policy_version}, here {policy.version}"
        )
    if description.policy != policy.digest():
        raise Refused(
            Refusal.WRONG_POLICY,
            f"digest {description.policy.hex()[:16]}…, here {policy.digest().hex()[:16]}…",
        )
    now = identity.now()
    if now >= policy.expires:
        raise Refused(Refusal.POLICY_EXPIRED, f"expires = {policy.expires}, now {now:.0f}")


def _check_cohort(identity: Identity, description: RoundDescription) -> None:
    policy, cohort = identity.policy, description.cohort
    try:
        members = set_of(cohort)
    except ValueError as error:
        raise Refused(Refusal.WRONG_COHORT, str(error)) from error
    if identity.me not in members or not policy.members.keys() >= members:
        raise Refused(Refusal.WRONG_COHORT)
    fewest = policy.fewest_present(description.disputed)
    if len(cohort) < fewest:
        raise Refused(
            Refusal.COHORT_TOO_SMALL,
            f"cohort of {len(cohort)}, floor {fewest} of {len(policy.members)} members",
        )
    own = identity.rules
    if own.min_present is not None and len(cohort) < own.min_present:
        raise Refused(
            Refusal.COHORT_TOO_SMALL,
            f"cohort of {len(cohort)}, rules.min_present {own.min_present}",
        )
    if own.min_accepted is not None and len(cohort) < own.min_accepted:
        raise Refused(
            Refusal.COHORT_TOO_SMALL,
            f"cohort of {len(cohort)}, rules.min_accepted {own.min_accepted}",
        )
    if own.min_group is not None and policy.params.group_size < own.min_group:
        raise Refused(
            Refusal.GROUP_TOO_SMALL,
            f"group_size {policy.params.group_size}, rules.min_group {own.min_group}",
        )


def _check_names(identity: Identity, memory: ClientMemory, description: RoundDescription) -> None:
    """The policy has the era and the step; the model is the one that this step names."""
    policy, era, step = identity.policy, description.era, description.step
    if era >= policy.eras:
        raise Refused(Refusal.WRONG_STEP, f"era {era}, first_models has {policy.eras}")
    if step >= policy.budget.max_steps:
        raise Refused(Refusal.WRONG_STEP, f"step {step}, max_steps {policy.budget.max_steps}")
    memory.check_place(era, step, description.model, description.parent)
    if step == 0:
        if description.model != policy.first_models[era]:
            told, first = description.model.hex(), policy.first_models[era].hex()
            raise Refused(
                Refusal.WRONG_MODEL,
                f"first model of era {era}: {told[:16]}…, first_models {first[:16]}…",
            )
        if description.parent != NO_DIGEST:
            raise Refused(Refusal.WRONG_MODEL, f"a parent of the first model of era {era}")
    if (era, step) == (memory.era, memory.step):
        if memory.total_helped:
            raise Refused(Refusal.TOTAL_REPEATED, f"era {era}, step {step}")
        allowed = policy.params.max_attempts
        if memory.attempts >= allowed:
            raise Refused(
                Refusal.ATTEMPTS_EXHAUSTED,
                f"{memory.attempts} attempts at step {step}, max_attempts {allowed}",
            )


def _check_plan(identity: Identity, start: RoundStart) -> None:
    if start.plan.digest() != start.description.plan:
        raise Refused(Refusal.WRONG_CONFIGURATION, "statistics plan does not match its hash")
    caps, own = identity.policy.caps, identity.rules.max_statistics
    if own is not None:
        caps = replace(caps, max_statistics=min(own, caps.max_statistics))
    policy = identity.policy
    start.plan.check(caps, policy.params, policy.digest(), start.model)


def _check_budget(identity: Identity, memory: ClientMemory, description: RoundDescription) -> None:
    spent = identity.spent(memory)
    if spent is not None:
        raise Refused(Refusal.BUDGET_SPENT, spent)
    allowed = identity.policy.budget.max_disputed
    if description.disputed and memory.disputed >= allowed:
        raise Refused(
            Refusal.TOO_MANY_DISPUTED, f"{memory.disputed} attempts, max_disputed {allowed}"
        )


def _check_watch(identity: Identity, memory: ClientMemory, description: RoundDescription) -> None:
    """Flags cost the server their members for good; between two of them, label rows are opened for
    certain in so many rounds only."""
    flagged = description.flagged
    known = {client for client in memory.flagged if client in identity.policy.members}
    if (
        list(flagged) != sorted(set(flagged))
        or not known <= set(flagged) <= identity.policy.members.keys()
        or not set(flagged).isdisjoint(description.cohort)
    ):
        raise Refused(Refusal.WRONG_FLAGS, f"flagged {list(flagged)}, known {sorted(known)}")
    policy = identity.policy
    if description.watch is Watch.ALWAYS and policy.params.watch_rate < 1:
        watched, allowed = memory.watched_at(description), policy.budget.max_watched
        if watched >= allowed:
            raise Refused(
                Refusal.WATCHED_TOO_OFTEN,
                f"{watched} attempts since the last new flag, max_watched {allowed}",
            )


def advertise(identity: Identity, invitation: Invitation) -> tuple[Advertised, AdvertisedKeys]:
    """Steps 0.2–0.4: draw everything anew, commit to r, sign over T; own floors stand in it."""
    secrets = RoundSecrets.draw(identity.entropy)
    keys = AdvertisedKeys(
        secrets.encryption.public,
        secrets.update.mask_key.public,
        secrets.statistics_mask.public,
        commitments_under(invitation.transcript).of_secret(
            identity.me, SecretKind.RANDOMNESS, secrets.randomness
        ),
        b"",
        identity.rules.floors(),
    )
    signature = identity.signing_key.sign(
        Tag.ADVERTISE, invitation.transcript, *keys.signed_parts()
    )
    own = replace(keys, signature=signature)
    return Advertised(invitation, secrets, own), own
