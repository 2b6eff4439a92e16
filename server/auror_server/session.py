"""A training session: from the first connection to the goodbye, over as many rounds as it takes.

The session owns no rule of the protocol. It waits for what happens next, hands it to the
:class:`RoundPlayer`, and carries out what that asks for; everything heavy runs in the executor,
so the loop stays free.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

from auror.deployment.logs import logger
from auror.deployment.orders import Orders
from auror.errors import UnavailableError, UntrainedError
from auror.ids import NO_ROUND
from auror.round.messages import RoundEnd, RoundStart
from auror.round.server.context import Dropped, Persist, PhaseStarted, Send
from auror.round.server.machine import RoundServer
from auror.secagg.server.spread import Spread
from auror.training.campaign import Campaign
from auror.training.host import ModelHost
from auror.training.membership import lacks_by_hand, unwanted
from auror.wire.limits import Limits
from auror.wire.v1 import transport_pb2 as pb
from auror_server.clock import SessionClock
from auror_server.config import SessionSection
from auror_server.connections import encode_message
from auror_server.events import Joined, Ordered, Stop
from auror_server.evidence import EvidenceCollector
from auror_server.following import Following
from auror_server.invitees import Invitees
from auror_server.members import Members
from auror_server.notices import Notices, say_dropped
from auror_server.player import Action, Outcome, RoundPlayer
from auror_server.policy_watch import PolicyWatch
from auror_server.reception import Reception
from auror_server.recorder import Recorder
from auror_server.release import ModelRelease
from auror_server.sending import RoundSender
from auror_server.standing import ROUNDS, Activity, SessionEnding, Standing
from auror_server.uploads import SpooledUploads

_Result = TypeVar("_Result")
_PROGRESS_SECONDS = 2.0
_log = logger("session")


class Session:
    """One run of the server, from the first connection to the goodbye."""

    def __init__(
        self,
        settings: SessionSection,
        campaign: Campaign,
        host: ModelHost,
        recorder: Recorder,
        pool: Executor,
        clock: SessionClock,
        spread: Spread = map,
        watch: PolicyWatch | None = None,
    ) -> None:
        """``spread``: puts adding up and unmasking on several cores (``RoundServer``).
        ``watch``: finds later versions of the policy."""
        self._settings = settings
        self._campaign = campaign
        self._host = host
        self._recorder = recorder
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._spread = spread
        limits, state = Limits(campaign.policy.id_bound, host.dim, 0), campaign.state
        members = Members(campaign.policy, (lambda: None) if watch is None else watch.ready)
        self.reception = Reception(members, limits, pool, clock.now)
        """What the streams talk to."""
        self._connections = self.reception.connections
        streams, compute = self.reception, self._compute
        self._following = Following(watch, campaign, recorder, streams, host.dim, compute)
        self._notices = Notices(state, self._connections)
        self._sender = RoundSender(self._connections, recorder, compute)
        self._invitees = Invitees(campaign, streams)
        self.orders = Orders()
        """What the operator said last (``obey``)."""
        self.unwanted = unwanted(state)
        """Whom the training excluded before the round in progress."""
        self._stopping = self._last_round = False
        self._last_start = clock.now()
        self._standing = Standing(Activity.STARTING)
        self._evidence: EvidenceCollector | None = None  # of the round in progress

    def standing(self) -> dict[str, Any]:
        """What the session is doing (``Standing.to_dict``). Only for the event loop's thread."""
        return self._standing.to_dict(
            self._clock.now(),
            self._connections.clients(),
            self.reception.refusals.counts,
            self.orders.excluded,
            self._stopping or self._last_round,
        )

    def obey(self, orders: Orders) -> None:
        """Go by ``orders`` from the next round on."""
        self.orders = orders
        self.reception.inbox.put_nowait(Ordered())

    def stop_after_round(self) -> None:
        """End the session once the round in progress is over; at once where none is."""
        if self._standing.activity in ROUNDS:
            self._last_round = True
        else:
            self.stop()

    def stop(self) -> None:
        """End the session: the round is aborted, unless unmasking has begun, and clients are told.
        A second call aborts that too."""
        self.reception.inbox.put_nowait(Stop(at_once=self._stopping))
        self._stopping = True

    async def run(self) -> SessionEnding:
        """Play rounds until the training is over or :meth:`stop` is called.

        Raises:
            UnavailableError: too few clients connected in time, or too few members left.
            UntrainedError: too many rounds without a total.
        """
        await self._wait_for_clients(self._settings.min_clients)
        aborted = 0
        while not self._stopping:
            await self._wait_for_returning()
            if await self._hold():
                continue  # who was here may have left meanwhile
            # enough: a cut while the round is prepared is one within it
            here = self._invitees.available()
            await self._following.follow()
            self._standing = Standing(Activity.PREPARING)
            await self._follow_past()
            here -= self._campaign.uninvited  # a new policy may say so
            start = await self._compute(functools.partial(self._campaign.next_round, here))
            if start is None:
                await self._release()
                return SessionEnding.FINISHED
            outcome = await self._play(start)
            aborted = aborted + 1 if outcome.aborted else 0
            if self._last_round and not await self._compute(lambda: self._campaign.complete):
                self._stopping = True
            if aborted >= self._settings.max_aborted and not self._stopping:
                raise UntrainedError(
                    f"{aborted} rounds in a row were aborted, the last one: {outcome.detail};"
                    " see the log for the clients that dropped out, and start again to go on"
                )
        return SessionEnding.STOPPED

    async def _follow_past(self) -> None:
        """The next round is one that clients may join, whatever they took part in before."""
        campaign = self._campaign
        if await self._compute(functools.partial(campaign.follow, self._invitees.past())):
            await self._compute(functools.partial(self._recorder.keep, campaign))
            self._notices.follows(campaign.state.models.era)

    async def _release(self) -> None:
        """Give the final model to everybody connected, where the policy lets it go."""
        final = self._campaign.final_model()
        if final is None:
            return
        encoded = await self._compute(functools.partial(encode_message, NO_ROUND, final))
        release = ModelRelease(final, encoded, self._connections, self._settings.reconnect_grace_s)
        deadline = self._clock.now() + self._settings.phase_deadline_s
        self._standing = Standing(Activity.RELEASING, deadline=deadline)
        while not self._stopping:
            release.offer()
            now = self._clock.now()
            due = release.due(now)
            if due is None or now >= deadline:
                break
            await self._anything(min(due, deadline))
        delivered, lost = release.counts()
        _log.info("final model released", clients=delivered, lost=lost)

    def say_goodbye(self, ending: SessionEnding) -> None:
        self._standing = Standing(Activity.ENDING)
        finished = ending is SessionEnding.FINISHED
        reason = pb.GOODBYE_REASON_FINISHED if finished else pb.GOODBYE_REASON_STOPPED
        for connection in self._connections.all():
            connection.say_goodbye(reason)

    # Between rounds -----------------------------------------------------------------------------

    async def _hold(self) -> bool:
        """Begin no round while the operator says so, or excluded too many for one. Returns whether
        that took a while."""
        held, campaign = False, self._campaign
        while not self._stopping:
            campaign.by_hand, self.unwanted = self.orders.excluded, unwanted(campaign.state)
            too_few = lacks_by_hand(campaign.policy, self.unwanted, campaign.by_hand)
            if not self.orders.paused and not too_few:
                break
            if not held:
                _log.warning("paused", excluded=sorted(map(int, campaign.by_hand)))
            held, self._standing = True, Standing(Activity.PAUSED)
            await self._following.follow()
            await self._anything(self._clock.now() + _PROGRESS_SECONDS)
        return held

    async def _wait_for_clients(self, fewest: int) -> None:
        """``fewest``: 0: all members."""
        deadline = self._clock.now() + self._settings.join_timeout_s
        said = -1
        while not self._stopping:
            if await self._hold():
                deadline = self._clock.now() + self._settings.join_timeout_s
            await self._following.follow()
            available = self._invitees.available()
            here = len(available)
            expected = self._invitees.expected()
            wanted = min(fewest or len(self._campaign.policy.members), len(expected))
            missing = expected.difference(available)
            away = sorted(map(int, missing))[:10]
            self._standing = Standing(Activity.WAITING, missing, deadline)
            if here >= wanted:
                _log.info("clients connected", connected=here, wanted=wanted)
                return
            if self._clock.now() >= deadline:
                raise UnavailableError(
                    f"{here} of {wanted} clients connected within"
                    f" {self._settings.join_timeout_s:g} s: start the missing ones, such as"
                    f" {str(away)[1:-1]}, or lower session.min_clients"
                )
            if here != said:
                _log.info("waiting for clients", connected=here, wanted=wanted, away=away)
                said = here
            await self._anything(min(deadline, self._clock.now() + _PROGRESS_SECONDS))

    async def _wait_for_returning(self) -> None:
        """Give clients lost in the last round a moment to come back; then enough for a round."""
        deadline = self._clock.now() + self._settings.reconnect_grace_s
        while not self._stopping and self._clock.now() < deadline:
            recent = self._invitees.awaited(self._last_start)
            if not recent:
                break
            self._standing = Standing(Activity.WAITING, recent, deadline)
            await self._anything(deadline)
        # if exclusions leave fewer than that, the campaign says so
        fewest = min(self._campaign.policy.fewest_present(False), len(self._campaign.invitable))
        if len(self._invitees.available()) < fewest:
            await self._wait_for_clients(fewest)

    async def _anything(self, until: float) -> None:
        self._notices.tell()
        event = await self._clock.next(self.reception.inbox, until)
        if isinstance(event, Joined):
            self._notices.tell()

    # One round ----------------------------------------------------------------------------------

    async def _play(self, start: RoundStart) -> Outcome:
        description, now = start.description, self._clock.now
        self._notices.begins(description.era)
        self._last_start = now()
        self._evidence = EvidenceCollector(start)
        uploads = SpooledUploads(self._recorder.spool / "uploads")
        try:
            machine = await self._compute(
                lambda: RoundServer(start, self._campaign.policy, uploads, spread=self._spread)
            )
            player = RoundPlayer(
                machine,
                description.round_id,
                self._campaign.decide,
                self._settings,
                self._campaign.policy.params,
                self._connections.gone_since,
                now,
            )
            statistics = start.plan.rows + self._campaign.policy.params.challenge_rows
            limits = Limits(self._campaign.policy.id_bound, start.plan.dim, statistics)
            self.reception.open(description.round_id, limits, player.meter, machine.prepare)
            await self._carry(player, await self._compute(player.start))
            while player.outcome is None:
                self._standing = player.standing()
                await self._carry(player, await self._next(player))
        finally:
            uploads.close()
        self._standing = Standing(Activity.CLOSING, counter=description.round_id.counter)
        self._campaign.state.conduct.attendance.came(self.reception.late())
        end = await self._compute(functools.partial(self._conclude, player, player.outcome))
        goodbye = Send(description.cohort, end)
        await self._carry(player, [goodbye])
        self.reception.close()
        self._notices.say(self._campaign.state.index - 1)
        self._notices.tell()
        return player.outcome

    async def _next(self, player: RoundPlayer) -> list[Action]:
        """Wait for the next thing that happens and hand it to the player, with whatever else has
        happened by then: under load, one way to the executor and back for many messages."""
        inbox = self.reception.inbox
        if player.is_phase_over(inbox.qsize()):
            return await self._compute(player.on_deadline)
        event = await self._clock.next(inbox, player.due)
        if event is None:
            return []
        events = [event, *inbox.at_hand()]
        if any(isinstance(one, Joined) for one in events):
            self._notices.tell()
        return await self._compute(functools.partial(player.on_events, events, inbox.qsize))

    async def _carry(self, player: RoundPlayer, actions: list[Action]) -> None:
        sends = [action for action in actions if isinstance(action, Send)]
        encoded = iter(await self._sender.encoded(player.round_id, sends))
        for action in actions:
            match action:
                case Persist(fact):
                    self._recorder.note(fact)
                case PhaseStarted(phase, waiting):
                    self.reception.enters(phase)
                    _log.debug(
                        "phase",
                        round=str(player.round_id),
                        phase=phase.name.lower(),
                        waiting=len(waiting),
                    )
                case Dropped(client, _, _, refusal):
                    say_dropped(action)
                    if refusal is not None and refusal.is_final:
                        self._invitees.withdrew(client)
                case Send():
                    if self._evidence is not None:
                        self._evidence.saw(action.message, player.state)
                    await self._sender.send(player.meter, action, next(encoded))

    def _conclude(self, player: RoundPlayer, outcome: Outcome) -> RoundEnd:
        end, record = self._campaign.finish(player.summary, outcome.total, outcome.aborted)
        metrics = self._host.evaluate(self._campaign.state.models.model)
        self._recorder.conclude(
            self._campaign,
            record,
            outcome.total,
            metrics,
            player.meter,
            self._clock.now(),
            None if self._evidence is None else self._evidence.found,
        )
        return end

    async def _compute(self, work: Callable[[], _Result]) -> _Result:
        return await self._loop.run_in_executor(self._pool, work)
