"""One table a machine says which message each state takes; the machines do what it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from rounds_kit import MEANS, Deployment, answer, rounding

from auror.errors import DropReason, PeerMisbehaved, Refusal
from auror.ids import ClientId
from auror.round.client.machine import ClientMachine
from auror.round.client.p2_upload import Training
from auror.round.client.state import GaveUp, Idle, Reply
from auror.round.client.transitions import ALWAYS, TRANSITIONS, following
from auror.round.client.transitions import State as ClientState
from auror.round.messages import (
    ClientMessage,
    MaskedStatistics,
    RoundEnd,
    RoundStart,
    ServerMessage,
    Withdraw,
)
from auror.round.run import accept_all
from auror.round.server.context import Opened, Phase, RoundContext, Send
from auror.round.server.machine import RoundServer
from auror.round.server.state import EXPECTED, ORDER, State, Waiting
from auror.round.server.steps import take

ME, LIAR = ClientId(0), ClientId(3)
CLIENT_STATES: tuple[type[ClientState], ...] = get_args(ClientState)
SERVER_STATES: tuple[type[State], ...] = get_args(State)
TO_CLIENT: tuple[type[ServerMessage], ...] = get_args(ServerMessage)
TO_SERVER: tuple[type[ClientMessage], ...] = tuple(
    kind for kind in get_args(ClientMessage) if kind is not Withdraw
)


@dataclass
class Walk:
    """A round through all phases: one client lies about its statistics, so masks are localised."""

    kit: Deployment
    context: RoundContext = field(init=False)
    passed: list[State] = field(default_factory=list)
    """Every state that the server was in before a message, and at the end."""
    said: dict[type[ClientMessage], tuple[State, ClientId, ClientMessage]] = field(
        default_factory=dict
    )
    """The first message of each kind, whose it was, and the state that it came in."""
    told: dict[type[ServerMessage], ServerMessage] = field(default_factory=dict)
    """What ``ME`` was told."""

    def __post_init__(self) -> None:
        server = RoundServer(self.kit.start(), self.kit.policy, {})
        machines, updates = self.kit.machines(), self.kit.updates()
        self.context, queue = server.context, server.start()
        while queue or not server.over:
            effect = queue.pop(0) if queue else None
            match effect:
                case Send(to, message):
                    for client in to:
                        if client == ME:
                            self.told[type(message)] = message
                        for effect in answer(
                            machines[client], message, updates[client], rounding(client)
                        ):
                            if isinstance(effect, Reply):
                                queue += self._hand(server, client, effect.message)
                case Opened(groups, plan):
                    self.passed.append(server.state)
                    queue += server.on_decision(accept_all(groups, plan))
                case _:
                    pass
        self.passed.append(server.state)

    def _hand(self, server: RoundServer, client: ClientId, message: ClientMessage) -> Any:
        if client == LIAR and isinstance(message, MaskedStatistics):
            words = np.frombuffer(message.payload, dtype="<u8") + np.uint64(1)
            message = MaskedStatistics(words.tobytes(), message.signature)
        self.passed.append(server.state)
        self.said.setdefault(type(message), (server.state, client, message))
        return server.on_message(client, message)

    def client_in(self, kind: type[ClientState]) -> ClientMachine:
        """``ME``, told what it was told until it is in this state."""
        machine = self.kit.machine(ME)
        for message in self.told.values():
            if type(machine._state) is kind:
                break
            if isinstance(machine._state, Training):
                machine.on_update(self.kit.updates()[ME], rounding(ME), MEANS)
            if type(machine._state) is kind:
                break
            machine.on_message(message)
        assert type(machine._state) is kind
        return machine


@pytest.fixture(scope="module")
def walk(nine: Deployment) -> Walk:
    return Walk(nine)


@pytest.fixture(scope="module")
def other() -> Walk:
    """Another round: its messages repeat none of the first."""
    return Walk(Deployment(8, 1))


# The server -------------------------------------------------------------------------------------


def test_the_servers_table_names_every_state_and_every_message_once() -> None:
    assert set(EXPECTED) == set(SERVER_STATES)
    assert sorted(ORDER, key=str) == sorted(TO_SERVER, key=str)
    waiting = [kind for kind, message in EXPECTED.items() if message is not None]
    assert set(waiting) == set(get_args(Waiting))
    assert [kind.phase for kind in waiting] == list(Phase)  # type: ignore[union-attr]


def test_the_server_passes_its_states_in_the_order_of_the_table(walk: Walk) -> None:
    order = list(EXPECTED)
    passed = [order.index(type(state)) for state in walk.passed]
    assert passed == sorted(passed)
    transient = {"Decided", "TotalOpened"}  # left in the same step that they are entered
    assert {order[i].__name__ for i in passed} == {kind.__name__ for kind in order} - transient


@pytest.mark.parametrize("message", TO_SERVER, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("state", SERVER_STATES, ids=lambda kind: kind.__name__)
def test_the_server_takes_what_its_table_says(
    walk: Walk, state: type[State], message: type[ClientMessage]
) -> None:
    due, sender, content = walk.said[message]
    if EXPECTED[state] is message:
        assert type(due) is state
        take(walk.context, due, sender, content)
        return
    anywhere = state.__new__(state)  # nothing of it may be read
    with pytest.raises(PeerMisbehaved) as caught:
        take(walk.context, anywhere, sender, content)
    assert caught.value.reason is DropReason.OUT_OF_TURN


# The client -------------------------------------------------------------------------------------


def test_the_clients_table_names_every_state_and_every_message_once() -> None:
    assert set(TRANSITIONS) == set(CLIENT_STATES)
    named = [kind for taken in TRANSITIONS.values() for kind in taken] + list(ALWAYS)
    assert sorted(named, key=str) == sorted(TO_CLIENT, key=str)


@pytest.mark.parametrize("message", TO_CLIENT, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("state", CLIENT_STATES, ids=lambda kind: kind.__name__)
def test_the_client_takes_what_its_table_says(
    walk: Walk, other: Walk, state: type[ClientState], message: type[ServerMessage]
) -> None:
    machine, after = walk.client_in(state), following(state, message)
    if message is RoundStart:
        content: ServerMessage = walk.kit.start(1, step=1)
    elif message is RoundEnd:
        content = RoundEnd(bytes(32), None, (), (), (), ())  # type: ignore[arg-type]
    else:
        content = (other if after is None else walk).told[message]
    refusals = [e.refusal for e in machine.on_message(content) if isinstance(e, GaveUp)]
    if after is None:
        assert refusals in ([Refusal.OUT_OF_TURN], [Refusal.SECOND_ANSWER])
        assert type(machine._state) is Idle
    else:
        assert not refusals
        assert type(machine._state) is after


# The documentation ------------------------------------------------------------------------------


def test_both_tables_stand_in_the_protocols_description() -> None:
    text = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text(encoding="utf-8")
    for state, message in EXPECTED.items():
        assert f"| {state.__name__} | {message.__name__ if message else '—'} |" in text
    for state, taken in TRANSITIONS.items():
        for message, after in taken.items():
            assert f"| {state.__name__} | {message.__name__} | {after.__name__} |" in text
        assert taken or f"| {state.__name__} | — |" in text
