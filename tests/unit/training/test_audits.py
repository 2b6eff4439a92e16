"""Which groups the total does without."""

from __future__ import annotations

from collections import Counter

import pytest

from auror.ids import GroupIndex
from auror.params import RoundParams
from auror.sim.seeded import seeded_entropy
from auror.training.audits import drawn_by, omittable

GROUPS = tuple(GroupIndex(k) for k in range(6))
SIZES = dict.fromkeys(GROUPS, 5)


def test_random_audits_happen_as_often_as_configured_and_hit_every_group() -> None:
    draw = drawn_by(seeded_entropy(3), 0.25)
    drawn = [draw(GROUPS[:3], ()) for _ in range(4000)]
    hits = Counter(drawn)
    assert 880 < 4000 - hits.pop(()) < 1120  # 1000 ± 4.4 standard deviations
    assert hits.keys() == {(index,) for index in GROUPS[:3]}
    assert all(250 < count < 420 for count in hits.values())


def test_one_of_two_groups_is_left_out_only_if_it_holds_a_suspect() -> None:
    draw = drawn_by(seeded_entropy(6), 0.999999)
    assert draw(GROUPS[:2], ()) == ()
    assert draw(GROUPS[:2], GROUPS[:1]) == GROUPS[:1]


def test_a_lone_suspects_group_is_always_left_out() -> None:
    draw = drawn_by(seeded_entropy(4), 0.0)
    assert {draw(GROUPS, (GROUPS[2],)) for _ in range(100)} == {(GROUPS[2],)}


def test_of_several_suspects_groups_every_part_is_drawn_and_nothing_else() -> None:
    """Whatever was moved among them, some draw splits it: any two groups are separated often."""
    draw = drawn_by(seeded_entropy(5), 0.1)
    suspected = GROUPS[1:4]
    drawn = [frozenset(draw(GROUPS, suspected)) for _ in range(2000)]
    assert len(set(drawn)) == 7  # all subsets but the empty one
    assert all(found <= set(suspected) for found in drawn)
    for left, right in ((1, 2), (1, 3), (2, 3)):
        split = sum((GROUPS[left] in found) != (GROUPS[right] in found) for found in drawn)
        assert split > 900


def test_the_total_keeps_enough_groups_and_clients() -> None:
    params = RoundParams(group_size=5, colluders=9)
    assert (
        omittable(GROUPS, SIZES, 30, params, 15) == GROUPS[:3]
    )  # 15 clients are left, 10 would be few
    many = RoundParams(group_size=5, colluders=2, min_accepted_groups=5)
    assert omittable(GROUPS, SIZES, 30, many, 15) == GROUPS[:1]
    assert omittable(GROUPS, SIZES, 30, RoundParams(group_size=5, min_accepted_groups=6), 15) == ()


@pytest.mark.parametrize(("dropouts", "expected"), [(0.05, 1), (0.1, 2)])
def test_a_sparse_graph_is_left_as_many_as_it_was_made_for(dropouts: float, expected: int) -> None:
    params = RoundParams(group_size=25, colluders=25, dropouts=dropouts)
    sizes = {GroupIndex(k): 25 for k in range(20)}
    assert len(omittable(tuple(sizes), sizes, 500, params, 250)) == expected
