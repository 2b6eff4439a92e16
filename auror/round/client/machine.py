"""The client's machine: (state, message) → (state, effects). No clock, no network.

``TRANSITIONS`` is the whole order of a round; any other message is refused. A refusal by one of
the client's own rules ends its round with a ``Withdraw`` and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import Entropy, Secret
from auror.crypto.signing import SigningKey
from auror.crypto.tags import Tag, tagged_hash
from auror.errors import Refusal, Refused
from auror.ids import ClientId, Digest
from auror.params import ClientPolicy
from auror.round.client.advertise import advertise, check_invitation
from auror.round.client.agree import agree, check_accepted
from auror.round.client.localise import open_cross_masks
from auror.round.client.memory import ClientMemory
from auror.round.client.open_statistics import open_statistics
from auror.round.client.share_keys import OwnShares, check_keys, share_keys, take_shares
from auror.round.client.state import (
    ClientEffect,
    Dealt,
    Ended,
    GaveUp,
    Identity,
    Invitation,
    Remember,
    Reply,
    RoundSecrets,
    Train,
    View,
)
from auror.round.client.statistics import form_view, send_statistics
from auror.round.client.unmask import unmask
from auror.round.client.upload import upload
from auror.round.description import Roster
from auror.round.messages import (
    AcceptedSet,
    AdvertisedKeys,
    AgreementList,
    BindingFailed,
    KeyList,
    RoundEnd,
    RoundStart,
    ServerMessage,
    ShareDelivery,
    StatisticsList,
    UploadList,
    Withdraw,
)
from auror.round.public import PublicSeed, agreement_parts, protocol_seed


@dataclass(frozen=True)
class Idle:
    """No round, or one that this client has left."""


@dataclass(frozen=True)
class Advertised:
    invitation: Invitation
    secrets: RoundSecrets
    own: AdvertisedKeys


@dataclass(frozen=True)
class Shared:
    invitation: Invitation
    secrets: RoundSecrets
    keys: KeyList
    own_shares: OwnShares


@dataclass(frozen=True)
class Training:
    """U2 is known, the update is not yet."""

    invitation: Invitation
    secrets: RoundSecrets
    keys: KeyList
    dealt: Dealt


@dataclass(frozen=True)
class Uploaded:
    invitation: Invitation
    secrets: RoundSecrets
    keys: KeyList
    dealt: Dealt
    quantised: NDArray[np.uint32] = field(repr=False)
    digest: Digest


@dataclass(frozen=True)
class SentStatistics:
    invitation: Invitation
    view: View


@dataclass(frozen=True)
class OpenedStatistics:
    invitation: Invitation
    view: View
    sent: frozenset[ClientId]


@dataclass(frozen=True)
class Agreed:
    invitation: Invitation
    view: View
    sent: frozenset[ClientId]
    accepted: frozenset[ClientId]


@dataclass(frozen=True)
class Unmasked:
    invitation: Invitation
    view: View
    accepted: frozenset[ClientId]


State = (
    Idle
    | Advertised
    | Shared
    | Training
    | Uploaded
    | SentStatistics
    | OpenedStatistics
    | Agreed
    | Unmasked
)

TRANSITIONS: dict[type[State], type[ServerMessage]] = {
    Advertised: KeyList,
    Shared: ShareDelivery,
    Uploaded: UploadList,
    SentStatistics: StatisticsList,
    OpenedStatistics: AcceptedSet,
    Agreed: AgreementList,
    Unmasked: BindingFailed,
}
"""The one message that each state takes, besides ``RoundStart`` and ``RoundEnd``."""


_Step = Callable[[], list[ClientEffect]]


class ClientMachine:
    """One client over many rounds."""

    def __init__(
        self,
        me: ClientId,
        signing_key: SigningKey,
        roster: Roster,
        policy: ClientPolicy,
        memory: ClientMemory,
        entropy: Entropy,
        public_seed: PublicSeed = protocol_seed,
    ) -> None:
        self._identity = Identity(me, signing_key, roster, policy, entropy, public_seed)
        self.memory = memory
        self._state: State = Idle()
        self._update: tuple[NDArray[np.float32], Secret] | None = None
        self._last: tuple[ServerMessage, list[ClientEffect]] | None = None

    def on_message(self, message: ServerMessage) -> list[ClientEffect]:
        """Take one message of the server; a repeated one gets the identical answer."""
        if self._last is not None and _same(self._last[0], message):
            return [e for e in self._last[1] if isinstance(e, Reply)]
        return self._guarded(message, lambda: self._take(message))

    def on_update(self, update: NDArray[np.float32], rounding: Secret) -> list[ClientEffect]:
        """The trained update (float32, (d,)) and a fresh seed for its stochastic rounding."""
        if isinstance(self._state, Advertised | Shared | Training):
            self._update = (update, rounding)  # else it came too late and is not kept
        if isinstance(self._state, Training):
            message = self._last[0] if self._last is not None else None
            return self._guarded(message, self._upload)
        return []

    def _guarded(self, message: ServerMessage | None, step: _Step) -> list[ClientEffect]:
        try:
            effects = step()
        except Refused as refusal:
            self._forget()
            effects = [Reply(Withdraw(refusal.reason)), GaveUp(refusal.reason, refusal.detail)]
        if message is not None:
            self._last = (message, effects)
        return effects

    def _forget(self) -> None:
        """Secrets do not outlive their round."""
        self._state, self._update = Idle(), None

    def _remember(self, memory: ClientMemory) -> Remember:
        self.memory = memory
        return Remember(memory)

    def _take(self, message: ServerMessage) -> list[ClientEffect]:
        if isinstance(message, RoundStart):
            return self._begin(message)
        if isinstance(message, RoundEnd):
            self._forget()
            return [Ended(message)]
        state = self._state
        if TRANSITIONS.get(type(state)) is not type(message):
            if self._last is not None and type(self._last[0]) is type(message):
                raise Refused(Refusal.SECOND_ANSWER, f"another {type(message).__name__}")
            raise Refused(
                Refusal.OUT_OF_TURN, f"{type(message).__name__} while {type(state).__name__}"
            )
        match state, message:
            case Advertised(), KeyList():
                return self._share(state, message)
            case Shared(), ShareDelivery():
                return self._take_shares(state, message)
            case Uploaded(), UploadList():
                return self._send_statistics(state, message)
            case SentStatistics(), StatisticsList():
                sent, shares = open_statistics(
                    self._identity, state.invitation, state.view, message
                )
                self._state = OpenedStatistics(state.invitation, state.view, sent)
                return [Reply(shares)]
            case OpenedStatistics(), AcceptedSet():
                return self._agree(state, message)
            case Agreed(), AgreementList():
                return self._unmask(state, message)
            case Unmasked(), BindingFailed():
                images = open_cross_masks(
                    self._identity, state.invitation, state.view, state.accepted
                )
                self._forget()
                return [Reply(images)]
            case _:
                raise Refused(Refusal.OUT_OF_TURN, type(message).__name__)

    def _begin(self, start: RoundStart) -> list[ClientEffect]:
        invitation = check_invitation(self._identity, self.memory, start)
        self._forget()
        remember = self._remember(self.memory.joined(start.description.round_id.counter))
        secrets, own = advertise(self._identity, invitation)
        self._state = Advertised(invitation, secrets, own)
        return [remember, Reply(own), Train(start.task, start.model)]

    def _share(self, state: Advertised, listed: KeyList) -> list[ClientEffect]:
        invitation = check_keys(self._identity, state.invitation, state.own, listed)
        own_shares, dealt = share_keys(self._identity, invitation, state.secrets, listed)
        self._state = Shared(invitation, state.secrets, listed, own_shares)
        return [Reply(dealt)]

    def _take_shares(self, state: Shared, delivery: ShareDelivery) -> list[ClientEffect]:
        dealt = take_shares(
            self._identity, state.invitation, state.secrets, state.keys, state.own_shares, delivery
        )
        self._state = Training(state.invitation, state.secrets, state.keys, dealt)
        return self._upload() if self._update is not None else []

    def _upload(self) -> list[ClientEffect]:
        state = self._state
        if not isinstance(state, Training) or self._update is None:
            raise Refused(Refusal.OUT_OF_TURN, "no update to upload")
        update, rounding = self._update
        quantised, message = upload(
            self._identity,
            state.invitation,
            state.secrets,
            state.keys,
            state.dealt,
            update,
            rounding,
        )
        self._update = None
        self._state = Uploaded(
            state.invitation, state.secrets, state.keys, state.dealt, quantised, message.digest
        )
        return [Reply(message)]

    def _send_statistics(self, state: Uploaded, told: UploadList) -> list[ClientEffect]:
        view = form_view(
            self._identity,
            state.invitation,
            state.keys,
            state.dealt,
            state.secrets,
            state.digest,
            told,
        )
        message = send_statistics(
            self._identity, state.invitation, state.secrets, view, state.quantised
        )
        remember = self._remember(
            self.memory.opened_statistics(state.invitation.model).signing("view", view.digest)
        )
        self._state = SentStatistics(state.invitation, view)
        return [remember, Reply(message)]

    def _agree(self, state: OpenedStatistics, told: AcceptedSet) -> list[ClientEffect]:
        accepted, left_out = check_accepted(
            self._identity, state.invitation, self.memory, state.view, state.sent, told
        )
        content = tagged_hash(
            Tag.AGREEMENT,
            *agreement_parts(state.invitation.transcript, state.view.digest, state.sent, accepted),
        )
        remember = self._remember(self.memory.signing("agree", content, left_out))
        self._state = Agreed(state.invitation, state.view, state.sent, accepted)
        if self._identity.me not in state.view.committee:
            return [remember]  # it has chosen too, but nobody counts its signature
        message = agree(self._identity, state.invitation, state.view, state.sent, accepted)
        return [remember, Reply(message)]

    def _unmask(self, state: Agreed, listed: AgreementList) -> list[ClientEffect]:
        shares = unmask(
            self._identity, state.invitation, state.view, state.sent, state.accepted, listed
        )
        remember = self._remember(self.memory.opened_total(state.invitation.model))
        self._state = Unmasked(state.invitation, state.view, state.accepted)
        return [remember, Reply(shares)]


def _same(earlier: ServerMessage, later: ServerMessage) -> bool:
    """Whether the server repeats itself. An invitation is named by its description: the model
    and everything else in it were checked against the description's hashes the first time."""
    if isinstance(earlier, RoundStart) and isinstance(later, RoundStart):
        return earlier.description == later.description
    if isinstance(earlier, RoundStart) or isinstance(later, RoundStart):
        return False
    return earlier == later
