"""Crafted models against the real local training, small: digits, ten clients, six rounds."""

from __future__ import annotations

import numpy as np
import pytest

from auror.bench.crafted import (
    WatchedRun,
    attribution,
    averaging,
    constant_pixels,
    frozen,
    members_of,
    moving_pixels,
    recovered,
    recovered_by,
    train_rounds,
    update_change,
)
from auror.bench.imprinting import imprint
from auror.experiments.config import ExperimentConfig
from auror.experiments.prepared import Prepared
from auror.learn.imprint import Imprint
from auror.privacy.overlap import Company, companies, halves
from auror.programs.enrol import Enrolment
from auror.sim.simulate import Aggregation

ROUNDS = 6


@pytest.fixture(scope="module")
def run() -> WatchedRun:
    config = ExperimentConfig(
        dataset="digits",
        clients=10,
        malicious=0,
        attack=None,
        rounds=ROUNDS,
        round_params=Enrolment(clients=10, group_size=3).params(),
        aggregation=Aggregation.PLAIN,
        device="cpu",
    )
    return WatchedRun.of(Prepared.of(config))


def test_what_a_frozen_model_shows_is_measured_as_an_honest_run_is(run: WatchedRun) -> None:
    """Which of the two shows more depends on data and rounds (docs/results/budget.md)."""
    again = train_rounds(run.prepared, run.models[-1], frozen, ROUNDS)
    honest = recovered(run.prepared, run.records, run.truth)
    crafted = recovered(run.prepared, run.records, again)
    for found in (honest.statistics, crafted.statistics):
        assert found.shape == (10,)
        assert 0.05 < found.mean() < 1


def test_weights_of_constant_pixels_move_the_model_and_no_update(run: WatchedRun) -> None:
    base = run.models[-1]
    assert len(constant_pixels(run.prepared)) >= 2
    moved = moving_pixels(run.prepared, base, seed=1)(0, base, {})
    assert np.linalg.norm(moved - base) == pytest.approx(0.2 * np.linalg.norm(base), rel=1e-3)
    assert update_change(run.prepared, base, moved) < 1e-4
    other = base + np.random.default_rng(1).normal(size=base.shape).astype(np.float32) * np.std(
        moved - base
    )
    assert update_change(run.prepared, base, other) > 0.1


def test_leaving_groups_out_of_totals_recovers_updates(run: WatchedRun) -> None:
    members = members_of(run.prepared)
    half = companies(halves(members, run.prepared.config.round_params), ROUNDS, seed=1)
    whole = [Company(company.groups, tuple(range(len(company.groups)))) for company in half]
    truth = train_rounds(run.prepared, run.models[0], averaging(half), ROUNDS)
    few = recovered_by(run.prepared, half, truth).updates.mean()
    assert few > recovered_by(run.prepared, whole, truth).updates.mean() + 0.05


def test_whose_a_sample_is_shows_better_in_the_clear_than_after_two_rounds_of_sums(
    run: WatchedRun,
) -> None:
    sums, clear = attribution(run, 2, 0.05)
    assert 0.5 < sums < clear


def test_an_imprint_shows_images_through_the_sum_of_ten_clients(run: WatchedRun) -> None:
    pinned, how = run.prepared.pinned.training, Imprint(3, 2, 0.1)
    assert imprint(run.prepared, pinned, [how], samples=100).images >= 3
    assert imprint(run.prepared, pinned, [how], samples=100, noise=0.05).images == 0
