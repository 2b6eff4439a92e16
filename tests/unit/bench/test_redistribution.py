"""Colluders who lie in their statistics: whom they frame, and what audits make of it."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import CLASSES, client_statistics

from auror.bench.defence.redistribution import liars
from auror.bench.recordings import RecordedTraining
from auror.bench.replays import replay
from auror.defence.confusion import dual_readout
from auror.ids import ClientId
from auror.params import RoundParams
from auror.round.arithmetic import quantiser
from auror.round.label_rows import LabelRows
from auror.training.observations import PlanChoice

N, ROUNDS = 30, 30
COLLUDERS = tuple(range(9))
VICTIMS = np.arange(12, 21)
pytestmark = pytest.mark.no_cover  # long replays of what test_replays measures


def world(seed: int) -> RecordedTraining:
    """Nine of thirty clients mislabel, synthetic statistics."""
    rng = np.random.default_rng(seed)
    sent = client_statistics(ROUNDS, N, rng, malicious=COLLUDERS, effect=15.0)
    rows = LabelRows.from_matrix(0, np.eye(CLASSES, dtype=np.int64))
    params = RoundParams(group_size=1, colluders=0)
    quantise = quantiser(params)
    read = dual_readout(rows.matrix.astype(np.float64))
    opened = (sent @ np.linalg.inv(read)).reshape(ROUNDS, N, -1)
    made = RecordedTraining(
        np.rint((opened + quantise.clip) / quantise.step).astype(np.int64),
        PlanChoice(),
        CLASSES * (CLASSES + 1),
        rows.output,
        (rows,) * ROUNDS,
        params,
        tuple(ClientId(c) for c in COLLUDERS),
        dict.fromkeys(map(ClientId, COLLUDERS), 10),
        {},
    )
    np.testing.assert_allclose(made.statistics, sent.reshape(ROUNDS, N, -1), atol=1e-4)
    return made


@pytest.mark.parametrize(("seed", "group_size", "alone"), [
    (0, 10, True),
    *(pytest.param(*more, marks=pytest.mark.slow)
      for more in ((1, 10, True), (3, 10, True), (0, 5, False), (1, 5, False))),
])  # fmt: skip
def test_victims_of_colluders_are_not_flagged(seed: int, group_size: int, alone: bool) -> None:
    """In groups of ten somebody can nearly always lie for a victim: evidence ``alone`` cannot
    tell it from its own doing, so without audits the framing succeeds. In groups of five it does
    not; ``test_consistency`` shows that on evidence alone."""
    made = world(seed)
    lie = liars("onto-honests", made, VICTIMS, seed)
    found = replay(made, group_size, seed, lie=lie, audits=None)
    assert bool(found.honest & found.flagged.keys()) == alone
    audited = replay(made, group_size, seed, lie=lie)
    assert not audited.honest & audited.flagged.keys()


@pytest.mark.parametrize(
    ("seed", "group_size"),
    [(0, 10), *(pytest.param(seed, 5, marks=pytest.mark.slow) for seed in (0, 1, 2))],
)
def test_attackers_who_tell_the_truth_pass_every_audit(seed: int, group_size: int) -> None:
    found = replay(world(seed), group_size, seed)
    assert found.flagged.keys() == set(COLLUDERS)


def test_lies_cancel_over_all_groups() -> None:
    made = world(0)
    groups = [list(range(start, 30, 3)) for start in range(3)]
    true = made.sums[4]
    for scheme in ("spread", "onto-member", "onto-honest", "onto-honests"):
        told = liars(scheme, made, VICTIMS, 0)(4, true.copy(), groups)
        assert np.array_equal(told.sum(axis=0), true.sum(axis=0))
        assert not np.array_equal(told, true)
        honest = np.setdiff1d(np.arange(N), COLLUDERS)
        assert np.array_equal(told[honest], true[honest])
