"""Numbers and keys of members over the versions of a policy, and what a version may change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rounds_kit import BUDGET, PARAMS, Deployment

from auror.errors import ConfigError
from auror.ids import ClientId, Digest
from auror.round.policy import Policy
from auror.round.policy_chain import check_follows
from auror.round.roster import Keys, Roster, RosterEntry

KIT = Deployment(7)
FIRST = KIT.policy


def keys(label: int) -> Keys:
    return Keys(bytes([label]) * 32, Digest(bytes([label + 100]) * 32))


def after(policy: Policy = FIRST, **changes: Any) -> Policy:
    return policy.successor(KIT.operator, **changes)


def ids(*numbers: int) -> set[ClientId]:
    return set(map(ClientId, numbers))


def test_a_number_is_never_given_twice() -> None:
    gone = after(without=ids(6))
    assert sorted(gone.former) == [6]
    assert gone.roster.next_number == 7
    joined = after(gone, newcomers=[keys(1), keys(2)])
    assert sorted(joined.members) == [0, 1, 2, 3, 4, 5, 7, 8]
    assert joined.members[ClientId(8)].verify_key == keys(2).verify_key
    back = after(joined, reinstated=ids(6))
    assert sorted(back.members) == list(range(9))
    assert not back.former
    assert back.members[ClientId(6)] == replace(FIRST.members[ClientId(6)], since=4)
    assert {entry.since for c, entry in back.members.items() if c in (7, 8)} == {3}
    for one, later in ((FIRST, gone), (gone, joined), (joined, back), (FIRST, back), (back, back)):
        check_follows(one, later)


def test_a_member_can_be_reinstated_too() -> None:
    anew = after(reinstated=ids(2))
    assert anew.members[ClientId(2)].since == 2
    assert anew.members.keys() == FIRST.members.keys()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"without": ids(9)}, r"client 9 is no member; those there are numbered 0 … 6"),
        ({"reinstated": ids(8)}, "client 8 is neither member nor former member"),
        ({"newcomers": [keys(1), keys(1)]}, "a newcomer's key is that of another newcomer|7"),
        ({"newcomers": [Keys(bytes([1]) * 32, keys(2).tls_key), keys(2)]}, "a newcomer's key"),
        (
            {"newcomers": [Keys(FIRST.members[ClientId(3)].verify_key, keys(1).tls_key)]},
            "a newcomer's key is that of client 3: one site is enrolled once; reinstate",
        ),
        ({"without": ids(1, 2, 3, 4, 5)}, r"group_size = 3, but the policy has 2 member\(s\)"),
    ],
    ids=str,
)
def test_changes_that_cannot_be(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        after(**changes)


def test_who_left_is_known_when_its_key_comes_again() -> None:
    gone = after(without=ids(5))
    entry = FIRST.members[ClientId(5)]
    with pytest.raises(ConfigError, match="that of client 5, who left"):
        after(gone, newcomers=[Keys(entry.verify_key, keys(1).tls_key)])


def test_a_larger_roster_is_watched_for_as_long_as_it_takes_to_decide_about_it() -> None:
    few = Deployment(6, budget=replace(BUDGET, max_watched=2))
    assert few.policy.params.group_size == PARAMS.group_size == 3
    more = few.policy.successor(few.operator, newcomers=[keys(1)])
    assert more.budget.max_watched == more.params.rounds_of_doubt(7) == 48
    assert more.budget.max_openings == few.policy.budget.max_openings
    for same in (few.policy.successor(few.operator), more.successor(few.operator, ids(0))):
        assert same.budget.max_watched in (2, 48)  # fewer, or as many: what was signed


def test_entries_that_cannot_be() -> None:
    entry = FIRST.members[ClientId(0)]
    with pytest.raises(ValueError, match="count from a version on"):
        replace(entry, since=0)
    with pytest.raises(ValueError, match="32-byte key"):
        RosterEntry(ClientId(0), b"short", entry.tls_key)
    with pytest.raises(ConfigError, match="a former member that is a member"):
        Roster(FIRST.members, {ClientId(0): entry})
    with pytest.raises(ConfigError, match="another member's number"):
        Roster({}, {ClientId(1): entry})
    with pytest.raises(ConfigError, match="a version to come"):
        replace(FIRST, members={**FIRST.members, ClientId(0): replace(entry, since=2)})


def forged(policy: Policy, **values: Any) -> Policy:
    """What an operator could sign, with a tool of its own."""
    return replace(policy, **values).signed(KIT.operator)


def swapped(entries: Any, client: int, **values: Any) -> dict[ClientId, RosterEntry]:
    return {**entries, ClientId(client): replace(entries[ClientId(client)], **values)}


SECOND = after(without=ids(6))
THIRD = after(SECOND, newcomers=[keys(1)])
LONGER = after(SECOND, further=[Digest(bytes([9]) * 32)])
LEFT = SECOND.former[ClientId(6)]


@pytest.mark.parametrize(
    ("before", "later", "words"),
    [
        (FIRST, Deployment(7, seed=3).policy, "another deployment"),
        (SECOND, FIRST, "version 1 of the policy is older than version 2"),
        (FIRST, forged(FIRST, expires=9), "two policies of one version"),
        (SECOND, after(without=ids(5)), "two policies of one version"),
        (SECOND, after(after(without=ids(5))), "does not follow version 2"),
        (FIRST, forged(SECOND, params=replace(PARAMS, colluders=0)), "other params than version 1"),
        (FIRST, forged(SECOND, caps=replace(FIRST.caps, max_statistics=7)), "other caps"),
        (FIRST, forged(SECOND, task=b"{}"), "other task"),
        (FIRST, forged(SECOND, first_models=FIRST.first_models[::-1]), "other first models"),
        (FIRST, forged(SECOND, first_models=FIRST.first_models[:1]), "other first models"),
        (FIRST, forged(SECOND, former={}), "gives the number 6 to other keys"),
        (
            FIRST,
            forged(SECOND, members=swapped(SECOND.members, 2, verify_key=bytes(32))),
            "gives the number 2 to other keys",
        ),
        (
            FIRST,
            forged(SECOND, members=swapped(SECOND.members, 2, tls_key=keys(1).tls_key)),
            "gives the number 2 to other keys",
        ),
        (
            THIRD,
            forged(after(THIRD), members=swapped(THIRD.members, 7, since=1)),
            "takes back that client 7 counts anew from version 3 on",
        ),
        (
            forged(FIRST, members={c: e for c, e in FIRST.members.items() if c != 3}),
            None,
            "gives a number below 7 to a newcomer",
        ),
        *(
            (SECOND, forged(after(SECOND), budget=replace(BUDGET, **{name: 10_000})), words)
            for name, words in (
                ("max_openings", "raises max_openings to 10000, .* only further trainings"),
                ("max_totals", "raises max_totals"),
                ("max_steps", "raises max_steps"),
                ("max_disputed", "raises max_disputed"),
                ("max_watched", "raises max_watched"),
            )
        ),
        (SECOND, forged(THIRD, budget=replace(BUDGET, max_watched=10_000)), "raises max_watched"),
        (SECOND, forged(LONGER, budget=replace(LONGER.budget, max_steps=10_000)), "raises max_st"),
        (
            SECOND,
            forged(THIRD, members=swapped(THIRD.members, 7, verify_key=LEFT.verify_key)),
            "enrols client 7 with a key of another number",
        ),
        (
            SECOND,
            forged(THIRD, members=swapped(THIRD.members, 7, tls_key=LEFT.tls_key)),
            "enrols client . with a key of another number",
        ),
        (
            SECOND,
            forged(
                after(SECOND, newcomers=[keys(1), keys(2)]),
                members={
                    **SECOND.members,
                    ClientId(7): RosterEntry(ClientId(7), bytes(32), keys(1).tls_key, 3),
                    ClientId(8): RosterEntry(ClientId(8), bytes(32), keys(2).tls_key, 3),
                },
            ),
            "enrols client . with a key of another number",
        ),
    ],
    ids=range(25),
)
def test_what_no_later_version_may_change(before: Policy, later: Policy | None, words: str) -> None:
    if later is None:
        entry = FIRST.members[ClientId(3)]
        following = before.successor(KIT.operator)
        later = forged(following, members={**following.members, ClientId(3): entry})
    with pytest.raises(ConfigError, match=words) as error:
        check_follows(before, later)
    assert "\n" not in str(error.value)


def test_a_version_follows_whatever_was_missed() -> None:
    versions = [FIRST]
    while len(versions) < 5:
        versions.append(after(versions[-1]))
    for first, one in enumerate(versions):
        for later in versions[first:]:
            assert later.follows(one.version, one.digest().hex())
            check_follows(one, later)
        for before in versions[:first]:
            assert not before.follows(one.version, one.digest().hex())
    assert not versions[3].follows(0, "")


def test_how_long_the_slow_are_waited_for_may_change() -> None:
    slower = replace(FIRST.params, patience=99, training_patience=999)
    check_follows(FIRST, FIRST.successor(KIT.operator, params=slower))


def test_budgets_grow_with_trainings_whatever_was_missed() -> None:
    """Also where each of many versions rounded up."""
    versions = [FIRST]
    for label in range(6):
        versions.append(after(versions[-1], further=[Digest(bytes([50 + label]) * 32)]))
        versions.append(after(versions[-1], newcomers=[keys(label + 1)]))
        versions.append(after(versions[-1], without=ids(6 + label)))
    for first, one in enumerate(versions):
        for later in versions[first:]:
            check_follows(one, later)
    assert versions[-1].budget.max_openings > FIRST.budget.max_openings
