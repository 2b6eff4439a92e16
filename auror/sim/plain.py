"""A round without masks: the same groups, sums, decision and total, computed directly.

It walks through the server's states with the phases' own arithmetic, so it opens to the defence
exactly what the secure round opens, and both give the same model bit for bit. It is for
experiments on many seeds, where masking would only cost time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import Secret
from auror.errors import AbortReason, DropReason, RoundAborted
from auror.ids import ClientId, Digest
from auror.round.arithmetic import check_round, quantiser
from auror.round.messages import MaskedStatistics, RoundStart
from auror.round.policy import Policy
from auror.round.public import PublicSeed
from auror.round.record import OpenedGroup
from auror.round.run import Decide, RoundOutcome
from auror.round.server.bookkeeping import Misconduct
from auror.round.server.context import Phase, RoundContext, RoundTotal
from auror.round.server.p0_advertise import Advertising, wire
from auror.round.server.p1b_receipts import Dealers, Receipting
from auror.round.server.p2_upload import Uploading, fix
from auror.round.server.p3a_consistency import Signing
from auror.round.server.p3b_draw import draw
from auror.round.server.p4_statistics import Opening, SendingStatistics, openable
from auror.round.server.p5_agree import Agreeing, Decided, Deciding, check_proposal, decide_on
from auror.round.server.p6_unmask import TotalOpened, Unmasking, bind
from auror.round.server.state import State, summarise

_NOTHING = Digest(bytes(32))
"""In place of what only masked rounds have."""


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
    cohort = start.description.cohort
    topology = check_round(policy.params, len(cohort), start.plan.largest_row_norm())
    context = RoundContext.open(start.description, policy, start.plan, topology, {}, public_seed)
    played = _PlainRound(context, updates, rounding, decide, lost)
    total, aborted, detail = None, None, ""
    try:
        total = played.play()
    except RoundAborted as reason:
        aborted, detail = reason.reason, reason.detail
    dropped = dict.fromkeys(sorted(lost), DropReason.SILENT)
    return RoundOutcome(total, aborted, detail, summarise(played.state, Misconduct(dropped, {})))


class _PlainRound:
    """The walk; ``state`` is where it is, also when :meth:`play` has raised."""

    def __init__(
        self,
        context: RoundContext,
        updates: Mapping[ClientId, NDArray[np.float32]],
        rounding: Callable[[ClientId], Secret],
        decide: Decide,
        lost: Mapping[ClientId, Phase],
    ) -> None:
        self._context, self._decide, self._lost = context, decide, lost
        self._updates, self._rounding = updates, rounding
        self.state: State = Advertising()

    def play(self) -> RoundTotal:
        """Raises RoundAborted as the server's phases do."""
        context = self._context
        context.require_present(len(self._present(Phase.ADVERTISE)), AbortReason.TOO_FEW_ADVERTISED)
        wired = wire(context, {})
        dealt = self._present(Phase.RECEIPTS)
        self.state = Receipting(wired, dealt)
        context.require_present(len(dealt), AbortReason.TOO_FEW_DEALT)
        u2 = Dealers(dealt, {})
        self.state = Uploading(wired, u2)
        u3 = fix(context, wired, u2, dict.fromkeys(self._present(Phase.UPLOAD), _NOTHING))
        self.state = Signing(wired, u2, u3)
        self._require_signers(Phase.CONSISTENCY, AbortReason.TOO_FEW_CONSISTENT)
        self._require_holders(Phase.DRAW)
        drawn = draw(context, u3, {})
        sent = dict.fromkeys(self._present(Phase.STATISTICS), MaskedStatistics(b"", b""))
        self.state = SendingStatistics(wired, u2, u3, drawn, sent)
        quantise = quantiser(context.params).quantise
        quantised = {c: quantise(self._updates[c], self._rounding(c)) for c in u3.digests}
        opened = tuple(
            OpenedGroup(
                index,
                members,
                np.sum([drawn.plan.apply(quantised[client]) for client in members], axis=0),
            )
            for index, members in openable(context, drawn.groups, sent.keys()).items()
        )
        opening = Opening(dict.fromkeys(sent, b""), opened)
        self.state = deciding = Deciding(wired, u2, u3, drawn, opening)
        proposal = decide_on(deciding, self._decide(opened, drawn.plan))
        known = wired, u2, u3, drawn, opening, proposal
        self.state = Decided(*known)
        check_proposal(context, wired.graph, proposal)
        self.state = Agreeing(*known)
        self._require_signers(Phase.AGREE, AbortReason.TOO_FEW_AGREED)
        self.state = Unmasking(*known)
        self._require_holders(Phase.UNMASK)
        ring = context.update_context().ring
        total = ring.zeros(context.plan.dim)
        for client in proposal.accepted:
            total += quantised[client]
        self.state = unbound = TotalOpened(*known, ring.reduce(total))
        return bind(unbound)

    def _present(self, phase: Phase) -> tuple[ClientId, ...]:
        """Who still answers in ``phase``."""
        cohort, lost = self._context.description.cohort, self._lost
        return tuple(c for c in cohort if c not in lost or phase.value < lost[c].value)

    def _require_signers(self, phase: Phase, reason: AbortReason) -> None:
        signed = self._context.committee.intersection(self._present(phase))
        self._context.require_quorum(len(signed), reason)

    def _require_holders(self, phase: Phase) -> None:
        """Without masks there are no shares to count: t of the cohort stand for them."""
        here, fewest = len(self._present(phase)), self._context.topology.fewest
        if here < fewest:
            raise RoundAborted(AbortReason.TOO_FEW_SHARES, f"{here} of {fewest}")
