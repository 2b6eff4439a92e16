"""What a load test says about itself: looks at its programs, and where it saw the limit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auror.programs import load_report, load_watch
from auror.programs.load_report import Cores, Found, LoadReport, PhaseFigures
from auror.programs.load_text import as_text
from auror.programs.load_watch import Moment
from auror.programs.loadtest import LoadTest
from auror.report.load_page import write_load_report


def moments(
    server: float, swarm: tuple[float, ...], machine: float, count: int = 4
) -> list[Moment]:
    """Every second so many CPU seconds more; all but the first and last while a round is played."""
    return [
        Moment(
            float(at),
            0 < at < count - 1,
            "upload",
            7,
            at * server,
            tuple(at * one for one in swarm),
            100 + at * machine,
            10**6,
            10**6,
        )
        for at in range(count)
    ]


TIMINGS: list[dict[str, Any]] = [
    {"phases": {"upload": {"seconds": 3.0}, "unmask": {"seconds": 1.0}}},
    {"phases": {"upload": {"seconds": 1.0}, "unmask": {"seconds": 2.0}}},
]


def test_cores_are_counted_while_rounds_are_played() -> None:
    seen = moments(0.25, (0.5, 0.125), 1.0)
    assert load_report._cores(seen, 2) == Cores(0.25, 0.62, 0.5, 0.12, 2)
    idle = [replace(one, playing=False) for one in seen]
    assert load_report._cores(idle, 2) is None


@pytest.mark.parametrize(
    ("cores", "said"),
    [
        (Cores(0.3, 1.5, 0.8, 0.1, 2), "CPU, most of it taken by clients"),
        (Cores(1.2, 0.6, 0.3, 0.1, 2), "CPU, most of it taken by server"),
        (Cores(0.1, 0.2, 0.1, 1.6, 2), "CPU, most of it taken by other programs"),
        (Cores(0.9, 0.3, 0.2, 0.1, 8), "the server's one event loop"),
        (Cores(0.2, 0.95, 0.95, 0.0, 8), "more --workers"),
        (Cores(0.1, 0.1, 0.1, 0.0, 2), "waiting, not CPU"),
    ],
)
def test_the_limit_is_what_is_used_up(cores: Cores, said: str) -> None:
    found = load_report._limit(cores, TIMINGS)
    assert said in found
    assert f"of {cores.all}" in found


def test_the_longest_phase_is_that_of_all_rounds() -> None:
    assert load_report._longest(TIMINGS) == "upload"
    assert load_report._limit(None, TIMINGS) == "the rounds were too short to look at"


def test_who_withdrew_is_counted_by_its_own_reason() -> None:
    rounds = [
        {"dropped": {"1": "SILENT", "2": "REFUSED"}, "withdrawn": {"2": "BUDGET_SPENT"}},
        {"dropped": {"1": "SILENT"}, "withdrawn": {}},
    ]
    assert load_report._reasons(rounds) == {"SILENT": 2, "BUDGET_SPENT": 1}


def test_progress_says_round_phase_and_who_is_waited_for() -> None:
    live = {"activity": "playing a round", "phase": "upload", "phase_s": 3.4}
    live |= {"waiting_for": [1, 2], "connected": [0, 1, 2]}
    said = load_watch._doing(3, 4, 1, live)
    assert said == "round 2 of 3: upload for 3 s, waiting for 2, 3 connected"
    waiting = live | {"activity": "waiting for clients", "phase": None}
    assert load_watch._doing(3, 4, 0, waiting) == "waiting for clients, 3 of 4 connected"
    assert load_watch._doing(3, 4, 0, None) == "the server starts"
    assert load_watch._doing(3, 4, 3, None) == "the server ends"


def test_an_aborted_round_counts_as_none() -> None:
    good = {"aborted": None, "accepted": [1, 2], "seconds": 1.0}
    bad = {"aborted": "TOO_FEW_UPLOADED", "accepted": [], "seconds": 2.0}
    assert load_watch._fate(2, [bad, good]) == "round 1 of 2 done: 2 accepted, 1.0 s"
    assert "aborted after 2.0 s: TOO_FEW_UPLOADED" in load_watch._fate(2, [good, bad])


def report(**changes: Any) -> LoadReport:
    figures = PhaseFigures(0.1, 0.2, 0.3, 0.4, 0.5)
    whole = LoadReport(
        test=LoadTest(clients=20, rounds=2),
        rounds_finished=2,
        rounds_aborted=1,
        exact=True,
        uncompared=0,
        lost=(),
        seconds=9.0,
        seconds_per_round=3.0,
        phases={"upload": figures, "unmask": figures},
        bytes_up=10**6,
        bytes_down=2 * 10**6,
        wire_up=None,
        wire_down=None,
        upload_expansion=None,
        client_rounds_per_second=5.0,
        server_cpu_seconds=2.0,
        server_cpu_per_round=0.5,
        server_peak_rss_bytes=10**8,
        swarm_cpu_seconds=4.0,
        swarm_cpu_per_round=1.5,
        swarm_peak_rss_bytes=2 * 10**8,
        cores=Cores(0.3, 1.5, 0.8, 0.1, 2),
        limit="CPU",
        dropped=3,
        reasons={"SILENT": 3},
        refused={"malformed": 2},
        aborted={"TOO_FEW_UPLOADED": 1},
        verdict=Found((18, 19), (3,), 2, 0, 0),
        machine={"cores": 2},
        moments=tuple(moments(0.25, (0.5, 0.125), 1.0)),
    )
    return replace(whole, **changes)


def test_a_total_without_all_records_is_not_compared(tmp_path: Path) -> None:
    class Reader:
        def total(self, index: int) -> Any:
            return np.array([3, 5], np.int64)

    np.save(tmp_path / "7-1.npy", np.array([1, 2], np.uint32))
    line = {"round_id": {"counter": 7}, "index": 0, "accepted": [1, 2]}
    assert load_report._exact(Reader(), tmp_path, line) is None  # type: ignore[arg-type]
    np.save(tmp_path / "7-2.npy", np.array([2, 3], np.uint32))
    assert load_report._exact(Reader(), tmp_path, line) is True  # type: ignore[arg-type]
    np.save(tmp_path / "7-2.npy", np.array([2, 4], np.uint32))
    assert load_report._exact(Reader(), tmp_path, line) is False  # type: ignore[arg-type]
    told = report(uncompared=1, lost=("clients-1, 6 clients: it died",))
    assert not told.passed
    text = as_text(told)
    assert "lost: clients-1, 6 clients: it died" in text
    assert "NOT COMPARED: 1 totals with clients whose records were lost with their host" in text


def test_text_says_wire_bytes_only_where_they_were_counted() -> None:
    text = as_text(report())
    assert "1 aborted (TOO_FEW_UPLOADED 1), 3 client-rounds lost (SILENT 3)" in text
    assert "refused (malformed 2)" in text
    assert "verdict: 2 of 0 attackers flagged, 0 honest ones flagged, 1 suspected" in text
    assert "on the wire" not in text
    counted = as_text(report(wire_up=3 * 10**6, wire_down=10**6, upload_expansion=1.5))
    assert "on the wire: up 3.0 MB, down 1.0 MB; upload expansion 1.500" in counted
    assert as_text(report(exact=False)).endswith("every total exact: NO")
    assert report().passed
    assert not report(exact=False).passed
    short = report(rounds_finished=1)
    assert not short.passed
    assert "NOT FINISHED: 1 of 2 rounds had a total" in as_text(short)


def test_the_page_and_its_rows(tmp_path: Path) -> None:
    write_load_report(report().to_dict(), tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 3
    assert "malformed <b>2</b>" in page
    rows = json.loads((tmp_path / "loadtest.json").read_text(encoding="utf-8"))
    assert rows["test"]["clients"] == 20
    assert len(rows["moments"]) == 4
