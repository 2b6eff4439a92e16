from __future__ import annotations

from fractions import Fraction
from itertools import permutations

import pytest

from auror.ids import ClientId
from auror.privacy.company import GroupDraw, draws, groups_lost, over_run, worst_draw
from auror.round.public import draw_groups


@pytest.mark.parametrize(
    ("everybody", "at_the_floor", "chances"),
    [
        (GroupDraw(30, 9, 5), GroupDraw(20, 9, 5), (5.3e-3, 3.25e-2)),
        (GroupDraw(30, 9, 10), GroupDraw(20, 9, 10), (1.0e-7, 1.08e-5)),
        (GroupDraw(1000, 50, 5), GroupDraw(667, 50, 5), (5.6e-6, 2.8e-5)),
    ],
)
def test_a_chosen_client_is_seldom_alone_among_colluders(
    everybody: GroupDraw, at_the_floor: GroupDraw, chances: tuple[float, float]
) -> None:
    assert float(everybody.few_honest()) == pytest.approx(chances[0], rel=0.02)
    assert float(at_the_floor.few_honest()) == pytest.approx(chances[1], rel=0.02)


def test_three_attempts_a_round_over_thirty_rounds() -> None:
    assert over_run(GroupDraw(30, 9, 5).few_honest(), 30, 3) == pytest.approx(0.38, abs=0.005)
    assert over_run(GroupDraw(20, 9, 5).few_honest(), 30, 3) == pytest.approx(0.95, abs=0.005)
    assert over_run(GroupDraw(20, 9, 10).few_honest(), 30, 3) == pytest.approx(1e-3, rel=0.05)
    assert over_run(Fraction(1), 1) == 1.0
    assert over_run(Fraction(0), 30, 3) == 0.0


def test_groups_of_five_lost_by_silence_after_the_upload() -> None:
    lost = [round(100 * groups_lost(fraction, 5)) for fraction in (0.01, 0.02, 0.05)]
    assert lost == [5, 10, 23]
    assert groups_lost(0.0, 5) == 0.0
    assert groups_lost(1.0, 5) == 1.0


@pytest.mark.parametrize(
    ("members", "colluders", "group_size"), [(5, 2, 2), (6, 2, 2), (6, 3, 3), (7, 3, 3), (7, 2, 2)]
)
def test_the_chance_is_that_of_all_permutations(
    members: int, colluders: int, group_size: int
) -> None:
    """Client 0 is the chosen one, the last ones collude, dealt as the protocol deals."""
    groups = members // group_size
    counts = [0] * members
    orders = list(permutations(range(members)))
    for order in orders:
        company = next(order[k::groups] for k in range(groups) if 0 in order[k::groups])
        counts[sum(client < members - colluders for client in company) - 1] += 1
    draw = GroupDraw(members, colluders, group_size)
    for others in range(members):
        assert draw.few_honest(others) == Fraction(sum(counts[: others + 1]), len(orders))


@pytest.mark.parametrize(("draw", "others"), [(GroupDraw(20, 9, 5), 0), (GroupDraw(23, 9, 5), 1)])
def test_the_project_draws_so(draw: GroupDraw, others: int) -> None:
    """Monte Carlo over seeds with the function that clients and server use."""
    cohort = tuple(ClientId(client) for client in range(draw.members))
    honest = set(cohort[draw.colluders :])
    seeds, few = 1500, 0
    for seed in range(seeds):
        groups = draw_groups(seed.to_bytes(32, "little"), cohort, draw.group_size)
        assert min(map(len, groups)) >= draw.group_size
        few += sum(
            present for present in (len(honest & set(group)) for group in groups)
            if 0 < present <= others + 1
        )  # fmt: skip
    assert few / seeds == pytest.approx(float(draw.expected_alone(others)), rel=0.15)


def test_groups_are_drawn_over_the_list_of_uploads_itself() -> None:
    assert GroupDraw(30, 9, 5).sizes() == {5: 6}
    assert GroupDraw(23, 9, 5).sizes() == {5: 1, 6: 3}
    assert GroupDraw(9, 2, 5).sizes() == {9: 1}


def test_the_worst_list_divides_evenly() -> None:
    assert worst_draw(30, 20, 9, 5) == GroupDraw(20, 9, 5)
    assert worst_draw(30, 23, 9, 5) == GroupDraw(25, 9, 5)  # 23 make groups of 5 and 6
    assert [draw.members for draw in draws(12, 3, 5, 4)] == [6, 7, 8, 9, 10, 11, 12]


def test_draws_that_cannot_be_are_mistakes() -> None:
    with pytest.raises(ValueError, match="groups of 5 cannot be drawn from 4"):
        GroupDraw(4, 1, 5)
    with pytest.raises(ValueError, match="at least one must be honest"):
        GroupDraw(5, 5, 5)
    with pytest.raises(ValueError, match="fills a group of 9"):
        worst_draw(8, 4, 2, 9)
