"""One round at the server on a clock that the test sets: real machines, no network, no waiting."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from auror_server.config import SessionSection
from auror_server.events import Event, Joined, Left, Malformed, Message, Stop
from auror_server.player import Action, RoundPlayer
from rounds_kit import Deployment, answer, rounding

from auror.errors import AbortReason, DropReason
from auror.ids import ClientId, RoundId
from auror.round.client.state import Reply
from auror.round.facts import Attempted, UnmaskingBegun
from auror.round.messages import Agreement, ClientMessage, DealtShares, Receipt
from auror.round.run import accept_all
from auror.round.server.context import Dropped, Persist, Phase, PhaseStarted, Send
from auror.round.server.machine import RoundServer

TIMING = SessionSection(phase_deadline_s=60, upload_deadline_s=600, reconnect_grace_s=5)
LATE = ClientId(0)


class Table:
    """Seven clients, a server's player, and a clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.gone: dict[ClientId, float] = {}
        self.house = Deployment(7)
        self.machines = self.house.machines()
        start = self.house.start()
        self.player = RoundPlayer(
            RoundServer(start, self.house.policy, {}),
            start.description.round_id,
            accept_all,
            TIMING,
            self.house.policy.params,
            self.gone.get,
            lambda: self.now,
        )
        self.ready: dict[ClientId, ClientMessage] = {}
        """What each client would send next."""
        self.actions: list[Action] = []
        self.carry(self.player.start())

    @property
    def phase(self) -> Phase:
        return next(a.phase for a in reversed(self.actions) if isinstance(a, PhaseStarted))

    @property
    def dropped(self) -> dict[ClientId, DropReason]:
        return {a.client: a.reason for a in self.actions if isinstance(a, Dropped)}

    @property
    def everybody(self) -> tuple[ClientId, ...]:
        return self.house.everybody

    def carry(self, actions: list[Action]) -> list[Action]:
        """Messages reach the clients that are there; each thinks of its answer."""
        self.actions += actions
        updates = self.house.updates()
        for send in (action for action in actions if isinstance(action, Send)):
            for client in set(send.to) - self.gone.keys():
                machine = self.machines[client]
                effects = answer(machine, send.message, updates[client], rounding(client))
                replies = [effect.message for effect in effects if isinstance(effect, Reply)]
                self.ready |= dict.fromkeys([client], *replies) if replies else {}
        return actions

    def say(self, client: ClientId, message: ClientMessage) -> list[Action]:
        return self.carry(self.player.on_event(Message(client, self.player.round_id, message)))

    def answers(self, clients: Iterable[ClientId]) -> list[Action]:
        """Each says what it has ready; the last answer may end the phase."""
        said = [(client, self.ready.pop(client)) for client in clients if client in self.ready]
        return [action for client, message in said for action in self.say(client, message)]

    def reach(self, phase: Phase) -> None:
        while self.phase is not phase:
            self.answers(self.everybody)

    def wait(self, seconds: float, backlog: int = 0) -> list[Action]:
        """Time passes; when it is up, the phase ends."""
        self.now += seconds
        return self.carry(self.player.on_deadline()) if self.player.is_phase_over(backlog) else []


def others(table: Table) -> list[ClientId]:
    return [client for client in table.everybody if client != LATE]


def test_every_phase_has_its_deadline_from_its_own_start() -> None:
    table = Table()
    spans = {}
    while table.player.outcome is None:
        spans[table.phase] = table.player.due - table.now
        table.now += 7.0
        table.answers(table.everybody)
    assert table.player.outcome.total is not None
    assert table.dropped == {}
    quick = [phase for phase in Phase if phase not in (Phase.UPLOAD, Phase.LOCALISE)]
    assert spans == {Phase.UPLOAD: 600.0, **dict.fromkeys(quick, 60.0)}
    line = table.player.meter.line(0, table.now)
    assert line["seconds"] == 7.0 * len(spans)
    assert line["phases"]["upload"] == {"seconds": 7.0, "answers": [7.0] * 7}


@pytest.mark.parametrize("phase", [Phase.ADVERTISE, Phase.SHARE_KEYS, Phase.UPLOAD])
def test_who_is_silent_until_the_deadline_is_dropped(phase: Phase) -> None:
    table = Table()
    table.reach(phase)
    table.answers(others(table))
    seconds = 120.0 if phase is Phase.UPLOAD else 10.0  # the others were enough, and at once
    assert table.wait(seconds - 0.1) == []
    assert (table.phase, table.dropped) == (phase, {})
    table.wait(0.2)
    assert table.dropped == {LATE: DropReason.SILENT}
    assert table.phase is Phase(phase.value + 1)
    # its answer comes too late, and changes nothing but what is thought of it
    assert table.player.summary.late == frozenset()
    assert table.answers([LATE]) == []
    assert table.player.summary.late == {LATE}
    while table.player.outcome is None:
        table.answers(others(table))
    assert table.player.outcome.total is not None
    assert LATE not in table.player.outcome.total.accepted


def test_answers_that_wait_when_the_time_is_up_still_count() -> None:
    table = Table()
    table.reach(Phase.RECEIPTS)
    table.answers(others(table))
    assert table.wait(11.0, backlog=1) == []
    table.answers([LATE])
    assert (table.phase, table.dropped) == (Phase.UPLOAD, {})


def test_an_early_answer_is_out_of_turn_and_a_repeated_one_is_nothing() -> None:
    table = Table()
    table.reach(Phase.SHARE_KEYS)
    dealt = table.ready[LATE]
    assert isinstance(dealt, DealtShares)
    table.answers([LATE])
    assert table.say(LATE, dealt) == []
    assert table.dropped == {}
    table.say(ClientId(1), Agreement(bytes(64)))
    assert table.dropped == {ClientId(1): DropReason.OUT_OF_TURN}


def test_two_answers_to_one_question_are_equivocation() -> None:
    table = Table()
    table.reach(Phase.RECEIPTS)
    receipt = table.ready[LATE]
    assert isinstance(receipt, Receipt)
    table.answers([LATE])
    table.say(LATE, Receipt((ClientId(3),), bytes(64)))
    assert table.dropped == {LATE: DropReason.EQUIVOCATION}


def test_messages_of_other_rounds_are_nobody_s_fault() -> None:
    table = Table()
    stale = Message(LATE, RoundId(9, bytes(16)), Agreement(bytes(64)))
    assert table.player.on_event(stale) == []
    assert table.dropped == {}


def test_a_client_that_goes_and_comes_back_is_asked_again_and_answers() -> None:
    table = Table()
    table.gone[LATE] = table.now  # it goes before it was told whose keys there are
    table.reach(Phase.ADVERTISE)
    table.answers(table.everybody)
    assert table.phase is Phase.SHARE_KEYS
    table.answers(others(table))
    table.now += 4.0
    assert table.player.on_event(Left(LATE)) == []
    assert table.player.due == 1005.0
    del table.gone[LATE]
    asked = table.carry(table.player.on_event(Joined(LATE)))
    assert [a.to for a in asked if isinstance(a, Send)] == [(LATE,)]
    assert table.player.due == 1010.0  # the others were enough
    assert table.wait(5.0) == []  # the grace is no longer running
    table.answers([LATE])
    assert (table.phase, table.dropped) == (Phase.RECEIPTS, {})


def test_a_client_that_has_answered_and_returns_is_not_asked() -> None:
    table = Table()
    table.reach(Phase.RECEIPTS)
    table.answers([LATE])
    assert table.player.on_event(Joined(LATE)) == []
    assert table.carry(table.player.on_event(Joined(ClientId(1)))) != []


def test_when_only_lost_clients_are_missing_the_phase_ends_after_the_grace() -> None:
    table = Table()
    table.reach(Phase.UPLOAD)
    table.gone[LATE] = table.now + 1.0
    table.now += 2.0
    assert table.player.due == 1600.0  # others are still training
    table.answers(others(table))
    assert table.player.due == 1006.0
    assert table.wait(3.9) == []
    table.wait(0.2)
    assert table.dropped == {LATE: DropReason.SILENT}
    assert table.phase is Phase.CONSISTENCY


def test_when_all_are_lost_the_round_is_aborted_after_the_grace() -> None:
    table = Table()
    table.reach(Phase.UPLOAD)
    for k, client in enumerate(table.everybody):
        table.gone[client] = table.now + k
    assert table.player.due == 1000.0 + 6 + 5
    table.wait(10.9)
    assert table.player.outcome is None
    table.wait(0.2)
    assert table.player.outcome is not None
    assert table.player.outcome.aborted is AbortReason.TOO_FEW_UPLOADED
    assert set(table.dropped) == set(table.everybody)


def test_events_that_come_together_are_taken_one_after_the_other() -> None:
    alone, together = Table(), Table()
    for table in (alone, together):
        table.reach(Phase.UPLOAD)
    assert alone.ready.keys() == together.ready.keys()
    one_by_one = alone.answers(others(alone))
    events = [Message(c, together.player.round_id, together.ready.pop(c)) for c in others(together)]
    at_once = together.player.on_events(events, lambda: 0)
    assert [type(action) for action in at_once] == [type(action) for action in one_by_one]
    assert [a.fact for a in at_once if isinstance(a, Persist)] == [
        a.fact for a in one_by_one if isinstance(a, Persist)
    ]
    # nothing is taken any more once the round is over
    left: list[Event] = [Stop(at_once=True), Joined(LATE)]
    (ended,) = (together.player.on_events(left, lambda: 0),)
    assert together.player.outcome is not None
    assert [a for a in ended if isinstance(a, Send)] == []


@pytest.mark.parametrize("in_time", [1, 2])
def test_of_events_that_come_together_those_that_were_in_count(in_time: int) -> None:
    table = Table()
    table.reach(Phase.SHARE_KEYS)
    last = ClientId(6)
    table.answers(client for client in others(table) if client != last)
    events = [Message(c, table.player.round_id, table.ready.pop(c)) for c in (last, LATE)]
    table.now += 100.0
    assert not table.player.is_phase_over(in_time)  # so many were in when the time was up
    table.carry(table.player.on_events(events, lambda: 0))
    assert table.dropped == ({} if in_time == 2 else {LATE: DropReason.SILENT})
    assert table.phase is Phase.RECEIPTS


def test_who_sends_what_is_no_message_is_heard_no_more() -> None:
    table = Table()
    table.reach(Phase.SHARE_KEYS)
    table.carry(table.player.on_event(Malformed(LATE, "17 bytes")))
    assert table.dropped == {LATE: DropReason.MALFORMED}
    assert table.answers([LATE]) == []
    assert table.player.on_event(Joined(LATE)) == []
    table.answers(others(table))
    assert all(LATE not in a.to for a in table.actions[-5:] if isinstance(a, Send))
    assert table.phase is Phase.RECEIPTS


def test_the_operator_s_stop_aborts_the_round() -> None:
    table = Table()
    table.reach(Phase.DRAW)
    table.carry(table.player.on_event(Stop()))
    assert table.player.outcome is not None
    assert table.player.outcome.aborted is AbortReason.SERVER_STOPPED
    assert table.player.outcome.detail.startswith("server stopped")


@pytest.mark.parametrize("at_once", [False, True])
def test_a_round_whose_total_is_paid_for_is_finished_first(at_once: bool) -> None:
    table = Table()
    table.reach(Phase.UNMASK)
    assert table.carry(table.player.on_event(Stop())) == []
    if at_once:
        table.carry(table.player.on_event(Stop(at_once)))
    table.answers(table.everybody)
    assert table.player.outcome is not None
    stopped = AbortReason.SERVER_STOPPED if at_once else None
    assert table.player.outcome.aborted is stopped
    assert (table.player.outcome.total is None) is at_once


def test_what_counts_at_clients_is_noted_before_they_are_told() -> None:
    table = Table()
    while table.player.outcome is None:
        table.answers(table.everybody)
    kinds = [
        type(action.fact) if isinstance(action, Persist) else action.phase.name
        for action in table.actions
        if isinstance(action, Persist | PhaseStarted)
    ]
    for fact, phase in ((Attempted, Phase.UPLOAD), (UnmaskingBegun, Phase.UNMASK)):
        began = next(
            k
            for k, action in enumerate(table.actions)
            if isinstance(action, PhaseStarted) and action.phase is phase
        )
        noted, told = table.actions[began - 1], table.actions[began + 1]
        assert isinstance(noted, Persist)
        assert type(noted.fact) is fact
        assert isinstance(told, Send)
        assert kinds.count(fact) == 1
