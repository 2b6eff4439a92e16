"""What a load test says about itself: looks at its programs, and where it saw the limit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from load_kit import looks

from auror.errors import UnavailableError
from auror.programs import load_report, load_watch
from auror.programs.load_counts import ClientRounds
from auror.programs.load_limit import Cores
from auror.programs.load_report import Found, LoadReport, PhaseFigures
from auror.programs.load_swarm import Swarm
from auror.programs.load_text import as_text
from auror.programs.loadtest import LoadTest
from auror.report.load_page import write_load_report
from auror.report.status import RunStatus


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


def test_a_server_that_lacks_members_gave_up_and_any_other_end_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Ended:
        name, process, cpu, rss = "server", SimpleNamespace(returncode=5), 0.0, 0

        def look(self) -> None: ...

        def running(self) -> bool:
            return False

        def check(self) -> None:
            raise UnavailableError("server ended with exit code 5")

    line = {"aborted": None, "accepted": [1], "seconds": 1.0, "index": 0}
    monkeypatch.setattr(load_watch.RunReader, "rounds", lambda _: [line])
    out = RunStatus("", "absent", None, None, excluded=(1, 2), flagged=(2, 3))
    monkeypatch.setattr(load_watch, "run_status", lambda _: out)

    def watched(fewest: int) -> load_watch.Watched:
        server: Any = Ended()
        return load_watch.watch(3, 10, tmp_path, server, Swarm([]), fewest, lambda _: None)

    assert watched(8).gave_up == (
        "7 of 10 clients are left, and a round needs 8: 2 were excluded for their conduct, 1"
        " flagged"
    )
    with pytest.raises(UnavailableError, match="exit code 5"):
        watched(7)


def test_clients_are_looked_at_in_every_poll_until_a_round_is_under_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    polls = 6

    class Ending:
        name, process, cpu, rss = "server", SimpleNamespace(returncode=0), 0.0, 0

        def running(self) -> bool:
            return len(slept) < polls

        def look(self) -> None: ...

        def check(self) -> None: ...

    slept: list[float] = []
    said = {"activity": "x", "connected": (), "phase": None}
    monkeypatch.setattr(load_watch.time, "sleep", slept.append)
    monkeypatch.setattr(load_watch.RunReader, "rounds", lambda _: [])
    monkeypatch.setattr(
        load_watch, "ask", lambda _: ("", said | ({"counter": 1} if len(slept) == 3 else {}))
    )
    server: Any = Ending()
    found = load_watch.watch(3, 10, tmp_path, server, Swarm([]), 5, lambda _: None)
    assert [one.playing for one in found.moments] == [False, False, False, True, False]


def report(**changes: Any) -> LoadReport:
    figures = PhaseFigures(0.1, 0.2, 0.3, 0.4, 0.5)
    whole = LoadReport(
        test=LoadTest(clients=20, rounds=2),
        rounds_finished=2,
        rounds_aborted=1,
        gave_up="",
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
        client_rounds=ClientRounds(40, 33, 3, 1, 2, 1),
        excluded=(4,),
        refused={"malformed": 2},
        aborted={"TOO_FEW_UPLOADED": 1},
        verdict=Found((18, 19), (3,), 2, 0, 0),
        machine={"cores": 2},
        moments=tuple(looks(0.25, (0.5, 0.125), 1.0)),
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
    assert "1 aborted (TOO_FEW_UPLOADED 1), 3 client-rounds broken off (SILENT 3)" in text
    assert "refused (malformed 2)" in text
    assert "verdict: 2 of 0 attackers flagged, 0 honest ones flagged, 1 suspected" in text
    assert "on the wire" not in text
    counted = as_text(report(wire_up=3 * 10**6, wire_down=10**6, upload_expansion=1.5))
    assert "on the wire: up 3.0 MB, down 1.0 MB; upload expansion 1.500" in counted
    assert as_text(report(exact=False)).endswith("every total exact: NO")
    unopened = report(exact=None, rounds_finished=0)
    assert as_text(unopened).endswith("no total was opened")
    assert as_text(report(exact=None, uncompared=2)).endswith("no total was compared")
    assert not unopened.passed
    assert report().passed
    assert not report(exact=False).passed
    short = report(rounds_finished=1)
    assert not short.passed
    assert "NOT FINISHED: 1 of 2 rounds had a total\n" in as_text(short)
    gave_up = as_text(report(rounds_finished=1, gave_up="2 of 20 clients are left"))
    assert "NOT FINISHED: 1 of 2 rounds had a total: 2 of 20 clients are left\n" in gave_up


def test_every_client_round_is_told() -> None:
    text = as_text(report())
    assert (
        "client-rounds of finished rounds: 40 = 33 accepted + 3 dropped"
        " + 1 left out with their group + 2 of excluded clients + 1 of clients not there\n"
    ) in text
    assert "excluded for their conduct: 1 clients\n" in text
    assert "excluded for" not in as_text(report(excluded=()))


def test_the_page_and_its_rows(tmp_path: Path) -> None:
    write_load_report(report().to_dict(), tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 3
    assert "malformed <b>2</b>" in page
    assert "<b>1</b> clients excluded for their conduct" in page
    assert "33 accepted + 3" in page
    assert "Not finished" not in page
    rows = json.loads((tmp_path / "loadtest.json").read_text(encoding="utf-8"))
    assert rows["test"]["clients"] == 20
    assert len(rows["moments"]) == 4
    assert rows["client_rounds"]["excluded"] == 2
    assert rows["excluded"] == [4]


def test_a_page_without_a_total(tmp_path: Path) -> None:
    why = "2 of 20 clients are left"
    write_load_report(report(exact=None, rounds_finished=0, gave_up=why).to_dict(), tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>NO</b> total was opened" in page
    assert f"<b>Not finished</b>: {why}." in page
    assert json.loads((tmp_path / "loadtest.json").read_text(encoding="utf-8"))["exact"] is None
