"""The client's states and the whole order of a round, as one table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from auror.round.client.p0_advertise import Advertised
from auror.round.client.p1_share_keys import Shared
from auror.round.client.p1b_receipts import Receipted
from auror.round.client.p2_upload import Training, Uploaded
from auror.round.client.p3a_consistency import SignedUploads
from auror.round.client.p3b_draw import SharedRandomness
from auror.round.client.p4_statistics import SentStatistics
from auror.round.client.p5_agree import Agreed
from auror.round.client.p6_unmask import Unmasked
from auror.round.client.state import Idle
from auror.round.messages import (
    AcceptedSet,
    AgreementList,
    BindingFailed,
    ConsistencyList,
    DealerList,
    KeyList,
    RandomnessList,
    RoundEnd,
    RoundStart,
    ServerMessage,
    ShareDelivery,
    UploadList,
)

State = (
    Idle
    | Advertised
    | Shared
    | Receipted
    | Training
    | Uploaded
    | SignedUploads
    | SharedRandomness
    | SentStatistics
    | Agreed
    | Unmasked
)

TRANSITIONS: Mapping[type[State], Mapping[type[ServerMessage], type[State]]] = MappingProxyType(
    {
        Idle: {},
        Advertised: {KeyList: Shared},
        Shared: {ShareDelivery: Receipted},
        Receipted: {DealerList: Training},
        Training: {},  # its own update makes it Uploaded
        Uploaded: {UploadList: SignedUploads},
        SignedUploads: {ConsistencyList: SharedRandomness},
        SharedRandomness: {RandomnessList: SentStatistics},
        SentStatistics: {AcceptedSet: Agreed},
        Agreed: {AgreementList: Unmasked},
        Unmasked: {BindingFailed: Idle},
    }
)
"""The messages that each state takes besides those of ``ALWAYS``, and the state after each.
Any other message is refused, and a refusal makes the client Idle."""

ALWAYS: Mapping[type[ServerMessage], type[State]] = MappingProxyType(
    {RoundStart: Advertised, RoundEnd: Idle}
)
"""What every state takes: a new round replaces the one before."""


def following(state: type[State], message: type[ServerMessage]) -> type[State] | None:
    """The state after ``message``; None when it is out of turn."""
    return ALWAYS.get(message) or TRANSITIONS[state].get(message)
