"""One round at the server: events and deadlines in, what is to be sent and kept out.

No network, no disk and no waiting; the clock is an input. :class:`auror_server.session.Session`
waits, and carries out what this asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from auror.errors import AbortReason, DropReason, PeerMisbehaved
from auror.ids import RoundId
from auror.params import RoundParams
from auror.round.run import Decide
from auror.round.server.context import (
    Aborted,
    Dropped,
    Finished,
    Opened,
    Persist,
    Phase,
    PhaseStarted,
    RoundTotal,
    Send,
    ServerEffect,
)
from auror.round.server.machine import RoundServer
from auror.round.server.state import State
from auror.round.summary import RoundSummary
from auror_server.deadlines import Deadlines, GoneSince, Timing
from auror_server.events import Event, Joined, Left, Malformed, Message, Ordered, Stop
from auror_server.metrics import RoundMeter
from auror_server.standing import Activity, Standing

Action = Persist | PhaseStarted | Send | Dropped
"""To be carried out in order: a fact is durable before the next ``Send`` leaves."""


@dataclass(frozen=True)
class Outcome:
    """How a round ended; ``total`` is None exactly when ``aborted`` is set."""

    total: RoundTotal | None
    aborted: AbortReason | None
    detail: str = ""


class RoundPlayer:
    """Plays one ``RoundServer``. Calls come one at a time; they may be long."""

    def __init__(
        self,
        machine: RoundServer,
        round_id: RoundId,
        decide: Decide,
        timing: Timing,
        params: RoundParams,
        gone_since: GoneSince,
        now: Callable[[], float],
    ) -> None:
        self._machine = machine
        self.round_id = round_id
        self._decide = decide
        self._now = now
        self._deadlines = Deadlines(timing, params, gone_since)
        self.meter = RoundMeter(now())
        self.outcome: Outcome | None = None

    @property
    def state(self) -> State:
        """The server's machine's."""
        return self._machine.state

    @property
    def summary(self) -> RoundSummary:
        """How far the round got."""
        return self._machine.summary

    @property
    def due(self) -> float:
        """When the phase ends if nothing happens before."""
        return self._deadlines.due(self._machine.waiting_for)

    def standing(self) -> Standing:
        """Where the round is."""
        return Standing(
            activity=Activity.PLAYING,
            waiting_for=frozenset(self._machine.waiting_for),
            deadline=self.due,
            counter=self.round_id.counter,
            phase=self._deadlines.phase,
            since=self._deadlines.started,
            enough=self._machine.enough,
        )

    def is_phase_over(self, backlog: int) -> bool:
        """Whether :meth:`on_deadline` comes before the next of the ``backlog`` events that wait."""
        return self._deadlines.is_over(self._machine.waiting_for, self._now(), backlog)

    def start(self) -> list[Action]:
        """Invite the cohort."""
        return self._play(self._machine.start())

    def on_deadline(self) -> list[Action]:
        """The phase's time is up."""
        return self._play(self._machine.on_deadline())

    def on_events(self, events: Sequence[Event], backlog: Callable[[], int]) -> list[Action]:
        """Take what happened since, in order, as if each came alone: the phase's time may be up in
        between. ``backlog``: how many events more wait by now."""
        actions: list[Action] = []
        for at, event in enumerate(events):
            if at and self.is_phase_over(len(events) - at + backlog()):
                actions += self.on_deadline()
            if self.outcome is not None:
                break
            actions += self.on_event(event)
        return actions

    def on_event(self, event: Event) -> list[Action]:
        """Take what happened next."""
        match event:
            case Message(client, round_id, message):
                if round_id != self.round_id:
                    return []
                self.meter.answered(client, self._now())
                actions = self._play(self._machine.on_message(client, message))
                if self._machine.enough:
                    self._deadlines.enough(self._now())
                return actions
            case Joined(client):
                waiting = self._machine.resend(client)
                return [] if waiting is None else [Send((client,), waiting)]
            case Left() | Ordered():
                return []  # the deadlines see who is gone; orders are for the next round
            case Malformed(client, detail):
                fault = PeerMisbehaved(client, DropReason.MALFORMED, detail)
                return self._play(self._machine.on_fault(fault))
            case Stop(at_once):
                # clients count the total from here on: without it they would have paid for nothing
                paid = self._machine.summary.unmasking
                return [] if paid and not at_once else self._play(self._machine.stop())

    def _play(self, effects: list[ServerEffect]) -> list[Action]:
        actions: list[Action] = []
        queue = list(effects)
        while queue:
            effect = queue.pop(0)
            match effect:
                case Opened(groups, plan):
                    queue += self._machine.on_decision(self._decide(groups, plan))
                case PhaseStarted(phase):
                    self._enter(phase)
                    actions.append(effect)
                case Finished(total):
                    self._end(Outcome(total, None))
                case Aborted(reason, detail):
                    self._end(Outcome(None, reason, f"{reason.value} ({detail})"))
                case Persist() | Send() | Dropped():
                    actions.append(effect)
        return actions

    def _enter(self, phase: Phase) -> None:
        now = self._now()
        self._deadlines.enter(phase, now)
        self.meter.phase(phase, now)

    def _end(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.meter.end(self._now())
