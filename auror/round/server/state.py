"""The server's states, which message each of them takes, and how far a round got."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from auror.ids import ClientId
from auror.round.messages import (
    AdvertisedKeys,
    Agreement,
    ClientMessage,
    Consistency,
    CrossMasks,
    DealtShares,
    MaskedStatistics,
    RandomnessShares,
    Receipt,
    UpdateShares,
    Upload,
)
from auror.round.server.bookkeeping import Misconduct
from auror.round.server.p0_advertise import Advertising
from auror.round.server.p1_share_keys import Sharing
from auror.round.server.p1b_receipts import Receipting, WithDealers
from auror.round.server.p2_upload import Uploading, WithUploads
from auror.round.server.p3a_consistency import Signing
from auror.round.server.p3b_draw import Drawing, WithDraw
from auror.round.server.p4_statistics import SendingStatistics, WithOpening
from auror.round.server.p5_agree import Agreeing, Decided, Deciding, WithProposal
from auror.round.server.p6_unmask import TotalOpened, Unmasking
from auror.round.server.p7_localise import Localised, Localising
from auror.round.summary import RoundSummary

Waiting = (
    Advertising
    | Sharing
    | Receipting
    | Uploading
    | Signing
    | Drawing
    | SendingStatistics
    | Agreeing
    | Unmasking
    | Localising
)
"""A state a phase: some clients' answers are waited for."""

State = Waiting | Deciding | Decided | TotalOpened | Localised

EXPECTED: Mapping[type[State], type[ClientMessage] | None] = MappingProxyType(
    {
        Advertising: AdvertisedKeys,
        Sharing: DealtShares,
        Receipting: Receipt,
        Uploading: Upload,
        Signing: Consistency,
        Drawing: RandomnessShares,
        SendingStatistics: MaskedStatistics,
        Deciding: None,
        Decided: None,
        Agreeing: Agreement,
        Unmasking: UpdateShares,
        TotalOpened: None,
        Localising: CrossMasks,
        Localised: None,
    }
)
"""In the order of a round: the one message that each state takes, besides ``Withdraw``."""

ORDER: tuple[type[ClientMessage], ...] = tuple(kind for kind in EXPECTED.values() if kind)
"""The messages of a round, a phase each."""


def summarise(state: State, faults: Misconduct) -> RoundSummary:
    """How far the round got that is, or ended, in ``state``."""
    draw = state.draw if isinstance(state, WithDraw) else None
    sent: Iterable[ClientId] = ()
    if isinstance(state, WithOpening):
        sent = state.opening.signatures
    elif isinstance(state, SendingStatistics):
        sent = state.statistics
    proposal = state.proposal if isinstance(state, WithProposal) else None
    decided = state.decided if isinstance(state, Decided) else proposal
    return RoundSummary(
        attempted=isinstance(state, WithDealers),
        dealt=state.dealers.dealt if isinstance(state, WithDealers) else (),
        uploaded=tuple(state.uploads.digests) if isinstance(state, WithUploads) else (),
        public_seed=draw.public_seed if draw else b"",
        groups=draw.groups if draw else (),
        watched=draw is not None and draw.plan.stable_rows > 0,
        sent=tuple(sorted(sent)),
        opened=state.opening.opened if isinstance(state, WithOpening) else (),
        accepted_groups=proposal.accepted_groups if proposal else (),
        accepted=proposal.accepted if proposal else (),
        left_out=decided.left_out if decided else {},
        asked=draw is not None,
        unmasking=isinstance(state, Unmasking | TotalOpened | Localising | Localised),
        total_opened=isinstance(state, TotalOpened | Localising | Localised),
        dropped=dict(faults.dropped),
        refusals=dict(faults.refusals),
        late=frozenset(faults.late),
        marks=tuple(faults.marks),
        withheld=state.withheld if isinstance(state, Localised) else frozenset(),
    )
