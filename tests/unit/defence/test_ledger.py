from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from worlds import client_statistics, grouped

from auror.defence.features import FeatureBlock, FeatureKind
from auror.defence.ledger import GroupObservation, Ledger, RoundObservation
from auror.ids import ClientId


def observation(index: int, era: int = 0, width: int = 4) -> RoundObservation:
    return RoundObservation(
        index, era, (GroupObservation((ClientId(0), ClientId(1)), np.arange(width) / 3.0),)
    )


def small() -> Ledger:
    return Ledger([FeatureBlock(FeatureKind.CONFUSION, 0, 4, (2, 2))])


def test_json_keeps_every_bit() -> None:
    rng = np.random.default_rng(1)
    ledger = grouped(client_statistics(3, 12, rng), 4, rng)
    gram = rng.normal(size=(10, 10))
    ledger.append(replace(ledger.rounds[-1], round_index=3, gram=gram))
    again = Ledger.from_dict(json.loads(json.dumps(ledger.to_dict())))
    assert again.blocks == ledger.blocks
    for before, after in zip(ledger.rounds, again.rounds, strict=True):
        assert (before.round_index, before.era) == (after.round_index, after.era)
        for mine, other in zip(before.groups, after.groups, strict=True):
            assert mine.members == other.members
            assert mine.mean.tobytes() == other.mean.tobytes()
    assert [entry.gram is None for entry in again.rounds] == [True, True, True, False]
    assert again.rounds[3].gram is not None
    assert again.rounds[3].gram.tobytes() == gram.tobytes()


@pytest.mark.parametrize("bad", [observation(1), observation(0), observation(2, width=5)])
def test_append_refuses_old_rounds_and_other_widths(bad: RoundObservation) -> None:
    ledger = small()
    ledger.append(observation(1))
    with pytest.raises(ValueError):
        ledger.append(bad)
    assert len(ledger.rounds) == 1


def test_eras_do_not_go_back() -> None:
    ledger = small()
    ledger.append(observation(0, era=1))
    with pytest.raises(ValueError):
        ledger.append(observation(1, era=0))


def test_a_client_sits_in_one_group_only() -> None:
    group = GroupObservation((ClientId(3),), np.zeros(4))
    with pytest.raises(ValueError, match="two groups"):
        RoundObservation(0, 0, (group, group))


@pytest.mark.parametrize(
    ("members", "mean"), [((), [0.0]), ((1, 1), [0.0]), ((1,), [np.nan]), ((1,), [[0.0]])]
)
def test_groups_are_checked(members: tuple[int, ...], mean: list[float]) -> None:
    with pytest.raises(ValueError):
        GroupObservation(tuple(ClientId(m) for m in members), np.asarray(mean))


@pytest.mark.parametrize("data", [{}, {"blocks": [], "rounds": [{}]}, {"blocks": [{}]}])
def test_what_is_not_a_ledger_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Ledger.from_dict(data)


@pytest.mark.parametrize(
    ("kind", "start", "stop", "shape"),
    [
        (FeatureKind.SKETCH, 3, 3, (0,)),
        (FeatureKind.SKETCH, 0, 5, (4,)),
        (FeatureKind.CONFUSION, 0, 6, (2, 3)),
    ],
)
def test_blocks_are_checked(
    kind: FeatureKind, start: int, stop: int, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError):
        FeatureBlock(kind, start, stop, shape)
