"""The program's defence on recorded sums."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from auror.bench.recordings import RecordedTraining, open_groups, record
from auror.bench.replays import replay
from auror.experiments.config import ExperimentConfig, RunName
from auror.ids import ClientId
from auror.learn.attacks import parse_attack
from auror.params import RoundParams
from auror.training.observations import PlanChoice


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def recording(cache: Path) -> RecordedTraining:
    config = ExperimentConfig(
        clients=12, malicious=3, attack=parse_attack("flip:4:9"), rounds=8, seed=1001,
        device="cpu", runs=(RunName.UNDEFENDED,),
        round_params=RoundParams(group_size=1, colluders=0),
    )  # fmt: skip
    made = record(config, PlanChoice(), cache)
    again = record(config, PlanChoice(), cache)  # from the file
    assert np.array_equal(made.sums, again.sums)
    assert made.labels == again.labels
    assert (made.choice, made.dim, made.output) == (again.choice, again.dim, again.output)
    assert made.malicious == again.malicious
    return made


def test_a_replay_finds_the_attackers_of_a_recording(recording: RecordedTraining) -> None:
    found = replay(recording, 1, seed=3, audits=None)
    assert found.malicious == set(recording.malicious)
    assert found.tpr == 1.0
    assert found.fpr == 0.0
    assert found.first is not None
    assert found.first >= 5  # nobody is judged earlier
    assert found.group_sums <= 12 * 8


def test_flags_fall_after_three_audited_rounds(recording: RecordedTraining) -> None:
    alone, audited = (replay(recording, 1, seed=3, audits=audits) for audits in (None, 0.0))
    assert audited.flagged == {client: at + 3 for client, at in alone.flagged.items()}


def test_nobody_is_judged_before_there_are_enough_sums(recording: RecordedTraining) -> None:
    assert replay(recording, 6, seed=3).flagged == {}


def test_a_lie_that_changes_the_sum_is_no_evidence(recording: RecordedTraining) -> None:
    def shout(at: int, sent: np.ndarray, groups: list[list[int]]) -> np.ndarray:
        sent[0] += 1
        return sent

    assert replay(recording, 1, seed=3, lie=shout).flagged == {}


def test_evidence_moved_onto_somebody_else_flags_it_only_without_audits(
    recording: RecordedTraining,
) -> None:
    honest = next(c for c in range(12) if ClientId(c) not in recording.malicious)

    def swap(at: int, sent: np.ndarray, groups: list[list[int]]) -> np.ndarray:
        bad = [int(c) for c in recording.malicious]
        sent[honest], sent[bad[0]] = sent[bad[0]].copy(), sent[honest].copy()
        return sent

    assert honest in replay(recording, 1, seed=3, lie=swap, audits=None).flagged
    assert honest not in replay(recording, 1, seed=3, lie=swap, audits=0.0).flagged


def test_what_groups_show_is_the_mean_of_what_their_members_show(
    recording: RecordedTraining,
) -> None:
    groups = ((ClientId(0), ClientId(3), ClientId(7)), (ClientId(1), ClientId(2)))
    for entry in recording.observe(2, groups):
        alone = recording.statistics[2, list(entry.members)].mean(axis=0)
        np.testing.assert_allclose(entry.mean, alone, atol=1e-12)
    first = open_groups(recording.sums[2], groups)[0]
    assert first.total.dtype == np.uint64
    assert np.array_equal(first.total.astype(np.int64), recording.sums[2, [0, 3, 7]].sum(axis=0))


def test_a_lie_of_one_in_the_last_digit_is_seen_unless_it_cancels(
    recording: RecordedTraining,
) -> None:
    def shout(at: int, sent: np.ndarray, groups: list[list[int]]) -> np.ndarray:
        sent[0, 5] += 1
        return sent

    def whisper(at: int, sent: np.ndarray, groups: list[list[int]]) -> np.ndarray:
        sent[groups[0][0], 5] += 1
        sent[groups[1][0], 5] -= 1
        return sent

    assert replay(recording, 1, seed=3, lie=shout, audits=0.0).checks_failed == 8
    assert replay(recording, 4, seed=3, rounds=4, lie=whisper, audits=0.0).checks_failed == 0
    assert replay(recording, 4, seed=3, rounds=4, lie=whisper, audits=0.99).checks_failed > 0


def test_partitions_are_not_audited(recording: RecordedTraining) -> None:
    with pytest.raises(ValueError, match="several partitions"):
        replay(recording, 3, seed=3, partitions=2)
    once, twice = (
        replay(recording, 3, seed=3, rounds=2, partitions=parts, audits=None) for parts in (1, 2)
    )
    assert (once.group_sums, twice.group_sums) == (8, 16)
