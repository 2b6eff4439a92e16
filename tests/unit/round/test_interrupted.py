"""Which rounds a crash broke off, and how far each may have got."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auror.errors import AbortReason
from auror.ids import ClientId, RoundId
from auror.round.facts import (
    Attempted,
    DealersFixed,
    Fact,
    GroupsDrawn,
    RoundBegun,
    SumsOpened,
    UnmaskingBegun,
)
from auror.round.interrupted import interrupted_rounds
from auror.round.policy import NO_DIGEST
from auror.round.watch import Watch

ONE, TWO = ClientId(1), ClientId(2)


def begun(counter: int) -> RoundBegun:
    return RoundBegun(
        RoundId(counter, bytes(16)), NO_DIGEST, (ONE, TWO), 1, 3, 2, NO_DIGEST, NO_DIGEST
    )


DEALT, ATTEMPTED = DealersFixed((ONE, TWO)), Attempted(True, True)
DRAWN = GroupsDrawn(b"seed", NO_DIGEST, ((TWO,), (ONE,)), True)
OPENED, UNMASKING = SumsOpened((TWO, ONE), ((TWO,), (ONE,))), UnmaskingBegun()


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([], []),
        ([begun(4)], [(4, False, False, False, ())]),
        ([begun(4), DEALT, ATTEMPTED], [(4, True, False, False, ())]),
        ([begun(4), DEALT, ATTEMPTED, DRAWN], [(4, True, True, False, ())]),
        ([begun(4), DEALT, ATTEMPTED, DRAWN, OPENED], [(4, True, True, False, (ONE, TWO))]),
        ([begun(4), ATTEMPTED, DRAWN, UNMASKING], [(4, True, True, True, ())]),
        (
            [begun(4), ATTEMPTED, UNMASKING, begun(5), DEALT, ATTEMPTED, begun(6)],
            [(4, True, False, True, ()), (5, True, False, False, ()), (6, False, False, False, ())],
        ),
    ],
)
def test_every_round_that_nothing_closes_is_found_with_what_clients_may_count(
    facts: list[Fact], expected: list[tuple[int, bool, bool, bool, tuple[ClientId, ...]]]
) -> None:
    found = [each.record(7, NO_DIGEST) for each in interrupted_rounds(facts)]
    assert expected == [
        (r.round_id.counter, r.attempted, r.statistics_asked, r.shares_asked, r.sent) for r in found
    ]
    assert all(r.interrupted and r.aborted is AbortReason.SERVER_STOPPED for r in found)


def test_an_interrupted_round_keeps_what_was_fixed_and_opens_all_groups() -> None:
    (found,) = interrupted_rounds([begun(4), DEALT, ATTEMPTED, DRAWN])
    assert found.disputed
    record = found.record(7, NO_DIGEST)
    assert (record.index, record.era, record.attempt) == (7, 1, 2)
    assert (record.cohort, record.dealt, record.uploaded) == ((ONE, TWO),) * 3
    assert (record.groups, record.opened_groups) == (((TWO,), (ONE,)),) * 2
    assert (record.opened, record.accepted, record.public_seed) == ((), (), b"seed")
    assert (record.watch, record.watched) == (Watch.ALWAYS, True)
    quiet = (begun(4), DEALT, Attempted(False, False), replace(DRAWN, watched=False))
    (found,) = interrupted_rounds(quiet)
    assert (found.record(7, NO_DIGEST).watch, found.record(7, NO_DIGEST).watched) == (
        Watch.DRAWN,
        False,
    )
