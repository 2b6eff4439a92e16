"""The client's machine: (state, message) → (state, effects). No clock, no network.

``TRANSITIONS`` is the whole order of a round; any other message is refused. A refusal by one of
the client's own rules ends its round with a ``Withdraw`` and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import Entropy, Secret
from auror.crypto.signing import SigningKey
from auror.crypto.tags import Tag, tagged_hash
from auror.errors import Refusal, Refused
from auror.ids import ClientId
from auror.params import OwnRules
from auror.round.client.final_model import LastRound, check_final_model
from auror.round.client.memory import ClientMemory
from auror.round.client.p0_advertise import Advertised, advertise, check_invitation
from auror.round.client.p1_share_keys import Shared, share_keys
from auror.round.client.p1b_receipts import Receipted, take_dealers, take_shares
from auror.round.client.p2_upload import Trained, Training, Uploaded, upload
from auror.round.client.p3a_consistency import SignedUploads, check_uploads, sign_uploads
from auror.round.client.p3b_draw import SharedRandomness, open_randomness
from auror.round.client.p4_statistics import SentStatistics, form_view, send_statistics
from auror.round.client.p5_agree import Agreed, agree, check_accepted
from auror.round.client.p6_unmask import Unmasked, unmask
from auror.round.client.p7_localise import open_cross_masks
from auror.round.client.state import (
    ClientEffect,
    Ended,
    GaveUp,
    Identity,
    Idle,
    Remember,
    Reply,
    Train,
)
from auror.round.client.transitions import State, following
from auror.round.label_rows import ClassMeans
from auror.round.messages import (
    AcceptedSet,
    AgreementList,
    BindingFailed,
    ConsistencyList,
    DealerList,
    FinalModel,
    KeyList,
    RandomnessList,
    RoundEnd,
    RoundStart,
    ServerMessage,
    ShareDelivery,
    UploadList,
    Withdraw,
)
from auror.round.policy import Policy
from auror.round.policy_chain import check_follows
from auror.round.public import PublicSeed, protocol_seed

_Step = Callable[[], list[ClientEffect]]


class ClientMachine:
    """One client over many rounds."""

    def __init__(
        self,
        me: ClientId,
        signing_key: SigningKey,
        policy: Policy,
        rules: OwnRules,
        memory: ClientMemory,
        entropy: Entropy,
        now: Callable[[], float],
        public_seed: PublicSeed = protocol_seed,
    ) -> None:
        """Raises ConfigError for own rules or a memory that do not fit ``policy``."""
        policy.check_rules(rules)
        self._identity = Identity(me, signing_key, policy, rules, entropy, now, public_seed)
        self.memory = memory.holding(policy)
        self._state: State = Idle()
        self._update: Trained | None = None
        self._last: tuple[ServerMessage, list[ClientEffect]] | None = None
        self._last_round: LastRound | None = None

    @property
    def spent(self) -> str | None:
        """Which limit of this client's data is used up; None while there is something left."""
        return self._identity.spent(self.memory)

    def adopt(self, policy: Policy) -> Remember:
        """Hold a later version of the policy from now on. A round in progress is left without a
        word, as if this program had ended: its counter is spent.

        Raises:
            ConfigError: it does not follow the version that is held.
        """
        check_follows(self._identity.policy, policy)
        remember = self._remember(self.memory.holding(policy))
        self._identity = replace(self._identity, policy=policy)
        self._forget()
        self._last = None
        return remember

    def on_message(self, message: ServerMessage) -> list[ClientEffect]:
        """Take one message of the server; a repeated one gets the identical answer."""
        if self._last is not None and _same(self._last[0], message):
            return [e for e in self._last[1] if isinstance(e, Reply)]
        return self._guarded(message, lambda: self._take(message))

    def on_update(
        self,
        update: NDArray[np.float32],
        rounding: Secret,
        class_means: ClassMeans | None = None,
    ) -> list[ClientEffect]:
        """The trained update (float32, (d,)), a fresh seed for its stochastic rounding, and what
        the signed clean samples look like under the round's model."""
        if isinstance(self._state, Advertised | Shared | Receipted | Training):
            self._update = Trained(
                update, rounding, class_means
            )  # else it came too late and is not kept
        if isinstance(self._state, Training):
            message = self._last[0] if self._last is not None else None
            return self._guarded(message, self._upload)
        return []

    def check_final(self, final: FinalModel, dim: int) -> None:
        """After the last round; ``dim``: entries of the model that the policy's task trains.

        Raises:
            Refused: it cannot be what the training ended with (``check_final_model``).
        """
        check_final_model(self._identity.policy, self.memory, self._last_round, dim, final)

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
            if self._last_round is not None:
                self._last_round = LastRound(self._last_round.start, message)
            return [Ended(message)]
        state = self._state
        if following(type(state), type(message)) is None:
            if self._last is not None and type(self._last[0]) is type(message):
                raise Refused(Refusal.SECOND_ANSWER, f"another {type(message).__name__}")
            raise Refused(
                Refusal.OUT_OF_TURN, f"{type(message).__name__} while {type(state).__name__}"
            )
        match state, message:
            case Advertised(), KeyList():
                self._state, dealt = share_keys(self._identity, state, message)
                return [Reply(dealt)]
            case Shared(), ShareDelivery():
                self._state, receipt = take_shares(self._identity, state, message)
                return [Reply(receipt)]
            case Receipted(), DealerList():
                return self._take_dealers(state, message)
            case Uploaded(), UploadList():
                return self._sign_uploads(state, message)
            case SignedUploads(), ConsistencyList():
                self._state, shares = open_randomness(self._identity, state, message)
                return [Reply(shares)]
            case SharedRandomness(), RandomnessList():
                return self._send_statistics(state, message)
            case SentStatistics(), AcceptedSet():
                return self._agree(state, message)
            case Agreed(), AgreementList():
                return self._unmask(state, message)
            case Unmasked(), BindingFailed():
                images = open_cross_masks(self._identity, state)
                self._forget()
                return [Reply(images)]
            case _:
                raise Refused(Refusal.OUT_OF_TURN, type(message).__name__)

    def _begin(self, start: RoundStart) -> list[ClientEffect]:
        self._last_round = None  # the end of a round that is refused here is another's
        invitation = check_invitation(self._identity, self.memory, start)
        self._forget()
        self._last_round = LastRound(start)
        remember = self._remember(self.memory.joined(start.description.round_id.counter))
        self._state, own = advertise(self._identity, invitation)
        return [remember, Reply(own), Train(self._identity.policy.task, start.model)]

    def _take_dealers(self, state: Receipted, told: DealerList) -> list[ClientEffect]:
        dealers = take_dealers(self._identity, state, told)
        self._state = Training(state.invitation, state.secrets, state.keys, state.held, dealers)
        return self._upload() if self._update is not None else []

    def _upload(self) -> list[ClientEffect]:
        state = self._state
        if not isinstance(state, Training) or self._update is None:
            raise Refused(Refusal.OUT_OF_TURN, "no update to upload")
        self._state, message = upload(self._identity, state, self._update)
        self._update = None
        remember = self._remember(self.memory.attempted(state.invitation.start.description))
        return [remember, Reply(message)]

    def _sign_uploads(self, state: Uploaded, told: UploadList) -> list[ClientEffect]:
        self._state = signed = check_uploads(self._identity, state, told)
        remember = self._remember(self.memory.signing("uploads", signed.uploads.digest))
        if self._identity.me not in state.invitation.committee:
            return [remember]  # it has chosen too, but nobody counts its signature
        return [remember, Reply(sign_uploads(self._identity, signed))]

    def _send_statistics(self, state: SharedRandomness, told: RandomnessList) -> list[ClientEffect]:
        view = form_view(self._identity, state, told)
        self._state, message = send_statistics(self._identity, state, view, told)
        group, labels = view.group_of(self._identity.me), view.plan.stable_rows > 0
        opened = self.memory.opened_statistics(len(group), labels)
        return [self._remember(opened.signing("view", view.digest)), Reply(message)]

    def _agree(self, state: SentStatistics, told: AcceptedSet) -> list[ClientEffect]:
        agreed, left_out = check_accepted(self._identity, state, told)
        content = tagged_hash(Tag.AGREEMENT, *agreed.signed_parts())
        remember = self._remember(self.memory.signing("agree", content, left_out))
        self._state = agreed
        if self._identity.me not in state.invitation.committee:
            return [remember]
        return [remember, Reply(agree(self._identity, agreed))]

    def _unmask(self, state: Agreed, listed: AgreementList) -> list[ClientEffect]:
        self._state, shares = unmask(self._identity, state, listed)
        remember = self._remember(self.memory.opened_total(state.invitation.start.description))
        return [remember, Reply(shares)]


def _same(earlier: ServerMessage, later: ServerMessage) -> bool:
    """Whether the server repeats itself. An invitation is named by its description: the model
    and everything else in it were checked against the description's hashes the first time."""
    if isinstance(earlier, RoundStart) and isinstance(later, RoundStart):
        return earlier.description == later.description
    if isinstance(earlier, RoundStart) or isinstance(later, RoundStart):
        return False
    return earlier == later
