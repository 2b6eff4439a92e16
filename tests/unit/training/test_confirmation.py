"""From accusation to flag: who is tested, what a passed or failed round makes of it."""

from __future__ import annotations

import json

from campaign_kit import Says, says

from auror.ids import ClientId
from auror.training.confirmation import CONFIRMATIONS, DOUBTED_CONFIRMATIONS, Confirmation

HERE = tuple(map(ClientId, range(10)))


def rounds_until_flagged(confirmation: Confirmation, verdicts: list[Says]) -> int | None:
    """Client 4, tested and passing in every round."""
    for number, verdict in enumerate(verdicts, start=1):
        confirmation.test(confirmation.accused(verdict, None), HERE)
        if confirmation.confirm(number):
            return number
    return None


def test_doubted_clients_take_more_audited_rounds() -> None:
    assert rounds_until_flagged(Confirmation(), [says(4)] * 9) == CONFIRMATIONS
    assert rounds_until_flagged(Confirmation(), [says(doubted=(4,))] * 9) == DOUBTED_CONFIRMATIONS
    assert rounds_until_flagged(Confirmation(), [says(doubted=(4,))] * 4 + [says(4)]) == 5


def test_who_was_accused_once_is_tested_on_but_not_flagged_unless_accused_again() -> None:
    assert rounds_until_flagged(Confirmation(), [says(4)] + [says()] * 9) is None
    assert rounds_until_flagged(Confirmation(), [says(4), says(), says(), says(), says(4)]) == 5
    confirmation = Confirmation()
    for index in range(CONFIRMATIONS):
        confirmation.test(confirmation.accused(says(), None), HERE)
        assert confirmation.tested == frozenset()
        confirmation.confirm(index)
    confirmation.test(confirmation.accused(says(4), None), HERE)
    confirmation.confirm(CONFIRMATIONS)
    confirmation.begin()
    assert confirmation.tested == frozenset()
    confirmation.test({}, HERE)
    assert confirmation.tested == {4}


def test_a_flag_falls_only_on_who_was_in_the_round_and_only_once() -> None:
    confirmation = Confirmation({ClientId(4): 9, ClientId(5): 9})
    accused = confirmation.accused(says(4, 5), None)
    confirmation.test(accused, (ClientId(5), ClientId(6)))
    assert confirmation.confirm(7) == (5,)
    assert confirmation.passed == {4: 9}
    assert confirmation.flagged == {5: 7}
    assert confirmation.accused(says(4, 5), None) == {4: CONFIRMATIONS}


def test_after_a_dispute_only_later_evidence_accuses() -> None:
    confirmation = Confirmation({ClientId(4): 2})
    confirmation.test({}, HERE)
    confirmation.dispute(7)
    assert confirmation.passed == {}
    assert confirmation.accused(says(4, 5, doubted=(6,)), None) == {}
    since = says(5, doubted=(6,))
    assert confirmation.accused(says(4, 5, doubted=(6,)), since) == {
        5: CONFIRMATIONS,
        6: DOUBTED_CONFIRMATIONS,
    }


def test_a_failed_check_that_tested_nobody_disputes_nothing() -> None:
    confirmation = Confirmation({ClientId(4): 2})
    confirmation.dispute(7)
    assert (confirmation.passed, confirmation.disputed) == ({4: 2}, -1)


def test_before_any_verdict_nobody_is_accused() -> None:
    assert Confirmation().accused(None, None) == {}


def test_it_survives_as_json() -> None:
    confirmation = Confirmation({ClientId(4): 2}, 7, {ClientId(5): 3})
    assert Confirmation.from_dict(json.loads(json.dumps(confirmation.to_dict()))) == confirmation
