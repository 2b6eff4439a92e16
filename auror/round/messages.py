"""The messages of a round, one section per phase (docs/protocol.md). Plain values, no wire format:
the codec checks sizes and ranges, and where a rule depends on them the phase does again."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from auror.crypto.tags import Encoded, number
from auror.errors import AbortReason, Refusal
from auror.ids import ClientId, Digest
from auror.params import Floors
from auror.round.description import RoundDescription
from auror.round.plan import StatisticsPlan
from auror.secagg.client.unmask import OpenedShares
from auror.secagg.instance import SecretKind
from auror.secagg.sharing import Share

SHARED_KINDS = tuple(SecretKind)
"""The three secrets of phase 1, in the order of envelopes and commitments."""

KEY_ALGORITHM = b"x25519"
"""Recorded traffic is not safe against a quantum computer (docs/threat-model.md)."""

# Phase 0, advertise ---------------------------------------------------------------------------


@dataclass(frozen=True)
class RoundStart:
    """Server → client: the invitation, with what the description hashes and the policy lacks."""

    description: RoundDescription
    plan: StatisticsPlan
    model: NDArray[np.float32]
    """Flat global model, (d,)."""


@dataclass(frozen=True)
class AdvertisedKeys:
    """Client → server: three X25519 keys and a commitment, signed over T."""

    encryption: bytes
    update_mask: bytes
    statistics_mask: bytes
    randomness: Digest
    """Commitment to r_i, this client's part of the public randomness."""
    signature: bytes
    floors: Floors = field(default_factory=Floors)
    """This client's own; 0 where it asks for no more than the policy does."""

    def public_keys(self) -> tuple[bytes, bytes, bytes]:
        return self.encryption, self.update_mask, self.statistics_mask

    def signed_parts(self) -> tuple[bytes, ...]:
        """With the algorithm: no key can be taken for one of another later."""
        return (self._signed,)

    @cached_property
    def _signed(self) -> Encoded:  # lists of U1 are hashed for the graph and for U3
        floors = (self.floors.present, self.floors.accepted, self.floors.group)
        rest = (self.randomness, *(number(floor) for floor in floors))
        return Encoded.of(KEY_ALGORITHM, *self.public_keys(), *rest)


@dataclass(frozen=True)
class KeyList:
    """Server → client: U1, and of its keys what this client needs."""

    advertised: tuple[ClientId, ...]
    keys: Mapping[ClientId, AdvertisedKeys]
    """Its own and its neighbours'."""
    commitments: Mapping[ClientId, Digest]
    """To their r, of the other members of the committee."""
    proof: tuple[Digest, ...]


# Phase 1, share keys --------------------------------------------------------------------------


@dataclass(frozen=True)
class DealtShares:
    """Client → server: sealed shares per holder, commitments, and a signature over those."""

    ciphertexts: Mapping[ClientId, bytes]
    share_commitments: Mapping[ClientId, tuple[Digest, ...]]
    secret_commitments: tuple[Digest, ...]
    signature: bytes


@dataclass(frozen=True)
class Envelope:
    """What one dealer sealed for one holder, and the row of commitments it must match."""

    ciphertext: bytes
    commitments: tuple[Digest, ...]


@dataclass(frozen=True)
class ShareDelivery:
    """Server → client: who dealt, and the envelopes addressed to this client."""

    dealers: tuple[ClientId, ...]
    envelopes: Mapping[ClientId, Envelope]


# Phase 1b, receipts ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Receipt:
    """Client → server: whose envelopes it cannot read, signed with the list of dealers."""

    unreadable: tuple[ClientId, ...]
    signature: bytes


@dataclass(frozen=True)
class DealerList:
    """Server → client: U2, final."""

    dealers: tuple[ClientId, ...]


# Phase 2, upload ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Upload:
    """Client → server: y_i (ring words) and its digest."""

    payload: bytes
    digest: Digest


@dataclass(frozen=True)
class UploadList:
    """Server → client: U3, final; with its own digest, ``proof`` gives the root of all digests."""

    uploaded: tuple[ClientId, ...]
    proof: tuple[Digest, ...]


# Phase 3a, agree on U3 ------------------------------------------------------------------------


@dataclass(frozen=True)
class Consistency:
    """Client → server: a signature over (T, U1 keys, U2, U3, digests), given once."""

    signature: bytes


@dataclass(frozen=True)
class ConsistencyList:
    """Server → client: the quorum's signatures under one U3."""

    signatures: Mapping[ClientId, bytes]


# Phase 3b, draw -------------------------------------------------------------------------------


@dataclass(frozen=True)
class RandomnessShares:
    """Client → server: its shares of every r that counts."""

    shares: Mapping[ClientId, Share]


@dataclass(frozen=True)
class RandomnessList:
    """Server → client: every r_j that counts, and signed keys of its group."""

    randomness: Mapping[ClientId, bytes]
    keys: Mapping[ClientId, AdvertisedKeys] = field(default_factory=dict)
    """Of its group, if it was not shown them."""
    proof: tuple[Digest, ...] = ()


# Phase 4, statistics --------------------------------------------------------------------------


@dataclass(frozen=True)
class MaskedStatistics:
    """Client → server: u_i masked inside its group, and a signature over its view h."""

    payload: bytes
    signature: bytes


# Phase 5, agree -------------------------------------------------------------------------------


@dataclass(frozen=True)
class AcceptedSet:
    """Server → client: A, whole groups, and signatures over h of those whose shares it holds."""

    accepted: tuple[ClientId, ...]
    signatures: Mapping[ClientId, bytes]


@dataclass(frozen=True)
class Agreement:
    """Client → server: a signature over (T, h, A), given once."""

    signature: bytes


# Phase 6, unmask ------------------------------------------------------------------------------


@dataclass(frozen=True)
class AgreementList:
    """Server → client: the quorum's signatures under (T, h, A)."""

    signatures: Mapping[ClientId, bytes]


@dataclass(frozen=True)
class UpdateShares:
    """Client → server: shares of the update instance."""

    shares: OpenedShares


# Phase 7, localise: only after a failed binding check ------------------------------------------


@dataclass(frozen=True)
class BindingFailed:
    """Server → accepted clients: the total does not match the statistics."""


@dataclass(frozen=True)
class CrossMasks:
    """Client → server: P·PRG(s_ij) modulo 2^m for every accepted neighbour j of another group."""

    images: Mapping[ClientId, bytes]


# Any phase ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Withdraw:
    """Client → server: this client will not go on, and which of its rules says so."""

    reason: Refusal


@dataclass(frozen=True)
class RoundEnd:
    """Server → client: how the round ended. ``model`` is the hash of the model from now on."""

    model: Digest
    aborted: AbortReason | None
    flagged: tuple[ClientId, ...]
    left_out: tuple[ClientId, ...]
    audited: tuple[ClientId, ...] = ()
    """Members of the groups that an omission audit left out."""
    excluded: tuple[ClientId, ...] = ()
    """Clients proven to have broken the protocol: not invited again."""


# After the last round -------------------------------------------------------------------------


@dataclass(frozen=True)
class FinalModel:
    """Server → client: the trained model and its place in the training, if the policy has it so."""

    policy: Digest
    era: int
    step: int
    parent: Digest
    """Of the model at the step before."""
    digest: Digest
    """Of ``model``."""
    model: NDArray[np.float32]
    """Flat, (d,)."""


# Between rounds -------------------------------------------------------------------------------


class ExclusionCause(enum.Enum):
    """Why a client is excluded for good."""

    FLAG = "a verdict that audited rounds confirmed"
    EARLIER_FLAG = "a flag of a training before this one"
    PROOF = "messages that prove a lie"


@dataclass(frozen=True)
class Exclusion:
    """Server → the excluded client alone: it is not invited any more, and why."""

    cause: ExclusionCause
    source: int | None = None
    """Class whose samples are taken for ``target``; None: of no single class."""
    target: int | None = None
    strength: float | None = None
    """Of the evidence, in the detector's unit."""
    required: float | None = None
    """What a flag takes."""
    rounds: int = 0
    """Of bound evidence."""
    audits: int = 0
    """Audited rounds that confirmed it."""


@dataclass(frozen=True)
class NewPolicy:
    """Server → every connected client: the next rounds are under this version of the policy."""

    text: bytes  # of its file


ServerMessage = (
    RoundStart
    | KeyList
    | ShareDelivery
    | DealerList
    | UploadList
    | ConsistencyList
    | RandomnessList
    | AcceptedSet
    | AgreementList
    | BindingFailed
    | RoundEnd
)
ClientMessage = (
    AdvertisedKeys
    | DealtShares
    | Receipt
    | Upload
    | Consistency
    | RandomnessShares
    | MaskedStatistics
    | Agreement
    | UpdateShares
    | CrossMasks
    | Withdraw
)
AnyServerMessage = ServerMessage | FinalModel | Exclusion | NewPolicy
