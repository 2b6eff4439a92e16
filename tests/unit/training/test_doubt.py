"""What was cleared is in doubt again when totals change."""

from __future__ import annotations

import numpy as np
import pytest

from auror.defence.features import FeatureBlock, FeatureKind
from auror.defence.ledger import GroupObservation, Ledger, RoundObservation
from auror.ids import ClientId
from auror.training.doubt import Doubt

COLUMNS = 4


def ledger(rounds: range, clients: int, size: int) -> Ledger:
    made = Ledger([FeatureBlock(FeatureKind.CONFUSION, 0, COLUMNS, (2, 2))])
    for index in rounds:
        made.append(
            RoundObservation(
                index,
                0,
                tuple(
                    GroupObservation(
                        tuple(map(ClientId, range(first, first + size))), np.zeros(COLUMNS)
                    )
                    for first in range(0, clients, size)
                ),
            )
        )
    return made


@pytest.mark.parametrize(("size", "enough"), [(3, 16), (5, 16), (10, 35)])
def test_doubt_remains_until_a_lie_that_began_then_would_be_alone_in_a_window(
    size: int, enough: int
) -> None:
    """At least twice eight rounds, and 2 · 1.2 sums for each of 29 differences."""
    doubt = Doubt(since=40)
    assert doubt.remains(ledger(range(41), 30, size), 30)  # none of it is later
    assert doubt.remains(ledger(range(40 + enough), 30, size), 30)
    assert not doubt.remains(ledger(range(41 + enough), 30, size), 30)
    assert not Doubt().remains(ledger(range(1), 30, size), 30)


def test_totals_tell_of_it() -> None:
    rng, doubt = np.random.default_rng(0), Doubt()
    for index in range(40):
        doubt.tell(index, rng.normal(size=(10, 10)))
    assert doubt.since == -1
    changed = rng.normal(size=(10, 10))
    changed[9, 4] += 50.0
    doubt.tell(40, changed)
    assert doubt.since == 40
    doubt.tell(41, rng.normal(size=(10, 10)))
    assert Doubt.from_dict(doubt.to_dict()).to_dict() == doubt.to_dict()
