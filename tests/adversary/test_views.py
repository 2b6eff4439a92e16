"""Equivocation: whoever is shown whatever, no group is opened to two sums.

Exhaustive over what each honest client can be shown: for four clients all profiles of U3, S, A and
signers; for five all profiles of U3 and S, and a sample of the whole.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from knowledge import Vector, confined
from views import Clients, Cohort, History, subsets

from auror.ids import ClientId

Profile = dict[ClientId, History]


def uploads(cohort: Cohort, client: ClientId) -> list[Clients]:
    """Every U3 that ``client`` would go on with, and one too small to show that it would not."""
    fewest = cohort.threshold - 1
    return [found for found in subsets(cohort.everybody, fewest) if client in found]


def sents(cohort: Cohort, profile: dict[ClientId, Clients], client: ClientId) -> list[Clients]:
    """Every S for which there are signatures on this client's own view: of those who were shown
    the same, and of the colluder."""
    same = {peer for peer in cohort.honest if profile[peer] == profile[client]}
    able = frozenset(same | {cohort.colluder}) & profile[client]
    return [*subsets(able, 2), frozenset()]


def assert_one_opening_per_group(cohort: Cohort, profile: Profile) -> bool:
    """What can be derived follows from one sum per group, each over enough members; returns
    whether anything can."""
    derived = cohort.derivable(profile)
    if not derived:
        return False
    assert cohort.within(derived, [opened_set(cohort, derived, group) for group in cohort.groups])
    return True


def opened_set(cohort: Cohort, derived: list[Vector], group: tuple[ClientId, ...]) -> Clients:
    """The one set of at least floor members of ``group`` whose sum explains what is known of it."""
    # what the colluder put in is no secret, in whatever group
    known = [*derived, {("input", cohort.colluder): 1}]
    about = confined(known, lambda name: name[1] in group)
    large = subsets(frozenset(group), min(cohort.floor, len(group)))
    found = next((m for m in (frozenset[ClientId](), *large) if cohort.within(about, [m])), None)
    assert found is not None, f"two openings of group {group}"
    return found


@pytest.mark.parametrize(
    ("count", "group_size"), [(4, 4), (4, 2), pytest.param(5, 5, marks=pytest.mark.slow)]
)
def test_no_profile_of_upload_lists_and_statistics_lists_opens_two_sets(
    count: int, group_size: int
) -> None:
    cohort = Cohort(count, group_size)
    opened = profiles = 0
    for views in product(*(uploads(cohort, client) for client in cohort.honest)):
        shown = dict(zip(cohort.honest, views, strict=True))
        for lists in product(*(sents(cohort, shown, client) for client in cohort.honest)):
            profile = {
                client: History(shown[client], sent)
                for client, sent in zip(cohort.honest, lists, strict=True)
            }
            if len(
                {c for c in cohort.honest if cohort.answers(c, profile[c]).statistics_seeds}
            ) + 1 < (cohort.threshold):
                continue  # too few answer: nothing is restored
            profiles += 1
            opened += assert_one_opening_per_group(cohort, profile)
    assert profiles > 0
    assert opened > 0  # an honest profile does open something


def accepteds(cohort: Cohort, sent: Clients) -> list[Clients]:
    """Unions of whole groups, and one that splits a group."""
    parts = [frozenset(group) & sent for group in cohort.groups]
    unions = {
        frozenset().union(*chosen) for chosen in product(*((part, frozenset()) for part in parts))
    }
    return sorted(unions | {sent - {min(sent)}} - {frozenset()}, key=sorted) if sent else []


def histories(cohort: Cohort) -> list[History]:
    """Of a client that was shown the true U3: every S, A, and set of signers that counts."""
    found = []
    for sent in subsets(cohort.everybody, 3):
        for accepted in accepteds(cohort, sent):
            if accepted:
                found.append(History(cohort.everybody, sent, accepted, cohort.everybody))
        found.append(History(cohort.everybody, sent))
    return found


def signed_enough(cohort: Cohort, profile: Profile) -> Profile:
    """Only signatures that exist are shown: of clients with this S and A, and the colluder's."""
    made = {}
    for client, shown in profile.items():
        same = {
            peer
            for peer, other in profile.items()
            if (other.sent, other.accepted) == (shown.sent, shown.accepted)
            and cohort.answers(peer, History(other.uploaded, other.sent, other.accepted)).signed
        }
        made[client] = (
            shown
            if shown.accepted is None
            else History(
                shown.uploaded, shown.sent, shown.accepted, frozenset(same | {cohort.colluder})
            )
        )
    return made


def check_composition(cohort: Cohort, profile: Profile) -> int:
    """Both openings together: group sums over S, and one total over A, and nothing else."""
    profile = signed_enough(cohort, profile)
    derived = cohort.derivable(profile)
    totals = {
        shown.accepted
        for client, shown in profile.items()
        if shown.accepted is not None and cohort.answers(client, shown).update_seeds
    }
    assert len(totals) <= 1
    chosen = [opened_set(cohort, derived, group) for group in cohort.groups]
    assert cohort.within(derived, [*chosen, *(t for t in totals if t is not None)])
    return len(totals)


def test_no_profile_of_four_clients_composes_the_two_openings_into_more() -> None:
    cohort = Cohort(4, 2)
    options = histories(cohort)
    totals = sum(
        check_composition(cohort, dict(zip(cohort.honest, chosen, strict=True)))
        for chosen in product(options, repeat=len(cohort.honest))
    )
    assert totals > 0


@pytest.mark.parametrize("group_size", [2, 3])
def test_sampled_profiles_of_five_and_six_clients_compose_to_nothing_more(group_size: int) -> None:
    totals = 0
    for count in (5, 6):
        cohort, rng = Cohort(count, group_size), np.random.default_rng([4, count])
        options = histories(cohort)
        for _ in range(150):
            few = [options[int(k)] for k in rng.integers(len(options), size=2)]
            few[0] = History(cohort.everybody, cohort.everybody, cohort.everybody)
            profile = {c: few[int(rng.random() < 0.3)] for c in cohort.honest}
            totals += check_composition(cohort, profile)
    assert totals > 0
