"""Whatever a lying server tells each client, and in whatever order: one random draw an attempt, and
sums over the company that a client saw. Symbolic and exhaustive for four, five and six clients
(``choices``, ``choices_draw``, ``choices_opening``), with every check removed in turn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from choices import Check, Clients, Setting
from choices_draw import DrawSearch, Found, Position
from choices_opening import OpeningSearch
from choices_told import Profile, exported

ALL = frozenset(Check)
COHORTS = [(n, c) for n in (4, 5, 6) for c in (0, 1, 2)]
LONG = {(6, 0), (6, 1)}
"""Of the largest cohort, whose draws are examined in full in ``make test-all``."""
FOUR = frozenset(range(4))
"""A committee; a colluder is in it or not."""


def without(*missing: Check) -> frozenset[Check]:
    return ALL - frozenset(missing)


# The draw -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "colluders"),
    [pytest.param(*one, marks=pytest.mark.slow) if one in LONG else one for one in COHORTS],
)
def test_whoever_is_told_what_one_draw_is_left_when_one_is_known(
    count: int, colluders: int
) -> None:
    examined = 0
    for group_size in range(1, count + 1):
        search = DrawSearch(Setting(count, colluders, group_size))
        assert search.first(search.positions()) is None
        examined += search.examined
    assert examined >= count


@pytest.mark.parametrize(
    ("count", "colluders"),
    [
        (4, 1),
        (4, 2),
        (5, 2),
        *(pytest.param(*long, marks=pytest.mark.slow) for long in ((4, 0), (5, 1))),
    ],
)
def test_step_by_step_in_every_order_nothing_else_is_found(count: int, colluders: int) -> None:
    """The same claim without the argument that reduces positions."""
    search = DrawSearch(Setting(count, colluders, 2))
    assert search.first(search.every_order()) is None


@pytest.mark.parametrize("bad", [frozenset({5}), frozenset({0}), frozenset({3})])
@pytest.mark.parametrize("degree", [0, 4])
def test_a_committee_and_a_sparse_graph_leave_one_draw_too(bad: Clients, degree: int) -> None:
    search = DrawSearch(Setting(6, 1, 2, degree=degree, committee=FOUR, bad=bad))
    assert search.first(search.positions()) is None


@pytest.mark.parametrize(("count", "colluders"), COHORTS)
def test_the_company_is_what_one_draw_over_the_uploads_gives(count: int, colluders: int) -> None:
    """Exactly, over all permutations, whatever lists a client would sign."""
    for group_size in range(1, count + 1):
        assert DrawSearch(Setting(count, colluders, group_size)).unlike_one_draw() is None


@pytest.mark.parametrize(
    ("missing", "setting", "what"),
    [
        (Check.NOTED, Setting(4, 1, 2), "uncounted"),
        (Check.OWN_DIGEST, Setting(4, 1, 2), "uncounted"),
        (Check.ONE_STATEMENT, Setting(4, 1, 2), "choice"),
        (Check.QUORUM, Setting(4, 1, 2), "choice"),
        (Check.OVER_COHORT, Setting(6, 1, 2), "choice"),
        (Check.SIGN_FIRST, Setting(4, 1, 2), "choice"),
        (Check.SIGN_FIRST, Setting(5, 2, 2), "choice"),
        (Check.COMMITMENTS, Setting(4, 1, 2), "choice"),
        (Check.COMMITTEE_FROM_T, Setting(6, 1, 2, committee=FOUR), "choice"),
        (Check.COMMITTEE_FROM_T, Setting(6, 1, 2, degree=4, committee=FOUR), "choice"),
    ],
)
def test_without_one_check_the_draw_can_be_chosen(
    missing: Check, setting: Setting, what: str
) -> None:
    search = DrawSearch(_lacking(setting, missing))
    found = search.first(search.positions())
    assert found is not None
    assert found.what == what
    assert json.loads(json.dumps(found.position.exported()))["gave shares of r"]


@pytest.mark.parametrize("missing", [Check.FLOOR, Check.OWN_MEMBER, Check.GROUPS_OVER_U3])
def test_without_one_check_the_company_is_smaller_than_a_draw_gives(missing: Check) -> None:
    for count in (4, 5):
        found = DrawSearch(Setting(count, 1, 2, checks=without(missing))).unlike_one_draw()
        assert found is not None


def test_more_colluders_than_assumed_choose_the_draw() -> None:
    """Thresholds for none, and three of six collude: the search sees that, too."""
    search = DrawSearch(Setting(6, 0, 2, bad=frozenset({3, 4, 5})))
    found = search.first(search.positions())
    assert found is not None
    assert found.what == "choice"


# The openings ---------------------------------------------------------------------------------

Generator = Callable[[OpeningSearch], Iterator[Profile]]


def opens_with_its_company_only(setting: Setting, generator: Generator) -> bool:
    """And something does open, so the search is not empty."""
    search = OpeningSearch(setting)
    return search.first(generator(search)) is None and search.opened > 0


@pytest.mark.parametrize(
    ("colluders", "group_size"),
    [
        # pairs of clients make the most profiles
        pytest.param(c, g, marks=pytest.mark.slow if (c, g) == (0, 2) else ())
        for c in (0, 1, 2)
        for g in (1, 2, 3, 4)
        if c or g > 1
    ],
)
def test_no_profile_of_four_shows_statistics_without_their_company(
    colluders: int, group_size: int
) -> None:
    """Every view and every accepted set for each client; no quorum on views is asked for."""
    setting = Setting(4, colluders, group_size)
    assert opens_with_its_company_only(setting, OpeningSearch.profiles)


@pytest.mark.parametrize(
    ("count", "colluders", "group_size"),
    [
        *((5, c, g) for c in (1, 2) for g in (2, 3, 4, 5)),
        *((6, c, g) for c in (1, 2) for g in (3, 4, 5, 6)),
        (5, 0, 2),
        (6, 2, 2),
        pytest.param(6, 1, 2, marks=pytest.mark.slow),
        pytest.param(6, 0, 3, marks=pytest.mark.slow),
    ],
)
def test_no_profile_of_five_or_six_does(count: int, colluders: int, group_size: int) -> None:
    setting = Setting(count, colluders, group_size)
    assert opens_with_its_company_only(setting, OpeningSearch.main_view)


@pytest.mark.parametrize(
    ("count", "colluders", "group_size"),
    [
        *((5, c, g) for c in (0, 1, 2) for g in (2, 3)),
        (6, 1, 3),
        (6, 2, 3),
        pytest.param(6, 2, 2, marks=pytest.mark.slow),
        pytest.param(6, 1, 2, marks=pytest.mark.oracle),
    ],
)
def test_nor_when_one_is_shown_another_view_than_all_others(
    count: int, colluders: int, group_size: int
) -> None:
    setting = Setting(count, colluders, group_size)
    assert opens_with_its_company_only(setting, OpeningSearch.one_apart)


@pytest.mark.parametrize(
    "setting",
    [
        Setting(5, 0, 2, degree=2),
        Setting(6, 0, 3, degree=2),
        Setting(6, 1, 3, degree=4),
        Setting(6, 1, 3, degree=4, bad=frozenset({2})),
        Setting(6, 1, 3, degree=4, committee=FOUR),
        Setting(6, 1, 3, committee=FOUR, bad=frozenset({2})),
        pytest.param(Setting(6, 1, 2, degree=4, committee=FOUR), marks=pytest.mark.slow),
        pytest.param(Setting(6, 0, 2, degree=2), marks=pytest.mark.oracle),
    ],
    ids=lambda s: f"{s.count}-{s.colluders}-{s.group_size}-{s.degree}-{sorted(s.colluding)}",
)
def test_nor_on_a_sparse_graph_or_with_a_committee(setting: Setting) -> None:
    assert opens_with_its_company_only(setting, OpeningSearch.main_view)


@pytest.mark.parametrize(
    ("missing", "setting", "generator"),
    [
        (Check.OWN_MEMBER, Setting(4, 1, 2), OpeningSearch.profiles),
        (Check.KEYS_VERIFIED, Setting(4, 1, 2), OpeningSearch.profiles),
        (Check.ONCE, Setting(4, 1, 2), OpeningSearch.profiles),
        (Check.WHOLE_GROUPS, Setting(4, 1, 2), OpeningSearch.profiles),
        (Check.MEMBERS_SIGNED, Setting(4, 1, 2), OpeningSearch.profiles),
        (Check.MEMBERS_SIGNED, Setting(6, 1, 3), OpeningSearch.one_apart),
        (Check.ONE_ACCEPTED, Setting(5, 1, 2), OpeningSearch.main_view),
        (Check.ONE_ACCEPTED, Setting(6, 1, 3), OpeningSearch.main_view),
        (Check.AGREED, Setting(5, 1, 2), OpeningSearch.main_view),
        (Check.NEVER_BOTH, Setting(4, 1, 2), OpeningSearch.profiles),
        (Check.INSIDE_CLOSED, Setting(4, 1, 2), OpeningSearch.profiles),
        (Check.CONNECTED, Setting(6, 0, 3, degree=2), OpeningSearch.main_view),
        (Check.CONNECTED, Setting(6, 1, 3, degree=4), OpeningSearch.main_view),
        (Check.COMPLETE_ONLY, Setting(6, 0, 3, degree=2), OpeningSearch.main_view),
        (Check.COMPLETE_ONLY, Setting(6, 1, 3, degree=4), OpeningSearch.main_view),
    ],
)
def test_without_one_check_more_opens(
    missing: Check, setting: Setting, generator: Generator
) -> None:
    search = OpeningSearch(_lacking(setting, missing))
    found = search.first(generator(search))
    assert found is not None
    assert json.dumps(exported(found[1]))


def test_an_upload_masked_against_others_than_agreed_stands_alone() -> None:
    """Two checks stand behind each other here: the statement holds the U2 of the upload, and U3 is
    part of that U2. Either alone is enough; without both the search finds the upload."""
    checks = without(Check.WHOLE_STATEMENT, Check.INSIDE_U2)
    search = OpeningSearch(Setting(6, 1, 3, checks=checks))
    assert search.first(search.one_apart()) is not None
    one_left = OpeningSearch(Setting(6, 1, 3, checks=without(Check.WHOLE_STATEMENT)))
    assert one_left.first(one_left.one_apart()) is None


def test_masks_bound_to_h_keep_a_forgetful_client_from_opening_its_mates() -> None:
    """Binding to h stands behind "once": s_vw is in z_v and z_w alone, with or without h, as long
    as both answer once. A client whose memory was rolled back answers for two groups. Bound to h,
    the two answers have no mask in common; from (T) alone their difference is a mask, and a mate
    that answered once stands alone."""
    apart = {}
    for checks in (ALL, without(Check.BOUND_TO_H)):
        search = OpeningSearch(Setting(4, 0, 2, forgetful=frozenset({0}), checks=checks))
        profiles = search.statistics_only(whole=True)
        apart[checks] = next((p for p in profiles if search.stands_alone(p)), None)
    assert apart[ALL] is None
    assert apart[without(Check.BOUND_TO_H)] is not None


def test_every_check_is_removed_somewhere() -> None:
    """By the marks of the tests above, so that a new check does not go untried."""
    tried = {
        mark.args[1][k][0] if isinstance(mark.args[1][k], tuple) else mark.args[1][k]
        for test in (
            test_without_one_check_the_draw_can_be_chosen,
            test_without_one_check_the_company_is_smaller_than_a_draw_gives,
            test_without_one_check_more_opens,
        )
        for mark in test.pytestmark  # type: ignore[attr-defined]
        for k in range(len(mark.args[1]))
    }
    together = {Check.WHOLE_STATEMENT, Check.INSIDE_U2, Check.BOUND_TO_H}
    assert tried | together == ALL


def test_a_counterexample_is_plain_data() -> None:
    position = Position(((0, next(Setting(4, 1, 2).statements())),), frozenset({0}))
    whole = [0, 1, 2, 3]
    assert Found("choice", 0, position, ()).position.exported() == {
        "told": {0: {"U1": whole, "U2": whole, "U3": whole, "no upload yet": []}},
        "gave shares of r": [0],
    }  # fmt: skip


def _lacking(setting: Setting, missing: Check) -> Setting:
    return Setting(
        setting.count, setting.colluders, setting.group_size, setting.degree,
        setting.committee, setting.bad, checks=without(missing),
    )  # fmt: skip
