"""One step of the server: a message taken, or a phase closed that simply opens the next."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from auror.errors import DropReason, PeerMisbehaved
from auror.ids import ClientId
from auror.round.facts import GroupsDrawn, ServerFact, UnmaskingBegun, UploadsFixed
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
    ServerMessage,
    UpdateShares,
    Upload,
)
from auror.round.server import (
    p0_advertise,
    p1_share_keys,
    p1b_receipts,
    p2_upload,
    p3a_consistency,
    p3b_draw,
    p4_statistics,
    p5_agree,
    p6_unmask,
    p7_localise,
)
from auror.round.server.context import RoundContext
from auror.round.server.p0_advertise import Advertising
from auror.round.server.p1_share_keys import Sharing
from auror.round.server.p1b_receipts import Receipting
from auror.round.server.p2_upload import Uploading
from auror.round.server.p3a_consistency import Signing
from auror.round.server.p3b_draw import Drawing
from auror.round.server.p4_statistics import SendingStatistics
from auror.round.server.p5_agree import Agreeing
from auror.round.server.p6_unmask import Unmasking
from auror.round.server.p7_localise import Localising
from auror.round.server.state import EXPECTED, State, Waiting

Outgoing = dict[ClientId, ServerMessage]


def take(context: RoundContext, state: State, sender: ClientId, message: ClientMessage) -> None:
    """Add one message to ``state``: a copy for each would take longer the more there are. Raises
    PeerMisbehaved: not the one due, or a bad one, and nothing is added."""
    if EXPECTED[type(state)] is not type(message):
        raise PeerMisbehaved(sender, DropReason.OUT_OF_TURN)
    match state, message:
        case Advertising(), AdvertisedKeys():
            p0_advertise.take_keys(context, state, sender, message)
        case Sharing(), DealtShares():
            p1_share_keys.take_dealing(context, state, sender, message)
        case Receipting(), Receipt():
            p1b_receipts.take_receipt(context, state, sender, message)
        case Uploading(), Upload():
            p2_upload.take_upload(context, state, sender, message)
        case Signing(), Consistency():
            p3a_consistency.take_signature(context, state, sender, message)
        case Drawing(), RandomnessShares():
            p3b_draw.take_shares(context, state, sender, message)
        case SendingStatistics(), MaskedStatistics():
            p4_statistics.take_statistics(context, state, sender, message)
        case Agreeing(), Agreement():
            p5_agree.take_agreement(context, state, sender, message)
        case Unmasking(), UpdateShares():
            p6_unmask.take_shares(context, state, sender, message)
        case Localising(), CrossMasks():
            p7_localise.take_images(context, state, sender, message)
        case _:
            raise PeerMisbehaved(sender, DropReason.OUT_OF_TURN)


def to_present(
    context: RoundContext, message: ServerMessage, gone: AbstractSet[ClientId]
) -> Outgoing:
    """The same message for everybody of the cohort who is not ``gone``."""
    return dict.fromkeys(present(context, gone), message)


def present(context: RoundContext, gone: AbstractSet[ClientId]) -> list[ClientId]:
    """Of the cohort, who is not ``gone``."""
    return [client for client in context.description.cohort if client not in gone]


def close(
    context: RoundContext,
    state: Advertising | Sharing | Uploading | Signing | Drawing | Agreeing,
    gone: AbstractSet[ClientId],
) -> tuple[Waiting, Outgoing, tuple[ServerFact, ...]]:
    """The next phase, what to tell whom at its start, and the facts that must be durable before.

    Raises RoundAborted; AuthenticationFailed when what was restored fits no commitment.
    """

    def everybody(message: ServerMessage) -> Outgoing:
        return to_present(context, message, gone)

    outgoing: Outgoing
    match state:
        case Advertising():
            wired = p0_advertise.close(context, state)
            return Sharing(wired), dict(p0_advertise.tell(wired, present(context, gone))), ()
        case Sharing(wired):
            dealers, deliveries = p1_share_keys.close(context, state, gone)
            return Receipting(wired, dealers), dict(deliveries), ()
        case Uploading(wired, u2):
            u3, uploads = p2_upload.close(context, state)
            outgoing = {c: m for c, m in uploads.items() if c not in gone}
            return Signing(wired, u2, u3), outgoing, (UploadsFixed(u3.digest),)
        case Signing(wired, u2, u3):
            signed = p3a_consistency.close(context, state)
            return Drawing(wired, u2, u3), everybody(signed), ()
        case Drawing(wired, u2, u3):
            draw, randomness = p3b_draw.close(context, state)
            fact = GroupsDrawn(draw.public_seed, draw.view, draw.groups, draw.plan.stable_rows > 0)
            told = p3b_draw.tell(wired, draw, randomness)
            outgoing = {c: m for c, m in told.items() if c not in gone}
            return SendingStatistics(wired, u2, u3, draw), outgoing, (fact,)
        case Agreeing():
            agreed = p5_agree.close(context, state)
            unmasking = Unmasking(*state.known, state.proposal)
            return unmasking, everybody(agreed), (UnmaskingBegun(),)
