"""A round without masks: the same groups, sums, decision and total, computed directly.

It opens to the defence exactly what the secure round opens, so both give the same model bit for
bit; it is for experiments on many seeds, where masking would only cost time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import Secret
from auror.errors import AbortReason, DropReason, RoundAborted
from auror.ids import ClientId, Digest
from auror.round.arithmetic import check_round, quantiser
from auror.round.binding import check_binding
from auror.round.messages import RoundStart
from auror.round.policy import Policy
from auror.round.public import PublicSeed, draw_graph, draw_groups
from auror.round.record import OpenedGroup
from auror.round.run import Decide, RoundOutcome
from auror.round.server.context import Phase, RoundContext, RoundTotal
from auror.round.server.p4_statistics import check_enough, full_plan
from auror.round.server.p5_agree import propose


def plain_round(
    start: RoundStart,
    policy: Policy,
    updates: Mapping[ClientId, NDArray[np.float32]],
    rounding: Callable[[ClientId], Secret],
    decide: Decide,
    lost: Mapping[ClientId, Phase],
    public_seed: PublicSeed,
) -> RoundOutcome:
    """Play one round on plain values; arguments as in ``auror.round.run.run_round``."""
    params, cohort = policy.params, start.description.cohort
    topology = check_round(params, len(cohort), start.plan.largest_row_norm())
    context = RoundContext.open(start.description, policy, start.plan, topology, {}, public_seed)
    progress, fewest = context.progress, context.floors.present

    def present(phase: Phase) -> tuple[ClientId, ...]:
        """Who still answers in ``phase``."""
        return tuple(c for c in cohort if c not in lost or phase.value < lost[c].value)

    def require(phase: Phase, needed: int, reason: AbortReason) -> tuple[ClientId, ...]:
        here = present(phase)
        if len(here) < needed:
            raise RoundAborted(reason, f"{len(here)} of {needed}")
        return here

    def require_signers(phase: Phase, reason: AbortReason) -> None:
        signed = len(context.committee.intersection(present(phase)))
        if signed < topology.quorum:
            raise RoundAborted(reason, f"{signed} of {topology.quorum}")

    progress.dropped = dict.fromkeys(sorted(lost), DropReason.SILENT)
    try:
        require(Phase.ADVERTISE, fewest, AbortReason.TOO_FEW_ADVERTISED)
        progress.graph = draw_graph(topology, context.transcript, cohort, {})
        progress.dealt = require(Phase.RECEIPTS, fewest, AbortReason.TOO_FEW_DEALT)
        progress.uploading = True
        uploaded = require(Phase.UPLOAD, fewest, AbortReason.TOO_FEW_UPLOADED)
        progress.digests = {client: Digest(bytes(32)) for client in uploaded}
        require_signers(Phase.CONSISTENCY, AbortReason.TOO_FEW_CONSISTENT)
        require(Phase.DRAW, topology.fewest, AbortReason.TOO_FEW_SHARES)
        progress.public_seed = public_seed(context.transcript, uploaded, {})
        progress.groups = draw_groups(progress.public_seed, uploaded, params.group_size)
        progress.plan = start.plan.with_challenge(progress.public_seed, params.challenge_rows)
        quantise = quantiser(params).quantise
        quantised = {c: quantise(updates[c], rounding(c)) for c in uploaded}
        progress.signatures = dict.fromkeys(present(Phase.STATISTICS), b"")
        check_enough(context)
        plan = full_plan(context)
        progress.opened = tuple(
            OpenedGroup(
                index,
                members,
                np.sum([plan.apply(quantised[client]) for client in members], axis=0),
            )
            for index, members in context.whole_groups().items()
        )
        propose(context, decide(progress.opened, plan))
        require_signers(Phase.AGREE, AbortReason.TOO_FEW_AGREED)
        progress.unmasking = True
        require(Phase.UNMASK, topology.fewest, AbortReason.TOO_FEW_SHARES)
        ring = context.update_context().ring
        total = ring.zeros(context.plan.dim)
        for client in progress.accepted:
            total += quantised[client]
        progress.total_opened = True
        accepted = set(progress.accepted_groups)
        lifted = check_binding(
            plan, ring.reduce(total), [g for g in progress.opened if g.index in accepted]
        )
    except RoundAborted as reason:
        return RoundOutcome(None, reason.reason, reason.detail, progress)
    return RoundOutcome(RoundTotal(lifted, progress.accepted), None, "", progress)
