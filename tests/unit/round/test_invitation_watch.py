"""Invitations that open label rows for certain: in so many rounds only, until a new flag."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from inviting import described, says
from rounds_kit import BUDGET, PARAMS, Deployment, invite, play, refused

from auror.errors import Refusal
from auror.ids import ClientId, Digest
from auror.round.client.memory import ClientMemory
from auror.round.facts import decode_memory, encode
from auror.round.messages import RoundStart
from auror.round.roster import Keys
from auror.round.watch import Watch

MOST = 3


def kit(rate: float = 0.1) -> Deployment:
    return Deployment(
        9, params=replace(PARAMS, watch_rate=rate), budget=replace(BUDGET, max_watched=MOST)
    )


def spent(flagged: tuple[int, ...] = (), rate: float = 0.1, **more: Any) -> ClientMemory:
    """Of who holds the policy and has let the server watch as often as that says."""
    held = ClientMemory().holding(kit(rate).policy)
    known = {"era": 0, "step": 0, "watched": MOST, **more}
    return replace(held, flagged=tuple(map(ClientId, flagged)), **known)


def without(start: RoundStart, *flagged: int, **changes: Any) -> RoundStart:
    """… the ``flagged``, whom the description names."""
    cohort = tuple(client for client in start.description.cohort if client not in flagged)
    return described(start, cohort=cohort, flagged=tuple(map(ClientId, flagged)), **changes)


def test_no_more_rounds_for_certain_than_the_policy_says() -> None:
    made = kit()
    start = made.start(1, step=2)
    assert refused(invite(made, start, spent(watched=MOST - 1))) is None
    says(
        invite(made, start, spent()),
        Refusal.WATCHED_TOO_OFTEN,
        f"{MOST} attempts since the last new flag, max_watched {MOST}",
    )
    assert refused(invite(made, described(start, watch=Watch.DRAWN), spent())) is None


def test_where_every_round_is_watched_nothing_is_counted_against_the_server() -> None:
    made = kit(rate=1.0)
    assert refused(invite(made, made.start(1, step=2), spent(rate=1.0))) is None


def test_a_new_flag_or_era_gives_as_many_again() -> None:
    made = kit()
    start = made.start(1, step=2)
    assert refused(invite(made, without(start, 7), spent())) is None
    assert refused(invite(made, without(start, 7), spent(flagged=(7,)))) is (
        Refusal.WATCHED_TOO_OFTEN
    )
    assert refused(invite(made, without(start, 6, 7), spent(flagged=(7,)))) is None
    assert refused(invite(made, start, spent(era=-1, step=-1))) is None


@pytest.mark.parametrize(
    ("flagged", "cohort", "known", "words"),
    [
        ((8, 7), range(7), (), "flagged [8, 7]"),
        ((7, 7), range(7), (), "flagged [7, 7]"),
        ((9,), range(9), (), "flagged [9]"),  # no member
        ((7,), range(9), (), "flagged [7]"),  # and invited
        ((8,), range(7), (7,), "known [7]"),  # 7 is taken back
    ],
)
def test_flags_are_sorted_members_whom_nobody_invites_and_stay(
    flagged: tuple[int, ...], cohort: range, known: tuple[int, ...], words: str
) -> None:
    made = kit()
    start = described(
        made.start(1, step=2),
        flagged=tuple(map(ClientId, flagged)),
        cohort=tuple(map(ClientId, cohort)),
    )
    says(invite(made, start, spent(known, watched=0)), Refusal.WRONG_FLAGS, words)


def test_clients_count_attempts_over_restarts_of_their_program() -> None:
    """Real rounds: as many for certain as the policy allows, then none but drawn ones; the count
    is what the client made durable."""
    made = kit()
    machines = made.machines()
    for step in range(MOST):
        played = play(made, start=made.start(step, step=step), machines=machines)
        assert played.total is not None
    kept = {client: decode_memory(encode(m.memory)) for client, m in machines.items()}
    assert {memory.watched for memory in kept.values()} == {MOST}
    again = {client: made.machine(client, memory) for client, memory in kept.items()}
    start = made.start(MOST, step=MOST)
    played = play(made, start=start, machines=again)
    assert {g.refusal for g in played.gave_up.values()} == {Refusal.WATCHED_TOO_OFTEN}
    assert played.total is None
    again = {client: made.machine(client, memory) for client, memory in kept.items()}
    drawn = play(made, start=described(start, watch=Watch.DRAWN), machines=again)
    assert drawn.total is not None
    assert {machine.memory.watched for machine in again.values()} == {MOST}


def test_a_round_counts_from_the_upload_on_even_if_it_fails() -> None:
    made = kit()
    machines = made.machines()
    silent = play(made, machines=machines, to_server=lambda _c, m: None if _late(m) else m)
    assert silent.total is None
    assert {machine.memory.watched for machine in machines.values()} == {1}


def _late(message: Any) -> bool:
    return type(message).__name__ == "Consistency"


def test_a_later_policy_begins_anew_only_where_somebody_counts_anew() -> None:
    made, held = kit(), spent((7,))
    newcomer = Keys(bytes([1]) * 32, Digest(bytes([1]) * 32))
    without = made.policy.successor(made.operator, {ClientId(6)})
    for later, watched, flagged in (
        (made.policy, MOST, (7,)),
        (without, MOST, (7,)),
        (without.successor(made.operator), MOST, (7,)),
        (without.successor(made.operator, reinstated={ClientId(6)}), 0, (7,)),
        (without.successor(made.operator, newcomers=[newcomer]), 0, (7,)),
        (made.policy.successor(made.operator, reinstated={ClientId(7)}), 0, ()),
    ):
        after = held.holding(later)
        assert (after.watched, after.flagged) == (watched, flagged)
        assert after.holding(later.successor(made.operator)).watched == watched
