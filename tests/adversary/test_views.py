"""Equivocation: whoever is shown whatever, one draw happens and no group is taken apart.

Exhaustive for four and five clients: every profile of U3 and A, each client shown its own, with
all signatures that the server can get for it. Six clients are sampled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from knowledge import together
from views import Answers, Clients, Cohort, History, Knowledge, subsets

from auror.ids import ClientId

Profile = dict[ClientId, History]
Shown = dict[ClientId, Clients]


def uploads(cohort: Cohort, client: ClientId) -> list[Clients]:
    """Every U3 that ``client`` would go on with, and one too small to show that it would not."""
    fewest = cohort.threshold - 1
    return [found for found in subsets(cohort.everybody, fewest) if client in found]


def alike(cohort: Cohort, shown: Shown, client: ClientId) -> Clients:
    """Whose signatures there are on this client's own U3, or h: of the honest that were shown the
    same and take it, and of the colluder."""
    same = {
        peer
        for peer in cohort.honest
        if shown[peer] == shown[client]
        and cohort.answers(peer, History(shown[peer]), frozenset()).consistent
    }
    return frozenset(same | {cohort.colluder})


def check(cohort: Cohort, known: Knowledge, totals: frozenset[Clients]) -> None:
    """One draw; of statistics follow whole groups of it, of updates one total, and of both
    together no more than that. Nobody's statistics come without all the honest of the group that
    it drew itself."""
    derived = cohort.derivable(known)
    assert len(totals) <= 1
    assert len({view for _, _, view in known.statistics}) <= 1
    senders = {client for client, _, _ in known.statistics}
    whole = {
        frozenset(group)
        for _, group, _ in known.statistics
        if set(group) - {cohort.colluder} <= senders
    }
    assert cohort.within(derived, [*whole, *totals])
    assert cohort.within(cohort.derivable_updates(known), totals)
    for _, group, _ in known.statistics:
        assert together(derived, set(group) - {cohort.colluder})


def accepteds(cohort: Cohort, uploaded: Clients) -> list[Clients]:
    """Unions of whole groups, and one set that splits a group."""
    parts = [frozenset(group) for group in cohort.groups(uploaded)]
    unions = {
        frozenset().union(*chosen) for chosen in product(*((part, frozenset()) for part in parts))
    }
    return sorted(unions | {uploaded - {min(uploaded)}} - {frozenset()}, key=sorted)


def paths(cohort: Cohort, client: ClientId, shown: Shown) -> tuple[History, ...]:
    """How far ``client`` goes along with its U3 and each A; what it refuses is as if never shown.

    It is shown every signature that exists, and the draw whether or not it is known.
    """
    uploaded, signers = shown[client], alike(cohort, shown, client)
    signed = History(uploaded, signers)
    if not cohort.answers(client, History(uploaded), frozenset()).consistent:
        return (History(uploaded),)
    opened = cohort.answers(client, signed, frozenset()).randomness
    assert opened == (len(signers) >= cohort.quorum)
    drawn = History(uploaded, signers, True)
    sent = cohort.answers(client, drawn, frozenset()).statistics
    assert sent == opened
    if not sent:
        return (History(uploaded), signed)
    found = {History(uploaded), signed, drawn}
    for accepted in accepteds(cohort, uploaded):
        further = History(uploaded, signers, True, accepted)
        if cohort.answers(client, further, signers).signed:
            found.add(further)
    return tuple(sorted(found, key=repr))


def answered(cohort: Cohort, profile: Profile) -> dict[ClientId, tuple[History, Answers]]:
    """Everybody is shown all signatures that exist on what it signed itself, and the colluder's.
    ``paths`` leaves only an A that the client did sign."""
    signed: dict[History, set[ClientId]] = {}
    for client, shown in profile.items():
        signed.setdefault(shown, {cohort.colluder}).add(client)
    uploaded = {client: shown.uploaded for client, shown in profile.items()}
    found = {}
    for client, shown in profile.items():
        last = shown
        if shown.accepted is not None:
            last = replace(shown, signers=frozenset(signed[shown]))
        found[client] = last, cohort.answers(client, last, alike(cohort, uploaded, client))
    return found


def outcomes(cohort: Cohort, profiles: Iterable[Profile]) -> Counter[str]:
    """Checks every profile (each distinct state of knowledge once); counts what happened."""
    checked: set[tuple[Knowledge, frozenset[Clients]]] = set()
    count: Counter[str] = Counter()
    for chosen in profiles:
        profile = answered(cohort, chosen)
        totals = frozenset(
            shown.accepted
            for shown, answers in profile.values()
            if shown.accepted is not None and answers.update_seeds
        )
        opened = {shown.uploaded for shown, answers in profile.values() if answers.randomness}
        assert len(opened) <= 1, "shares of r for two lists"
        state = (cohort.knowledge(profile), totals)
        if state not in checked:
            checked.add(state)
            check(cohort, *state)
        count["profiles"] += 1
        count["draws"] += len(opened)
        count["totals"] += len(totals)
        taken = {shown.accepted for shown, _ in profile.values()} - {None}
        count["two A signed"] += len(taken) > 1
        count["two U3 signed"] += len({s.uploaded for s, a in profile.values() if a.consistent}) > 1
    return count


def every_profile(cohort: Cohort) -> Iterator[Profile]:
    for views in product(*(uploads(cohort, client) for client in cohort.honest)):
        shown = dict(zip(cohort.honest, views, strict=True))
        options = (paths(cohort, c, shown) for c in cohort.honest)
        for chosen in product(*options):
            yield dict(zip(cohort.honest, chosen, strict=True))


@pytest.mark.parametrize(
    ("count", "group_size", "several"),
    [
        (4, 4, False),
        (4, 2, False),
        (4, 1, True),
        pytest.param(5, 2, True, marks=pytest.mark.slow),
        pytest.param(5, 5, False, marks=pytest.mark.slow),
    ],
)
def test_no_profile_of_lists_opens_two_sets(count: int, group_size: int, several: bool) -> None:
    """``several``: there is more than one A that clients would sign, so two can be tried."""
    cohort = Cohort(count, group_size)
    found = outcomes(cohort, every_profile(cohort))
    assert found["totals"] > 0
    assert found["draws"] > 0
    assert found["two U3 signed"] > 0 or group_size == count
    assert (found["two A signed"] > 0) == several


@pytest.mark.slow
@pytest.mark.parametrize("group_size", [2, 3])
def test_sampled_profiles_of_six_clients_open_nothing_more(group_size: int) -> None:
    cohort, rng = Cohort(6, group_size), np.random.default_rng([4, group_size])
    lists = subsets(cohort.everybody, 4)

    def sampled() -> Iterator[Profile]:
        for _ in range(600):
            two = [cohort.everybody, lists[int(rng.integers(len(lists)))]]
            rare = float(rng.choice([0.0, 0.1, 0.5]))
            shown = {c: two[int(rng.random() < rare)] | {c} for c in cohort.honest}
            options = {c: paths(cohort, c, shown) for c in cohort.honest}
            yield {c: found[int(rng.integers(len(found)))] for c, found in options.items()}

    count = outcomes(cohort, sampled())
    assert count["totals"] > 0
    assert count["two U3 signed"] > 0
    # a total holds four of six at least: of two groups of three both, of three pairs two
    assert (count["two A signed"] > 0) == (group_size == 2)
