"""What clients signed in a round, verified again from its broadcast messages (docs/protocol.md)."""

from __future__ import annotations

from collections.abc import Iterable

from auror.audit.broken import Broken
from auror.crypto.signing import verify
from auror.crypto.tags import Tag
from auror.deployment.round_evidence import RoundEvidence
from auror.errors import AuthenticationFailed
from auror.ids import ClientId, Digest
from auror.round.arithmetic import check_round
from auror.round.lists import AllDigests, AllKeys
from auror.round.policy import Policy
from auror.round.public import (
    agreement_parts,
    draw_committee,
    draw_groups,
    protocol_seed,
    uploads_digest,
    view_digest,
)
from auror.round.record import RoundRecord
from auror.round.watch import opened_plan
from auror.secagg.topology import Topology


def check_messages(policy: Policy, record: RoundRecord, found: RoundEvidence) -> int:
    """Whether ``record`` is what clients signed.

    Returns:
        How many signatures were verified.

    Raises:
        Broken: the text says which.
    """
    one = found.description
    transcript = one.transcript()
    named = (one.round_id, one.era, one.attempt, one.cohort)
    if named != (record.round_id, record.era, record.attempt, record.cohort):
        raise Broken("its record is of another round than its description")
    if (one.policy, one.deployment) != (policy.digest(), policy.deployment):
        raise Broken("its description names another policy")
    if one.plan != found.plan.digest():
        raise Broken("its plan of statistics is not the one that its description names")
    signatures = _Signatures(policy)
    for client, keys in found.keys.items():
        parts = transcript, *keys.signed_parts()
        signatures.check(client, keys.signature, "its keys", Tag.ADVERTISE, *parts)
    if record.statistics_asked:
        _check_drawn(signatures, record, found, transcript)
    elif record.opened or record.groups or record.shares_asked:
        raise Broken("its record opened statistics that nobody was asked for")
    return signatures.verified


class _Signatures:
    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.verified = 0

    def check(self, client: ClientId, signature: bytes, what: str, tag: Tag, *parts: bytes) -> None:
        try:
            verify(self.policy.verify_key(client), signature, tag, *parts)
        except (AuthenticationFailed, KeyError) as error:
            raise Broken(f"client {client} did not sign {what}") from error
        self.verified += 1

    def topology(self, record: RoundRecord) -> Topology:
        return check_round(self.policy.params, len(record.cohort))

    def quorum(self, record: RoundRecord, transcript: Digest, who: Iterable[ClientId]) -> None:
        topology = self.topology(record)
        signed = draw_committee(transcript, record.cohort, topology).intersection(who)
        if len(signed) < topology.quorum:
            raise Broken(f"{len(signed)} signatures of a quorum of {topology.quorum}")


def _check_drawn(
    signatures: _Signatures,
    record: RoundRecord,
    found: RoundEvidence,
    transcript: Digest,
) -> None:
    """The sets, the draw, the view h and A."""
    params = signatures.policy.params
    committee = draw_committee(transcript, record.cohort, signatures.topology(record))
    fixed = uploads_digest(
        transcript,
        AllKeys(found.keys, committee).digest,
        found.dealt,
        tuple(found.digests),
        AllDigests(found.digests).root,
    )
    for client, signature in found.consistency.items():
        signatures.check(client, signature, "the uploads (U3)", Tag.CONSISTENCY, fixed)
    signatures.quorum(record, transcript, found.consistency)
    uploaded = tuple(sorted(found.digests))
    if record.uploaded != uploaded or record.dealt != tuple(found.dealt):
        raise Broken("its record has other uploads than clients signed")
    seed = protocol_seed(transcript, uploaded, found.randomness)
    groups = draw_groups(seed, uploaded, params.group_size)
    if (record.public_seed, record.groups) != (seed, groups):
        raise Broken("its groups do not follow from what clients signed")
    plan = opened_plan(found.plan, found.description.watch, params, seed)
    if record.watched != (plan.stable_rows > 0):
        raise Broken("whether it was watched does not follow from what clients signed")
    view = view_digest(fixed, found.randomness, groups, plan.digest())
    for client, signature in found.views.items():
        signatures.check(client, signature, "its view (h)", Tag.VIEW_SIGNATURE, view)
    for group in record.opened:
        whole = group.index < len(groups) and group.members == groups[group.index]
        if not whole or not set(group.members) <= set(record.sent):
            raise Broken(f"group {group.index} was opened and not whole")
    if record.shares_asked:
        _check_accepted(signatures, record, found, transcript, view)


def _check_accepted(
    signatures: _Signatures,
    record: RoundRecord,
    found: RoundEvidence,
    transcript: Digest,
    view: Digest,
) -> None:
    accepted = found.accepted
    parts = agreement_parts(transcript, view, frozenset(accepted))
    for client, signature in found.agreed.items():
        signatures.check(client, signature, "the accepted set (A)", Tag.AGREEMENT, *parts)
    signatures.quorum(record, transcript, found.agreed)
    if set(found.views) != set(accepted):
        raise Broken("another set was accepted than clients signed")
    if record.total_opened:
        members = [c for k in record.accepted_groups for c in record.groups[k]]
        if record.accepted != accepted or sorted(members) != sorted(accepted):
            raise Broken("its record accepts another set than clients signed")
