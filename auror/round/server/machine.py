"""The server's machine: (state, message or deadline) → (state, effects). No clock, no network.

Each state takes one kind of message (``EXPECTED``) from the clients it still waits for, and ends
when all have answered or the driver says that its time is up. Misbehaviour drops a client with a
reason; too few clients abort the round with a reason; nothing else ends it early.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from collections.abc import Set as AbstractSet

from auror.errors import (
    AbortReason,
    AuthenticationFailed,
    DropReason,
    PeerMisbehaved,
    RoundAborted,
)
from auror.ids import ClientId
from auror.round import facts
from auror.round.arithmetic import check_round
from auror.round.messages import ClientMessage, RoundStart, ServerMessage, Upload, Withdraw
from auror.round.policy import Policy
from auror.round.public import PublicSeed, protocol_seed
from auror.round.record import Mark, MarkKind
from auror.round.server import (
    p1b_receipts,
    p2_upload,
    p4_statistics,
    p5_agree,
    p6_unmask,
    p7_localise,
)
from auror.round.server.bookkeeping import Answers, Misconduct, sends
from auror.round.server.context import (
    Aborted,
    Decision,
    Dropped,
    Finished,
    Opened,
    Persist,
    Phase,
    PhaseStarted,
    RoundContext,
    ServerEffect,
)
from auror.round.server.p0_advertise import Advertising
from auror.round.server.p1b_receipts import Receipting
from auror.round.server.p2_upload import Uploading
from auror.round.server.p3a_consistency import Signing
from auror.round.server.p4_statistics import SendingStatistics
from auror.round.server.p5_agree import Agreeing, Decided, Deciding
from auror.round.server.p6_unmask import TotalOpened, Unmasking
from auror.round.server.p7_localise import Localised, Localising
from auror.round.server.state import ORDER, State, Waiting, summarise
from auror.round.server.steps import close, present, take, to_present
from auror.round.summary import RoundSummary
from auror.round.watch import Watch
from auror.secagg.server.spread import Spread


class RoundServer:
    """One round at the server."""

    def __init__(
        self,
        start: RoundStart,
        policy: Policy,
        uploads: MutableMapping[ClientId, bytes],
        public_seed: PublicSeed = protocol_seed,
        spread: Spread = map,
    ) -> None:
        """``spread``: how adding up and unmasking are put on several cores.

        Raises:
            ConfigError: the parameters cannot work for this cohort.
        """
        cohort = start.description.cohort
        topology = check_round(policy.params, len(cohort), start.plan.largest_row_norm())
        self._start = start
        self._invited = frozenset(cohort)
        self._context = RoundContext.open(
            start.description, policy, start.plan, topology, uploads, public_seed, spread
        )
        self._state: State = Advertising()
        self._phase = Phase.ADVERTISE
        self._answers = Answers(self._context.transcript)
        self._faults = Misconduct()
        self.over = False

    @property
    def context(self) -> RoundContext:
        return self._context

    @property
    def state(self) -> State:
        """What is known so far; the last state before the end once the round is ``over``."""
        return self._state

    @property
    def summary(self) -> RoundSummary:
        """How far the round got."""
        return summarise(self._state, self._faults)

    @property
    def enough(self) -> bool:
        """Whether as many have answered this phase as the round needs, whoever they are; and so
        many that half of the honest are among them, whatever the c fastest do."""
        context, answered = self._context, self._answers.count
        if self._phase in (Phase.CONSISTENCY, Phase.AGREE):
            return answered >= context.topology.quorum
        half = (context.topology.cohort + context.params.colluders) // 2 + 1
        return answered >= max(context.floors.present, half)

    @property
    def waiting_for(self) -> AbstractSet[ClientId]:
        """Whose answers are missing in this phase; it changes with every answer."""
        return frozenset() if self.over else self._answers.waiting

    def start(self) -> list[ServerEffect]:
        """Invite the cohort."""
        description = self._start.description
        fact = facts.RoundBegun(
            description.round_id,
            self._context.transcript,
            description.cohort,
            description.era,
            description.step,
            description.attempt,
            description.model,
            description.parent,
        )
        outgoing: dict[ClientId, ServerMessage] = dict.fromkeys(description.cohort, self._start)
        return self._enter(Advertising(), outgoing, fact)

    def prepare(self, sender: ClientId, message: ClientMessage) -> None:
        """What of a message can be computed before its turn, by another thread: :meth:`on_message`
        of the same object is quicker then."""
        if isinstance(message, Upload):
            p2_upload.prepare(self._context, sender, message)

    def on_message(self, sender: ClientId, message: ClientMessage) -> list[ServerEffect]:
        """Take one authenticated client's message.

        A repeated message changes nothing; a different one for a phase that was answered is
        equivocation; a message of an ended phase came too late and changes nothing.
        """
        if sender in self._faults.dropped:
            self._faults.hear(sender)
            return []
        if self.over:
            return []
        if sender not in self._invited:
            return [Dropped(sender, DropReason.NOT_INVITED, "")]
        if isinstance(message, Withdraw):
            why = message.reason
            return self._after_drop(
                PeerMisbehaved(sender, DropReason.REFUSED, why.name.lower(), why)
            )
        if sender not in self._answers.waiting:
            return self._unexpected(sender, message)
        if self._is_earlier(message):
            return []
        try:
            take(self._context, self._state, sender, message)
        except PeerMisbehaved as fault:
            return self._after_drop(fault)
        self._answers.keep(sender, message)
        kept: list[ServerEffect] = []
        if isinstance(message, Upload):
            kept = [Persist(facts.UploadKept(sender, message.digest))]
        return kept + self._close_if_complete()

    def on_fault(self, fault: PeerMisbehaved) -> list[ServerEffect]:
        """What the transport found wrong with a client, such as a message it cannot read."""
        if self.over or fault.client in self._faults.dropped:
            return []
        return self._after_drop(fault)

    def on_deadline(self) -> list[ServerEffect]:
        """The phase's time is up: whoever is missing is silent."""
        if self.over or isinstance(self._state, Deciding):
            return []
        effects: list[ServerEffect] = []
        for client in sorted(self._answers.waiting):
            effects += self._drop(PeerMisbehaved(client, DropReason.SILENT, self._phase.name))
        return effects + self._close()

    def on_decision(self, decision: Decision) -> list[ServerEffect]:
        """The defence has spoken; propose its accepted groups."""
        state = self._state
        if not isinstance(state, Deciding):
            raise ValueError("no decision is due")  # noqa: TRY004 - of the round, not of a type
        if self.over:
            return []  # stopped meanwhile
        proposal = p5_agree.decide_on(state, decision)
        self._state = decided = Decided(*state.known, proposal)
        try:
            p5_agree.check_proposal(self._context, state.wired.graph, proposal)
        except RoundAborted as reason:
            return self._abort(reason)
        told = p5_agree.tell(decided, present(self._context, self._gone))
        fact = facts.SetAccepted(proposal.accepted)
        return self._enter(Agreeing(*state.known, proposal), dict(told), fact)

    def stop(self) -> list[ServerEffect]:
        """The operator ends the server."""
        return [] if self.over else self._abort(RoundAborted(AbortReason.SERVER_STOPPED))

    def resend(self, client: ClientId) -> ServerMessage | None:
        """What a client that connected again has not answered yet, or only has to know."""
        heard = self._answers.given_by(client) is not None or client in self._faults.dropped
        return None if self.over or heard else self._answers.asked.get(client)

    # From phase to phase ------------------------------------------------------------------------

    def _close(self) -> list[ServerEffect]:
        try:
            return self._next_phase()
        except RoundAborted as reason:
            return self._abort(reason)
        except AuthenticationFailed as error:
            return self._abort(RoundAborted(AbortReason.BAD_RECONSTRUCTION, str(error)))

    def _next_phase(self) -> list[ServerEffect]:
        match self._state:
            case Receipting() as state:
                return self._fix_dealers(state)
            case SendingStatistics() as state:
                return self._open(state)
            case Unmasking() as state:
                return self._unmask(state)
            case Localising() as state:
                return self._localised(state)
            case Deciding() | Decided() | TotalOpened() | Localised():
                return []  # no phase is open
            case state:
                following, outgoing, durable = close(self._context, state, self._gone)
                return self._enter(following, outgoing, *durable)

    def _fix_dealers(self, state: Receipting) -> list[ServerEffect]:
        effects: list[ServerEffect] = []
        while faults := p1b_receipts.faulty(self._context, state, self._gone):
            for fault in faults:
                effects += self._drop(fault)
        self._faults.marks += p1b_receipts.disputed(state, self._faults.marks)
        try:
            dealers, message = p1b_receipts.close(self._context, state, self._gone)
        except RoundAborted as reason:
            return [*effects, *self._abort(reason)]
        description = self._start.description
        durable = (
            facts.DealersFixed(dealers.dealt),
            facts.Attempted(description.disputed, description.watch is Watch.ALWAYS),
        )
        outgoing = to_present(self._context, message, self._gone)
        return effects + self._enter(Uploading(state.wired, dealers), outgoing, *durable)

    def _open(self, state: SendingStatistics) -> list[ServerEffect]:
        opening = p4_statistics.close(self._context, state)
        self._state = Deciding(state.wired, state.dealers, state.uploads, state.draw, opening)
        groups = tuple(group.members for group in opening.opened)
        fact = facts.SumsOpened(tuple(opening.signatures), groups)
        return [Persist(fact), Opened(opening.opened, state.draw.plan)]

    def _unmask(self, state: Unmasking) -> list[ServerEffect]:
        total = p6_unmask.close(self._context, state)
        self._state = opened = TotalOpened(*state.known, state.proposal, total)
        try:
            bound = p6_unmask.bind(opened)
        except RoundAborted as failure:
            if not state.wired.graph.is_complete:
                raise
            asked = p7_localise.ask(state, self._gone)
            localising = Localising(*state.known, state.proposal, failure, frozenset(asked))
            return self._enter(localising, dict(asked))
        self.over = True
        return [Finished(bound)]

    def _localised(self, state: Localising) -> list[ServerEffect]:
        marks, withheld = p7_localise.close(self._context, state)
        self._faults.marks += marks
        self._state = Localised(*state.known, state.proposal, withheld)
        return self._abort(state.failure)

    # Bookkeeping --------------------------------------------------------------------------------

    @property
    def _gone(self) -> AbstractSet[ClientId]:
        return self._faults.dropped.keys()

    def _enter(
        self, state: Waiting, outgoing: dict[ClientId, ServerMessage], *durable: facts.ServerFact
    ) -> list[ServerEffect]:
        """Who gets a message is waited for; in the phases of signatures, only the committee is."""
        self._state, self._phase = state, state.phase
        waiting = set(outgoing)
        if isinstance(state, Signing | Agreeing):
            waiting &= self._context.committee
        self._answers.begin(outgoing, waiting)
        return [
            *map(Persist, durable),
            PhaseStarted(state.phase, frozenset(waiting)),
            *sends(outgoing),
        ]

    def _close_if_complete(self) -> list[ServerEffect]:
        deciding = isinstance(self._state, Deciding)
        return [] if self._answers.waiting or deciding else self._close()

    def _drop(self, fault: PeerMisbehaved) -> list[ServerEffect]:
        self._answers.waiting.discard(fault.client)
        return [self._faults.book(fault)]

    def _after_drop(self, fault: PeerMisbehaved) -> list[ServerEffect]:
        return self._drop(fault) + self._close_if_complete()

    def _unexpected(self, sender: ClientId, message: ClientMessage) -> list[ServerEffect]:
        answered = self._answers.given_by(sender)
        repeated = self._answers.repeats(sender, message)
        if answered is None or repeated or self._is_earlier(message):
            return []
        same = type(message) is type(answered)
        reason = DropReason.EQUIVOCATION if same else DropReason.OUT_OF_TURN
        return self._after_drop(PeerMisbehaved(sender, reason))

    def _is_earlier(self, message: ClientMessage) -> bool:
        return ORDER.index(type(message)) < self._phase.value

    def _abort(self, reason: RoundAborted) -> list[ServerEffect]:
        self.over = True
        self._answers.waiting = set()
        if reason.culprit is not None:
            self._faults.marks.append(Mark(MarkKind.COMMITMENT, (reason.culprit,)))
        marks = tuple(mark.clients for mark in self._faults.marks)
        durable = [Persist(facts.Marked(marks))] if marks else []
        return [*durable, Aborted(reason.reason, reason.detail)]
