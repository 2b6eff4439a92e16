from __future__ import annotations

import io
import re
import time

from auror.experiments.progress import Progress, StderrReporter


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


def test_silence_is_filled_within_two_seconds() -> None:
    stream = io.StringIO()
    with StderrReporter(stream) as report:
        report(Progress(stage="clean"))
        time.sleep(2.0)
    assert len(stream.getvalue().splitlines()) == 2
    assert stream.getvalue().rstrip().endswith("…")


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
