"""From accusation to flag."""

from __future__ import annotations

from dataclasses import dataclass, field

from auror.ids import ClientId
from auror.training.suspects import CONFIRMATIONS, DOUBTED_CONFIRMATIONS, Suspects

NOBODY: frozenset[ClientId] = frozenset()


@dataclass
class Says:
    flagged: frozenset[ClientId] = NOBODY
    doubted: frozenset[ClientId] = NOBODY
    scores: dict[ClientId, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        return {}


def says(*flagged: int, doubted: tuple[int, ...] = ()) -> Says:
    return Says(frozenset(map(ClientId, flagged)), frozenset(map(ClientId, doubted)))


def rounds_until_flagged(suspects: Suspects, verdicts: list[Says]) -> int | None:
    """Client 4, tested and passing in every round."""
    for number, verdict in enumerate(verdicts, start=1):
        accused = suspects.accused(verdict, None)
        if suspects.confirm(suspects.tested(accused), accused):
            return number
    return None


def test_doubted_clients_take_more_audited_rounds() -> None:
    assert rounds_until_flagged(Suspects(), [says(4)] * 9) == CONFIRMATIONS
    assert rounds_until_flagged(Suspects(), [says(doubted=(4,))] * 9) == DOUBTED_CONFIRMATIONS
    assert rounds_until_flagged(Suspects(), [says(doubted=(4,))] * 4 + [says(4)]) == 5


def test_who_was_accused_once_is_tested_on_but_not_flagged_unless_accused_again() -> None:
    assert rounds_until_flagged(Suspects(), [says(4)] + [says()] * 9) is None
    assert rounds_until_flagged(Suspects(), [says(4), says(), says(), says(), says(4)]) == 5
    suspects = Suspects()
    for _ in range(CONFIRMATIONS):
        accused = suspects.accused(says(), None)
        assert suspects.tested(accused) == NOBODY
    suspects.confirm(frozenset({ClientId(4)}), {})
    assert suspects.tested({}) == {4}


def test_a_flag_falls_only_on_who_was_in_the_round() -> None:
    suspects = Suspects({ClientId(4): 9, ClientId(5): 9})
    accused = suspects.accused(says(4, 5), None)
    assert suspects.confirm(frozenset({ClientId(5)}), accused) == (5,)
    assert suspects.passed == {4: 9}


def test_after_a_dispute_only_later_evidence_accuses() -> None:
    suspects = Suspects({ClientId(4): 2})
    suspects.dispute(7)
    assert suspects.passed == {}
    assert suspects.accused(says(4, 5, doubted=(6,)), None) == {}
    since = says(5, doubted=(6,))
    assert suspects.accused(says(4, 5, doubted=(6,)), since) == {
        5: CONFIRMATIONS,
        6: DOUBTED_CONFIRMATIONS,
    }


def test_before_any_verdict_nobody_is_accused() -> None:
    assert Suspects().accused(None, None) == {}


def test_it_survives_as_json() -> None:
    suspects = Suspects({ClientId(4): 2}, 7)
    assert Suspects.from_dict(suspects.to_dict()) == suspects
