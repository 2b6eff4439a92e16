"""Label rows as a client recomputes them, before its update leaves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_rows_kit import BITS, CAPS, OUTPUT, activations, model, own, plan_of, refusal
from rounds_kit import MEANS, NO_ANCHOR, PARAMS, Deployment, play

from auror.errors import Refusal, Refused
from auror.ids import ClientId
from auror.round.client.label_rows import check_output_rows
from auror.round.client.machine import ClientMachine
from auror.round.label_rows import ClassMeans, LabelRows, rows_of_means, rows_of_weights
from auror.round.messages import Upload, Withdraw
from auror.round.plan import OutputLayer


def test_the_honest_rows_are_taken_as_another_machine_rounds_them() -> None:
    plan = plan_of(rows_of_means(OUTPUT, activations(), BITS), OutputLayer(5, 28))
    for seed in range(20):
        noise = np.random.default_rng(seed).uniform(1 - 1e-4, 1 + 1e-4, (4, 6))
        assert refusal(plan, own((activations() * noise).astype(np.float32))) is None


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3, 4, 6]), st.floats(1e-20, 1e20))
def test_rows_are_taken_whatever_the_scale_and_where_two_machines_choose_another_exponent(
    seed: int, bits: int, scale: float
) -> None:
    means = (activations(seed) / activations(seed).max() * scale).astype(np.float32)
    for edge in (1.0, 1 - 1e-6, 1 + 1e-6):  # 2^bits - 1 of the largest: there the exponent jumps
        theirs = (means * np.float32(2**bits - 1) * np.float32(edge)).astype(np.float32)
        mine = (theirs * np.float32(1 + 1e-6)).astype(np.float32)
        assert rows_of_means(OUTPUT, theirs, bits).reads(mine, bits)
        assert rows_of_means(OUTPUT, mine, bits).reads(theirs, bits)


@pytest.mark.parametrize("size", [1, 15])
def test_unit_vectors_that_read_raw_entries_pass_every_cap_and_are_refused(size: int) -> None:
    forged = plan_of(LabelRows.from_matrix(5, size * np.eye(4, 6, dtype=np.int64)))
    forged.check(CAPS, PARAMS, NO_ANCHOR, model())
    assert refusal(forged, own(activations())) is Refusal.FORGED_MEANS


@pytest.mark.parametrize("row", range(4))
@pytest.mark.parametrize("step", [1, -1])
def test_one_entry_of_one_row_is_enough(row: int, step: int) -> None:
    honest = rows_of_means(OUTPUT, activations(), BITS)
    matrix = honest.matrix
    mine = own(np.ldexp(matrix, -honest.exponent).astype(np.float32))
    matrix[row, 2] += step
    forged = LabelRows.from_matrix(5, matrix, honest.exponent)
    assert refusal(plan_of(honest), mine) is None
    assert refusal(plan_of(forged), mine) is Refusal.FORGED_MEANS


def test_roundings_are_the_servers_within_a_sixteenth_of_a_step_and_no_further() -> None:
    means = np.full((4, 6), 15.0, dtype=np.float32)
    for value, taken in ((7.5 + 0.06, True), (7.5 + 0.07, False)):
        means[1, 1] = value
        honest = rows_of_means(OUTPUT, means, BITS)
        assert (honest.exponent, honest.matrix[1, 1]) == (0, 8)
        down = honest.matrix
        down[1, 1] = 7
        forged = plan_of(LabelRows.from_matrix(5, down, honest.exponent))
        assert (refusal(forged, own(means)) is None) is taken


def test_another_scale_of_the_same_rows_is_refused() -> None:
    honest = rows_of_means(OUTPUT, activations(), BITS)
    fewer = rows_of_means(OUTPUT, activations(), BITS - 1)
    for forged in (
        fewer,
        replace(honest, exponent=honest.exponent + 1),
        replace(honest, exponent=2000),
    ):
        assert refusal(plan_of(forged), own(activations())) is Refusal.FORGED_MEANS


def test_which_rows_are_read_is_not_the_servers_choice() -> None:
    weights, samples = (
        rows_of_weights(OUTPUT, model(), BITS),
        rows_of_means(OUTPUT, activations(), BITS),
    )
    signs, signs_none = own(activations()), ClassMeans(OUTPUT, None)
    assert refusal(plan_of(weights), signs_none) is None  # recomputed with the invitation
    assert refusal(plan_of(weights), signs) is Refusal.FORGED_MEANS
    assert refusal(plan_of(samples), signs_none) is Refusal.FORGED_MEANS


def test_a_client_without_what_its_policy_signs_takes_no_rows() -> None:
    none = ClassMeans(OUTPUT, None)
    for rows in (
        rows_of_weights(OUTPUT, model(), BITS),
        rows_of_means(OUTPUT, activations(), BITS),
    ):
        with pytest.raises(Refused) as caught:
            check_output_rows(plan_of(rows), none, BITS, signed=True)
        assert caught.value.reason is Refusal.FORGED_MEANS


def test_a_dead_class_opens_nothing_and_is_no_excuse_for_another_row() -> None:
    dead = activations()
    dead[2] = 0
    assert refusal(plan_of(rows_of_means(OUTPUT, dead, BITS)), own(dead)) is None
    assert refusal(plan_of(rows_of_means(OUTPUT, dead, BITS)), own(activations())) is (
        Refusal.FORGED_MEANS
    )
    alive = plan_of(rows_of_means(OUTPUT, activations(), BITS))
    collapsed = (dead, np.zeros((4, 6)), np.full((4, 6), np.nan), np.full((4, 6), np.inf))
    for means in collapsed:
        assert refusal(alive, own(means.astype(np.float32))) is Refusal.FORGED_MEANS


def test_rows_outside_the_output_layer_and_clients_that_know_no_classes() -> None:
    rows = rows_of_means(OUTPUT, activations(), BITS)
    mine = own(activations())
    assert refusal(plan_of(rows), None) is Refusal.FORGED_MEANS
    assert refusal(plan_of(OutputLayer(5, 28)), None) is None
    for elsewhere in (
        replace(rows, offset=6),
        LabelRows.from_matrix(5, np.ones((2, 12), dtype=np.int64)),
        OutputLayer(4, 28),
        OutputLayer(5, 24),
    ):
        assert refusal(plan_of(elsewhere), mine) is Refusal.WRONG_CONFIGURATION
    weights = replace(rows_of_weights(OUTPUT, model(), BITS), offset=6)
    assert refusal(plan_of(weights), ClassMeans(OUTPUT, None)) is Refusal.WRONG_CONFIGURATION


def test_a_client_that_is_shown_forged_means_withdraws_before_it_uploads() -> None:
    kit = Deployment(7)
    assert MEANS.means is not None
    forged = replace(MEANS, means=-MEANS.means)

    class Suspicious(ClientMachine):
        def on_update(self, update, seed, class_means=None):  # type: ignore[no-untyped-def]
            return super().on_update(update, seed, forged)

    victim = ClientId(2)
    machines = kit.machines()
    machines[victim].__class__ = Suspicious
    played = play(kit, machines=machines)
    assert played.gave_up[victim].refusal is Refusal.FORGED_MEANS
    assert played.said(Withdraw)[victim] == [Withdraw(Refusal.FORGED_MEANS)]
    assert victim not in played.said(Upload)
    assert len(played.said(Upload)) == 6
