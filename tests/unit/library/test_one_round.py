"""A whole round on one's own updates."""

from __future__ import annotations

import numpy as np
import pytest

from auror import GroupObservation, run_round
from auror.errors import ConfigError, DataError

RNG = np.random.default_rng(1)
UPDATES = {client: RNG.uniform(-0.4, 0.4, 20).astype(np.float32) for client in range(12)}
STEP = 1.0 / (2**16 - 1)


def test_total_and_statistics_are_those_of_the_updates() -> None:
    found = run_round(UPDATES, group_size=4, entries=(5, 3))
    assert found.aborted is None
    assert found.accepted == tuple(range(12))
    assert found.total is not None
    assert found.mean is not None
    everybody = np.stack(list(UPDATES.values()))
    np.testing.assert_allclose(found.total, everybody.sum(axis=0), atol=12 * STEP)
    np.testing.assert_allclose(found.mean, everybody.mean(axis=0), atol=STEP)
    assert sorted(len(group.members) for group in found.opened) == [4, 4, 4]
    for group in found.opened:
        assert group.mean.shape == (3 + 8,)
        own = np.stack([UPDATES[c] for c in group.members]).mean(axis=0)
        np.testing.assert_allclose(group.mean[:3], own[5:8], atol=STEP)


def test_a_defence_of_ones_own_leaves_groups_out_as_a_whole() -> None:
    loud = {**UPDATES, 3: np.full(20, 0.5, dtype=np.float32)}

    def quiet(groups: tuple[GroupObservation, ...]) -> list[int]:
        return [at for at, group in enumerate(groups) if group.mean[:20].mean() < 0.08]

    found = run_round(loud, group_size=3, sketch_rows=0, entries=(0, 20), accept=quiet)
    assert found.aborted is None
    (left_out,) = [group.members for group in found.opened if 3 in group.members]
    assert found.accepted == tuple(c for c in range(12) if c not in left_out)
    assert found.total is not None
    rest = np.sum([loud[c] for c in found.accepted], axis=0)
    np.testing.assert_allclose(found.total, rest, atol=12 * STEP)


def test_who_vanishes_before_the_upload_is_in_no_group() -> None:
    found = run_round(list(UPDATES.values()), group_size=5, colluders=1, lost={0: "upload"})
    assert found.aborted is None
    assert found.accepted == tuple(range(1, 12))


def test_too_many_lost_is_an_aborted_round() -> None:
    found = run_round(UPDATES, group_size=4, lost=dict.fromkeys(range(6), "upload"))
    assert found.total is found.mean is None
    assert found.aborted is not None
    assert "too few clients uploaded" in found.aborted


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"group_size": 13}, ConfigError, "larger than the cohort"),
        ({"entries": (18, 5)}, ConfigError, r"must lie in 0 … 20"),
        ({"sketch_rows": 21}, ConfigError, r"choose 0 … 20"),
        ({"lost": {1: "lunch"}}, ConfigError, "no phase 'lunch'"),
        ({"lost": {99: "upload"}}, ConfigError, "client 99"),
        ({"updates": [[0.1], [0.1, 0.2]]}, DataError, "one shape"),
    ],
)
def test_bad_input(options: dict[str, object], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        run_round(**{"updates": UPDATES, **options})  # type: ignore[arg-type]
