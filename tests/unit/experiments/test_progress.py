from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from auror.experiments.experiment import run_experiment
from auror.experiments.options import experiment_config
from auror.experiments.progress import Heartbeat, Progress, StderrReporter


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_says_what_is_known_and_nothing_else() -> None:
    full = Progress(
        stage="defended",
        round=3,
        rounds=30,
        accuracy=0.913,
        attack_success=0.02,
        strength=12.34,
        required=10,
        flagged=9,
        note="restarted",
    ).text()
    for piece in ("3/30", "91.3%", "2.0%", "12.3 (accuses from 10)", "flagged  9", "restarted"):
        assert piece in full
    assert Progress(stage="clean").text().strip() == "clean"


def test_everything_new_is_a_line_when_it_is_no_terminal() -> None:
    stream = io.StringIO()
    with StderrReporter(stream) as report:
        for number in (0, 1, 1, 2):
            report(Progress(stage="clean", round=number, rounds=3))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert all(re.match(r" *\d+\.\d s  clean", line) for line in lines)


def test_silence_is_filled_within_two_seconds_by_a_line_of_its_own() -> None:
    stream = io.StringIO()
    with StderrReporter(stream) as report:
        report(Progress(stage="clean", round=3, rounds=9, accuracy=0.5))
        time.sleep(2.0)
    told, waiting = stream.getvalue().splitlines()
    assert "accuracy" in told
    assert re.fullmatch(r" *\d\.\d s  clean        3/9  … 2 s", waiting)
    shown = Progress(stage="defended", note="privacy account").waiting(12.3)
    assert shown == "defended    privacy account  … 12 s"


def test_silences_are_told_at_growing_distances_whatever_news_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("auror.experiments.progress.HEARTBEAT_SECONDS", 0.1)
    beats: list[tuple[float, float]] = []
    with Heartbeat(lambda silent: beats.append((time.monotonic(), silent))) as heart:
        _until(lambda: len(beats) == 3)
        gaps = [late - early for (early, _), (late, _) in pairwise(beats)]
        assert all(gap >= least for gap, least in zip(gaps, (0.2, 0.4), strict=True))
        assert beats[2][1] >= 0.7  # 0.1 + 0.2 + 0.4
        heart.news()
        newly = time.monotonic()
        _until(lambda: len(beats) == 4)
        assert beats[3][0] - newly >= 0.75  # as long as without the news, and counted from it
        assert 0.75 <= beats[3][1] < beats[3][0] - beats[2][0] + 0.1


def _until(there: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not there():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_terminal_gets_a_table() -> None:
    stream = _Terminal()
    with StderrReporter(stream) as report:
        report(
            Progress(stage="defended", round=2, rounds=4, accuracy=0.5, strength=1.0, required=2)
        )
    shown = stream.getvalue()
    assert "defended" in shown
    assert "2/4" in shown
    assert "50.0%" in shown


def test_what_is_not_judged_yet_is_a_dash_and_no_number() -> None:
    told: list[Progress] = []
    settings = {"dataset": "digits", "clients": 6, "rounds": 2, "runs": "defended",
                "aggregation": "plain", "group_size": 2}  # fmt: skip
    found = run_experiment(experiment_config(settings), told.append)
    judged = [at for at in told if at.required is not None]
    assert judged
    assert all(at.strength is None for at in judged)
    assert "suspicion      – (accuses from" in judged[-1].text()
    assert found.defended is not None
    assert [at.strength for at in found.defended.suspicion] == [None] * len(judged)
