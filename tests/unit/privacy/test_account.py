from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from helpers_account import ENTRIES, drawn_groups, record, truth

from auror.errors import AbortReason
from auror.ids import ClientId
from auror.privacy.account import PrivacyAccount, account, range_bits
from auror.round.record import RoundRecord

N = 12


def own(seed: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(N, ENTRIES))


def rounds_of(size: int, count: int, seed: int = 3) -> list[RoundRecord]:
    rng = np.random.default_rng(seed)
    return [record(r, drawn_groups(rng, N, size)) for r in range(count)]


def of(records: list[RoundRecord], noise: float = 1.0, g: int = 3) -> PrivacyAccount:
    return account(
        records,
        group_size=g,
        colluders=3,
        quantisation_bits=16,
        truth=truth(records, own(), noise, seed=11),
    )


def test_single_clients_in_the_clear_are_recovered_completely() -> None:
    found = of(rounds_of(1, 4), g=1)
    assert found.statistic_recovery == pytest.approx(1.0, abs=1e-6)
    assert found.leverage_per_round == 1.0
    assert found.smallest_group == 1


def test_one_group_of_everybody_tells_nothing_about_anybody() -> None:
    found = of(rounds_of(N, 6), g=N)
    assert found.statistic_recovery == pytest.approx(0.0, abs=1e-9)
    assert found.update_recovery == pytest.approx(0.0, abs=1e-6)
    assert found.leverage_per_round == pytest.approx(1 / N)


def test_more_rounds_recover_more_and_larger_groups_less() -> None:
    by_rounds = [of(rounds_of(3, count)).statistic_recovery or 0 for count in (1, 4, 16)]
    assert by_rounds[0] < by_rounds[1] < by_rounds[2]
    by_size = [of(rounds_of(size, 8)).statistic_recovery or 0 for size in (2, 4, 6)]
    assert by_size[0] > by_size[1] > by_size[2]


def test_less_noise_cannot_help_privacy() -> None:
    quiet, loud = (of(rounds_of(4, 8), noise=noise).statistic_recovery for noise in (0.1, 3.0))
    assert quiet is not None
    assert loud is not None
    assert quiet > loud + 0.1


def test_updates_are_recovered_only_as_the_accepted_set_changes() -> None:
    same = rounds_of(3, 8)
    changing = [record(r.index, [list(g) for g in r.groups], accepted=[0, 1, 2]) for r in same]
    assert of(same).update_recovery == pytest.approx(0.0, abs=1e-6)
    assert (of(changing).update_recovery or 0) > 0.05


def test_the_statistics_part_of_an_update_is_opened_per_group() -> None:
    records = rounds_of(3, 12)
    made = truth(records, own(), 0.2, seed=5)
    made.inside, made.outside = made.outside, made.inside  # everything is determined by P
    found = account(records, group_size=3, colluders=3, quantisation_bits=16, truth=made)
    assert (found.update_recovery or 0) > 0.5


def test_without_truth_the_recoveries_are_unknown_but_the_sets_are_not() -> None:
    records = rounds_of(3, 2)
    found = account(records, group_size=3, colluders=3, quantisation_bits=16)
    assert found.statistic_recovery is None
    assert found.update_recovery is None
    assert found.smallest_group == 3
    assert found.groups_opened == 8


def test_a_client_that_left_the_run_is_still_accounted_for() -> None:
    rng = np.random.default_rng(0)
    records = [record(r, drawn_groups(rng, N if r < 5 else N - 3, 3)) for r in range(10)]
    found = of(records)
    assert found.statistic_recovery_of is not None
    assert set(found.statistic_recovery_of) == set(range(N))
    assert all(0 <= value <= 1 for value in found.statistic_recovery_of.values())


def test_bits_count_entries_at_their_full_width_and_by_range() -> None:
    norms = np.array([1, 3], dtype=np.int64)
    records = [record(0, [[0, 1], [2, 3]], entries=2)]
    found = account(records, group_size=2, colluders=1, quantisation_bits=4, row_norms=norms)
    assert found.bits_opened_per_group == 128
    assert found.bits_of_range_per_group == pytest.approx(math.log2(31) + math.log2(91))
    assert range_bits(norms, 2, 4) == found.bits_of_range_per_group


def test_attempts_on_one_model_are_counted_together() -> None:
    first, second, third = (record(r, [[0, 1], [2, 3]]) for r in range(3))
    stuck = replace(
        second, model=first.model, total_opened=False, aborted=AbortReason.TOO_FEW_AGREED
    )
    again = replace(third, attempt=1)
    found = account([first, stuck, again], group_size=2, colluders=1, quantisation_bits=8)
    assert found.openings_per_model == 2
    assert found.totals_per_model == 1
    spent_twice = [first, replace(second, attempt=1)]
    found = account(spent_twice, group_size=2, colluders=1, quantisation_bits=8)
    assert found.totals_per_model == 2


def aborted_after_opening(made: RoundRecord) -> RoundRecord:
    """As a campaign records it: nobody is in a total that was not opened."""
    return replace(
        made,
        accepted=(),
        accepted_groups=(),
        total_opened=False,
        aborted=AbortReason.TOO_FEW_AGREED,
    )


def binding_failed(made: RoundRecord) -> RoundRecord:
    """The total was opened, and the server has it whatever its check says."""
    return replace(made, aborted=AbortReason.BINDING_FAILED)


@pytest.mark.parametrize("ending", [aborted_after_opening, binding_failed])
def test_what_was_opened_before_a_round_was_aborted_counts_in_every_number(
    ending: Callable[[RoundRecord], RoundRecord],
) -> None:
    finished = rounds_of(3, 8)
    small = [[0, 1], *([i, i + 1, i + 2] for i in range(2, N - 2, 3))]
    finished[5] = record(5, small, accepted=[0, 1])
    cut = [ending(r) if r.index % 2 else r for r in finished]
    norms = np.ones(ENTRIES, dtype=np.int64)

    def told(records: list[RoundRecord]) -> PrivacyAccount:
        return account(
            records,
            group_size=3,
            colluders=3,
            quantisation_bits=16,
            row_norms=norms,
            truth=truth(records, own(), 1.0, seed=11),
        )

    found, whole, half = told(cut), told(finished), told(finished[::2])
    assert found.rounds_opened == 8
    assert found.smallest_group == 2
    assert half.smallest_group == 3
    # whether a round was finished changes nothing in what its groups gave away
    for name in (
        "rounds_opened",
        "groups_opened",
        "smallest_group",
        "leverage_per_round",
        "bits_opened_per_group",
        "bits_of_range_per_group",
        "openings_per_model",
        "collusion",
    ):
        assert getattr(found, name) == getattr(whole, name)
    assert found.statistic_recovery_of == pytest.approx(whole.statistic_recovery_of)
    assert (found.statistic_recovery or 0) > (half.statistic_recovery or 0) + 0.05
    if ending is binding_failed:
        assert found.update_recovery_of == pytest.approx(whole.update_recovery_of)


def test_a_total_whose_check_failed_is_recovered_from_and_its_model_left() -> None:
    groups = [rounds_of(3, 8)[r].groups for r in range(8)]
    kept = [record(r, g, accepted=[0, 1, 2]) for r, g in enumerate(groups)]
    failed = [binding_failed(r) for r in kept]
    never = [aborted_after_opening(r) for r in kept]
    assert of(failed).update_recovery == pytest.approx(of(kept).update_recovery)
    assert (of(failed).update_recovery or 0) > 0.05
    assert of(never).update_recovery == pytest.approx(0.0, abs=1e-6)
    # a failed check leaves the model as it is, and the next round starts from another one
    stays = [replace(r, model=failed[0].model) for r in failed]
    assert of(stays).totals_per_model == 1


def test_a_run_that_opened_nothing_has_an_empty_account() -> None:
    nothing = replace(record(0, [[0, 1]]), opened=(), total_opened=False, accepted=())
    found = account([nothing], group_size=2, colluders=0, quantisation_bits=8)
    assert found.smallest_group is None
    assert found.leverage_per_round is None
    assert found.collusion is None
    assert found.openings_per_model == 0


def test_the_account_is_json_with_the_published_keys() -> None:
    plain = json.loads(json.dumps(of(rounds_of(3, 2)).to_dict()))
    published = {
        "group_size",
        "smallest_group",
        "leverage_per_round",
        "bits_opened_per_group",
        "statistic_recovery",
        "update_recovery",
    }
    assert published <= set(plain)
    assert set(plain["statistic_recovery_of"]) == {str(ClientId(i)) for i in range(N)}
