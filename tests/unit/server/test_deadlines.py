"""When a phase ends: arithmetic on a clock that the test sets."""

from __future__ import annotations

import pytest
from auror_server.config import SessionSection
from auror_server.deadlines import Deadlines

from auror.ids import ClientId
from auror.params import RoundParams
from auror.round.server.context import Phase
from auror.tools.costs import Demand
from auror.tools.plan import make_plan

A, B = ClientId(0), ClientId(1)
TIMING = SessionSection(
    phase_deadline_s=60,
    upload_deadline_s=600,
    reconnect_grace_s=5,
)
PARAMS = RoundParams(patience=8, training_patience=90)


def entered(phase: Phase, now: float = 100.0, **gone: float) -> Deadlines:
    """Of two clients, A and B; ``gone``: since when who is lost."""
    lost = {ClientId("AB".index(name)): since for name, since in gone.items()}
    deadlines = Deadlines(TIMING, PARAMS, lost.get)
    deadlines.enter(phase, now)
    return deadlines


@pytest.mark.parametrize("phase", Phase)
def test_the_upload_alone_has_the_long_deadline(phase: Phase) -> None:
    seconds = 600 if phase is Phase.UPLOAD else 60
    assert entered(phase).due({A, B}) == 100 + seconds
    assert entered(phase).due(frozenset()) == 100 + seconds


def test_a_phase_waits_for_lost_clients_for_the_grace_only() -> None:
    phase = Phase.SHARE_KEYS
    assert entered(phase, A=110).due({A, B}) == 160  # B is there and may answer
    assert entered(phase, A=110).due({A}) == 115
    assert entered(phase, A=110, B=112).due({A, B}) == 117
    assert entered(phase, A=20).due({A}) == 100  # gone for long: the phase ends when it begins
    assert entered(phase, A=159).due({A}) == 160  # never beyond the deadline


def test_at_the_start_of_a_round_the_grace_begins_anew() -> None:
    assert entered(Phase.ADVERTISE, A=20).due({A}) == 105
    assert entered(Phase.ADVERTISE, A=103).due({A}) == 105


def test_what_is_in_when_the_time_is_up_is_in_time() -> None:
    deadlines = entered(Phase.UPLOAD)
    assert not deadlines.is_over({A}, 699.9, backlog=7)
    # two wait at the deadline; those that come while they are taken are late
    assert [deadlines.is_over({A}, 700.0 + k, backlog=2 + k) for k in range(3)] == [
        False,
        False,
        True,
    ]
    assert deadlines.is_over({A}, 704.0, backlog=9)
    deadlines.enter(Phase.CONSISTENCY, 705.0)
    assert not deadlines.is_over({A}, 705.0, backlog=0)


def test_overtime_ends_when_a_lost_client_returns() -> None:
    lost: dict[ClientId, float] = {A: 110.0}
    deadlines = Deadlines(TIMING, PARAMS, lost.get)
    deadlines.enter(Phase.SHARE_KEYS, 100.0)
    assert not deadlines.is_over({A}, 115.0, backlog=1)  # the event that waits: A is back
    del lost[A]
    assert not deadlines.is_over({A}, 115.1, backlog=0)
    # at the deadline itself all that wait count again
    assert [deadlines.is_over({A}, 160.0, backlog=3) for _ in range(4)] == [
        False,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("phase", Phase)
def test_when_enough_have_answered_the_rest_get_the_patience_or_five_times_as_long(
    phase: Phase,
) -> None:
    upload = phase is Phase.UPLOAD
    least, most = (90.0, 600.0) if upload else (8.0, 60.0)
    quick, slow, slowest = (entered(phase) for _ in range(3))
    quick.enough(100.1)
    assert quick.due({A}) == 100.0 + least
    slow.enough(100.0 + least / 2)
    assert slow.due({A}) == pytest.approx(100.0 + 2.5 * least)
    slow.enough(100.0 + least)  # the first time counts
    assert slow.due({A}) == pytest.approx(100.0 + 2.5 * least)
    slowest.enough(100.0 + most / 2)
    assert slowest.due({A}) == 100.0 + most  # never beyond the deadline
    slow.enter(phase, 500.0)  # the next phase begins anew
    assert slow.due({A}) == 500.0 + most


def test_a_lost_client_gets_the_grace_within_what_is_left() -> None:
    deadlines = entered(Phase.SHARE_KEYS, A=107.0)
    deadlines.enough(100.1)
    assert deadlines.due({A}) == 108.0


def test_the_plan_says_by_how_much_one_client_can_lengthen_a_round() -> None:
    params = RoundParams(group_size=5, colluders=3)
    settings, waited = SessionSection(), 0.0
    for phase in Phase:
        deadlines = Deadlines(settings, params, lambda _client: None)
        deadlines.enter(phase, 0.0)
        deadlines.enough(0.0)
        waited += deadlines.due({ClientId(0)}) * (phase is not Phase.LOCALISE)
    planned = make_plan(Demand(clients=30, colluders=3, params=params))
    assert planned.tolerated_delay_s == waited == 200.0
