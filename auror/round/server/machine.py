"""The server's machine: (state, message or deadline) → (state, effects). No clock, no network.

Each phase takes one kind of message (``EXPECTED``) from the clients it still waits for, and ends
when all have answered or the driver says that its time is up. Misbehaviour drops a client with a
reason; too few clients abort the round with a reason; nothing else ends it early.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

from auror.errors import (
    AbortReason,
    AuthenticationFailed,
    DropReason,
    PeerMisbehaved,
    RoundAborted,
)
from auror.ids import ClientId
from auror.round.arithmetic import check_round
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
    RoundStart,
    ServerMessage,
    UpdateShares,
    Upload,
    Withdraw,
)
from auror.round.policy import Policy
from auror.round.public import PublicSeed, protocol_seed, upload_digest
from auror.round.record import Mark, MarkKind
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
from auror.round.server.context import (
    Aborted,
    Decision,
    Dropped,
    Finished,
    JsonValue,
    Opened,
    Persist,
    Phase,
    PhaseStarted,
    Progress,
    RoundContext,
    Send,
    ServerEffect,
)
from auror.round.summary import RoundSummary

EXPECTED: dict[Phase, type[ClientMessage]] = {
    Phase.ADVERTISE: AdvertisedKeys,
    Phase.SHARE_KEYS: DealtShares,
    Phase.RECEIPTS: Receipt,
    Phase.UPLOAD: Upload,
    Phase.CONSISTENCY: Consistency,
    Phase.DRAW: RandomnessShares,
    Phase.STATISTICS: MaskedStatistics,
    Phase.AGREE: Agreement,
    Phase.UNMASK: UpdateShares,
    Phase.LOCALISE: CrossMasks,
}
"""The one message that each phase takes, besides ``Withdraw``."""

PROVEN: dict[DropReason, MarkKind] = {
    DropReason.BAD_COMMITMENT: MarkKind.COMMITMENT,
    DropReason.BAD_DEALING: MarkKind.COMMITMENT,
    DropReason.FALSE_RECEIPT: MarkKind.COMMITMENT,
    DropReason.BAD_SIGNATURE: MarkKind.FAULT,
    DropReason.BAD_DIGEST: MarkKind.FAULT,
    DropReason.MALFORMED: MarkKind.FAULT,
    DropReason.EQUIVOCATION: MarkKind.FAULT,
}
"""What no client does that follows the protocol, whatever others do: it is not invited again."""


class RoundServer:
    """One round at the server."""

    def __init__(
        self,
        start: RoundStart,
        policy: Policy,
        uploads: MutableMapping[ClientId, bytes],
        public_seed: PublicSeed = protocol_seed,
    ) -> None:
        """Raises ConfigError when the parameters cannot work for this cohort."""
        cohort = start.description.cohort
        topology = check_round(policy.params, len(cohort), start.plan.largest_row_norm())
        self._start = start
        self._context = RoundContext.open(
            start.description, policy, start.plan, topology, uploads, public_seed
        )
        self._phase = Phase.ADVERTISE
        self._waiting: set[ClientId] = set()
        self._answers: dict[ClientId, ClientMessage] = {}
        self._dealings: dict[ClientId, DealtShares] = {}
        self._sent: dict[ClientId, ServerMessage] = {}
        self._deciding = False
        self._failure = RoundAborted(AbortReason.BINDING_FAILED)
        self.over = False

    @property
    def progress(self) -> Progress:
        """The round's sets so far; read only."""
        return self._context.progress

    @property
    def summary(self) -> RoundSummary:
        """How far the round got."""
        return self.progress.summary()

    @property
    def context(self) -> RoundContext:
        return self._context

    @property
    def phase(self) -> Phase:
        return self._phase

    def start(self) -> list[ServerEffect]:
        """Invite the cohort."""
        description = self._start.description
        facts = Persist(
            "round",
            {
                "round": str(description.round_id),
                "counter": description.round_id.counter,
                "nonce": description.round_id.nonce.hex(),
                "transcript": self._context.transcript.hex(),
                "cohort": [int(client) for client in description.cohort],
            },
        )
        cohort = description.cohort
        return [facts, *self._enter(Phase.ADVERTISE, dict.fromkeys(cohort, self._start))]

    def on_message(self, sender: ClientId, message: ClientMessage) -> list[ServerEffect]:
        """Take one authenticated client's message.

        A repeated message changes nothing; a different one for a phase that was answered is
        equivocation; a message of an ended phase came too late and changes nothing.
        """
        if self.over or sender in self.progress.dropped:
            return []
        if sender not in self._start.description.cohort:
            return [Dropped(sender, DropReason.NOT_INVITED, "")]
        if isinstance(message, Withdraw):
            return self._after_drop(
                PeerMisbehaved(sender, DropReason.REFUSED, message.reason.name.lower())
            )
        if sender not in self._waiting:
            return self._unexpected(sender, message)
        if not isinstance(message, EXPECTED[self._phase]):
            if self._is_earlier(message):
                return []
            return self._after_drop(PeerMisbehaved(sender, DropReason.OUT_OF_TURN))
        try:
            self._take(sender, message)
        except PeerMisbehaved as fault:
            return self._after_drop(fault)
        self._answers[sender] = self._fingerprint(sender, message)
        self._waiting.discard(sender)
        if isinstance(message, Upload):
            kept: list[ServerEffect] = [
                Persist("upload", {"client": int(sender), "digest": message.digest.hex()})
            ]
            return kept + self._close_if_complete()
        return self._close_if_complete()

    def on_fault(self, fault: PeerMisbehaved) -> list[ServerEffect]:
        """What the transport found wrong with a client, such as a message it cannot read."""
        if self.over or fault.client in self.progress.dropped:
            return []
        return self._after_drop(fault)

    def on_deadline(self) -> list[ServerEffect]:
        """The phase's time is up: whoever is missing is silent."""
        if self.over or self._deciding:
            return []
        effects: list[ServerEffect] = []
        for client in sorted(self._waiting):
            effects += self._drop(PeerMisbehaved(client, DropReason.SILENT, self._phase.name))
        return effects + self._close()

    def on_decision(self, decision: Decision) -> list[ServerEffect]:
        """The defence has spoken; propose its accepted groups."""
        if not self._deciding:
            raise ValueError("no decision is due")
        self._deciding = False
        try:
            proposal = p5_agree.propose(self._context, decision)
        except RoundAborted as reason:
            return self._abort(reason)
        facts = Persist("accepted", {"accepted": [int(client) for client in proposal.accepted]})
        outgoing = self._to_present(proposal)
        signers = self._context.committee & outgoing.keys()
        return [facts, *self._enter(Phase.AGREE, outgoing, signers)]

    def stop(self) -> list[ServerEffect]:
        """The operator ends the server."""
        if self.over:
            return []
        return self._abort(RoundAborted(AbortReason.SERVER_STOPPED))

    def resend(self, client: ClientId) -> ServerMessage | None:
        """What a client that connected again has not answered yet, or only has to know."""
        heard = self.over or client in self._answers or client in self.progress.dropped
        return None if heard else self._sent.get(client)

    @property
    def waiting_for(self) -> frozenset[ClientId]:
        """Whose answers are missing in this phase."""
        return frozenset() if self.over else frozenset(self._waiting)

    # One step per phase -------------------------------------------------------------------------

    def _take(self, sender: ClientId, message: ClientMessage) -> None:
        match message:
            case AdvertisedKeys():
                p0_advertise.take_keys(self._context, sender, message)
            case DealtShares():
                p1_share_keys.take_dealing(self._context, sender, message)
                self._dealings[sender] = message
            case Receipt():
                p1b_receipts.take_receipt(self._context, sender, message)
            case Upload():
                p2_upload.take_upload(self._context, sender, message)
            case Consistency():
                p3a_consistency.take_signature(self._context, sender, message)
            case RandomnessShares():
                p3b_draw.take_shares(self._context, sender, message)
            case MaskedStatistics():
                p4_statistics.take_statistics(self._context, sender, message)
            case Agreement():
                p5_agree.take_agreement(self._context, sender, message)
            case UpdateShares():
                p6_unmask.take_shares(self._context, sender, message)
            case CrossMasks():
                p7_localise.take_images(self._context, sender, message)
            case Withdraw():
                raise PeerMisbehaved(sender, DropReason.REFUSED)

    def _close(self) -> list[ServerEffect]:
        try:
            return self._next_phase()
        except RoundAborted as reason:
            return self._abort(reason)
        except AuthenticationFailed as error:
            return self._abort(RoundAborted(AbortReason.BAD_RECONSTRUCTION, str(error)))

    def _next_phase(self) -> list[ServerEffect]:
        context = self._context
        match self._phase:
            case Phase.ADVERTISE:
                keys = p0_advertise.close(context)
                return self._enter(Phase.SHARE_KEYS, self._to_present(keys))
            case Phase.SHARE_KEYS:
                present = {c: d for c, d in self._dealings.items() if c not in self._gone()}
                deliveries = p1_share_keys.close(context, present)
                return self._enter(Phase.RECEIPTS, dict(deliveries))
            case Phase.RECEIPTS:
                return self._fix_dealers()
            case Phase.UPLOAD:
                uploads = p2_upload.close(context)
                facts = Persist("uploaded", {"uploads": self.progress.uploads.hex()})
                outgoing = self._to_present(uploads)
                signers = context.committee & outgoing.keys()
                return [facts, *self._enter(Phase.CONSISTENCY, outgoing, signers)]
            case Phase.CONSISTENCY:
                return self._enter(Phase.DRAW, self._to_present(p3a_consistency.close(context)))
            case Phase.DRAW:
                drawn = p3b_draw.close(context)
                facts = Persist(
                    "drawn",
                    {"seed": self.progress.public_seed.hex(), "view": self.progress.view.hex()},
                )
                return [facts, *self._enter(Phase.STATISTICS, self._to_present(drawn))]
            case Phase.STATISTICS:
                opened = p4_statistics.close(context)
                self._deciding = True
                facts = Persist(
                    "opened",
                    {
                        "sent": [int(client) for client in self.progress.signatures],
                        "groups": [[int(c) for c in group.members] for group in opened],
                    },
                )
                return [facts, Opened(opened, p4_statistics.full_plan(context))]
            case Phase.AGREE:
                return self._enter(Phase.UNMASK, self._to_present(p5_agree.close(context)))
            case Phase.UNMASK:
                return self._unmask()
            case Phase.LOCALISE:
                self.progress.marks += p7_localise.close(context)
                raise self._failure

    def _fix_dealers(self) -> list[ServerEffect]:
        """Who goes may have held shares of others, so what is left is looked at again."""
        effects: list[ServerEffect] = []
        context = self._context
        while faults := p1b_receipts.proven(context) or p1b_receipts.unrecoverable(context):
            for fault in faults:
                effects += self._drop(fault)
        try:
            dealers = p1b_receipts.close(self._context)
        except RoundAborted as reason:
            return [*effects, *self._abort(reason)]
        facts = Persist("dealt", {"dealt": [int(client) for client in dealers.dealers]})
        return [*effects, facts, *self._enter(Phase.UPLOAD, self._to_present(dealers))]

    def _unmask(self) -> list[ServerEffect]:
        try:
            total = p6_unmask.close(self._context)
        except RoundAborted as failure:
            if failure.reason is not AbortReason.BINDING_FAILED or (
                not self._context.graph.is_complete
            ):
                raise
            self._failure = failure
            return self._enter(Phase.LOCALISE, dict(p7_localise.ask(self._context)))
        self.over = True
        return [Finished(total)]

    # Bookkeeping --------------------------------------------------------------------------------

    def _gone(self) -> set[ClientId]:
        return set(self.progress.dropped)

    def _to_present(self, message: ServerMessage) -> dict[ClientId, ServerMessage]:
        """The same message for everybody who answered so far and was not dropped."""
        return {c: message for c in self._start.description.cohort if c not in self._gone()}

    def _enter(
        self,
        phase: Phase,
        outgoing: dict[ClientId, ServerMessage],
        answering: AbstractSet[ClientId] | None = None,
    ) -> list[ServerEffect]:
        """``answering``: who is waited for; by default everybody who gets a message."""
        self._phase = phase
        self._answers = {}
        self._waiting = set(outgoing if answering is None else answering)
        self._sent = outgoing
        effects: list[ServerEffect] = [PhaseStarted(phase, frozenset(self._waiting))]
        by_message: dict[int, list[ClientId]] = {}
        for client, message in outgoing.items():
            by_message.setdefault(id(message), []).append(client)
        effects += [
            Send(tuple(sorted(clients)), outgoing[clients[0]]) for clients in by_message.values()
        ]
        return effects

    def _close_if_complete(self) -> list[ServerEffect]:
        return self._close() if not self._waiting and not self._deciding else []

    def _drop(self, fault: PeerMisbehaved) -> list[ServerEffect]:
        self._waiting.discard(fault.client)
        self.progress.dropped[fault.client] = fault.reason
        kind = PROVEN.get(fault.reason)
        if kind is not None:
            self.progress.marks.append(Mark(kind, (fault.client,)))
        return [Dropped(fault.client, fault.reason, fault.detail)]

    def _after_drop(self, fault: PeerMisbehaved) -> list[ServerEffect]:
        return self._drop(fault) + self._close_if_complete()

    def _unexpected(self, sender: ClientId, message: ClientMessage) -> list[ServerEffect]:
        answered = self._answers.get(sender)
        repeated = answered == self._fingerprint(sender, message)
        if answered is None or repeated or self._is_earlier(message):
            return []
        kind = type(message) is type(answered)
        reason = DropReason.EQUIVOCATION if kind else DropReason.OUT_OF_TURN
        return self._after_drop(PeerMisbehaved(sender, reason))

    def _fingerprint(self, sender: ClientId, message: ClientMessage) -> ClientMessage:
        """What is kept to recognise a repetition: of an upload its digest, not its megabytes."""
        if not isinstance(message, Upload):
            return message
        return replace(
            message, payload=upload_digest(self._context.transcript, sender, message.payload)
        )

    def _is_earlier(self, message: ClientMessage) -> bool:
        order = [EXPECTED[phase] for phase in Phase]
        return order.index(type(message)) < order.index(EXPECTED[self._phase])

    def _abort(self, reason: RoundAborted) -> list[ServerEffect]:
        self.over = True
        self._waiting = set()
        if reason.culprit is not None:
            self.progress.marks.append(Mark(MarkKind.COMMITMENT, (reason.culprit,)))
        marks: list[JsonValue] = [[int(c) for c in mark.clients] for mark in self.progress.marks]
        facts: list[ServerEffect] = [Persist("marks", {"marks": marks})] if marks else []
        return [*facts, Aborted(reason.reason, reason.detail)]
