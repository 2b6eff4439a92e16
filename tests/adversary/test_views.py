"""Equivocation: whoever is shown whatever, no group is opened to two sums.

Exhaustive for four and five clients: every profile of U3, S and A, each client shown its own, with
all signatures that the server can get for it. Six clients are sampled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import product

import numpy as np
import pytest
from knowledge import Vector, confined
from views import Clients, Cohort, History, Knowledge, subsets

from auror.ids import ClientId

Profile = dict[ClientId, History]


def uploads(cohort: Cohort, client: ClientId) -> list[Clients]:
    """Every U3 that ``client`` would go on with, and one too small to show that it would not."""
    fewest = cohort.threshold - 1
    return [found for found in subsets(cohort.everybody, fewest) if client in found]


def sents(cohort: Cohort, shown: dict[ClientId, Clients], client: ClientId) -> tuple[Clients, ...]:
    """Every S for which there are signatures on this client's own view: of those who were shown
    the same, and of the colluder."""
    same = {peer for peer in cohort.honest if shown[peer] == shown[client]}
    able = frozenset(same | {cohort.colluder}) & shown[client]
    return tuple(subsets(able, 2))


def opened_set(cohort: Cohort, derived: Iterable[Vector], group: tuple[ClientId, ...]) -> Clients:
    """The one set of at least floor members of ``group`` whose sum explains what is known of it."""
    # what the colluder put in is no secret, in whatever group
    known = [*derived, {("input", cohort.colluder): 1}]
    about = confined(known, lambda name: name[1] in group)
    large = subsets(frozenset(group), min(cohort.floor, len(group)))
    found = next((m for m in (frozenset[ClientId](), *large) if cohort.within(about, [m])), None)
    assert found is not None, f"two openings of group {group}"
    return found


def check(cohort: Cohort, known: Knowledge, totals: frozenset[Clients]) -> None:
    """Of statistics follows one sum per group, each over enough members, of updates one total,
    and of both together no more than that."""
    derived = cohort.derivable(known)
    assert len(totals) <= 1
    chosen = [opened_set(cohort, derived, group) for group in cohort.groups]
    assert cohort.within(derived, [*chosen, *totals])
    assert cohort.within(cohort.derivable_updates(known), totals)


def accepteds(cohort: Cohort, sent: Clients) -> list[Clients]:
    """Unions of whole groups, and one set that splits a group."""
    parts = [frozenset(group) & sent for group in cohort.groups]
    unions = {
        frozenset().union(*chosen) for chosen in product(*((part, frozenset()) for part in parts))
    }
    return sorted(unions | {sent - {min(sent)}} - {frozenset()}, key=sorted) if sent else []


@cache
def paths(
    cohort: Cohort, client: ClientId, uploaded: Clients, sents: tuple[Clients, ...]
) -> tuple[History, ...]:
    """How far ``client`` goes along with each S and A; what it refuses is as if never shown."""
    found = {History(uploaded)}
    for sent in sents:
        if not cohort.answers(client, History(uploaded, sent)).statistics_seeds:
            continue
        found.add(History(uploaded, sent))
        for accepted in accepteds(cohort, sent):
            shown = History(uploaded, sent, accepted)
            if cohort.answers(client, shown).signed:
                found.add(shown)
    return tuple(sorted(found, key=repr))


def with_signatures(cohort: Cohort, profile: Profile) -> Profile:
    """Everybody is shown all signatures that exist on what it signed itself, and the colluder's.
    ``paths`` leaves only an A that the client did sign."""
    signed: dict[History, set[ClientId]] = {}
    for client, shown in profile.items():
        signed.setdefault(shown, {cohort.colluder}).add(client)
    return {
        client: shown
        if shown.accepted is None
        else History(shown.uploaded, shown.sent, shown.accepted, frozenset(signed[shown]))
        for client, shown in profile.items()
    }


def outcomes(cohort: Cohort, profiles: Iterable[Profile]) -> Counter[str]:
    """Checks every profile (each distinct state of knowledge once); counts what happened."""
    checked: set[tuple[Knowledge, frozenset[Clients]]] = set()
    count: Counter[str] = Counter()
    for chosen in profiles:
        profile = with_signatures(cohort, chosen)
        totals = frozenset(
            shown.accepted
            for client, shown in profile.items()
            if shown.accepted is not None and cohort.answers(client, shown).update_seeds
        )
        state = (cohort.knowledge(profile), totals)
        if state not in checked:
            checked.add(state)
            check(cohort, *state)
        count["profiles"] += 1
        count["totals"] += len(totals)
        count["two A signed"] += len({h.accepted for h in profile.values() if h.accepted}) > 1
    return count


def every_profile(cohort: Cohort) -> Iterator[Profile]:
    for views in product(*(uploads(cohort, client) for client in cohort.honest)):
        shown = dict(zip(cohort.honest, views, strict=True))
        options = (paths(cohort, c, shown[c], sents(cohort, shown, c)) for c in cohort.honest)
        for chosen in product(*options):
            yield dict(zip(cohort.honest, chosen, strict=True))


@pytest.mark.parametrize(
    ("count", "group_size", "several"),
    [
        (4, 4, True),
        (4, 2, False),
        (4, 1, True),
        pytest.param(5, 2, True, marks=pytest.mark.slow),
        pytest.param(5, 5, True, marks=pytest.mark.slow),
    ],
)
def test_no_profile_of_lists_opens_two_sets(count: int, group_size: int, several: bool) -> None:
    """``several``: there is more than one A that clients would sign, so two can be tried."""
    cohort = Cohort(count, group_size)
    found = outcomes(cohort, every_profile(cohort))
    assert found["totals"] > 0
    assert (found["two A signed"] > 0) == several


@pytest.mark.parametrize("group_size", [2, 3])
def test_sampled_profiles_of_six_clients_open_nothing_more(group_size: int) -> None:
    cohort, rng = Cohort(6, group_size), np.random.default_rng([4, group_size])
    lists = tuple(subsets(cohort.everybody, 5))
    options = {c: paths(cohort, c, cohort.everybody, lists) for c in cohort.honest}

    def sampled() -> Iterator[Profile]:
        for _ in range(2000):
            two = rng.integers(len(options[cohort.honest[0]]), size=2)
            yield {c: options[c][int(two[int(rng.random() < 0.3)])] for c in cohort.honest}

    count = outcomes(cohort, sampled())
    assert count["totals"] > 0
    assert count["two A signed"] > 0
