"""A soak's verdict: every bound that is missed is named, and growth and leaks are seen as such."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import figures
import numpy as np
import page
import pytest
from witness import Sample

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))  # house has kit

from house import named_wrongly

CLOCK = [(float(second), second // 2) for second in range(601)]
"""A round in two seconds, 300 in all."""


def life(
    begin: float = 0,
    end: float = 600,
    grows: float = 0.0,
    files: Callable[[float], int] = lambda _: 50,
) -> list[Sample]:
    """``grows``: MB per 100 rounds, with noise and 20 MB more in the first ten rounds."""
    rng = np.random.default_rng(0)

    def rss(at: float) -> int:
        warm = 20e6 * min(1.0, (at - begin) / 20)
        return int(100e6 + warm + grows * 1e4 * at / 2 + rng.normal(0, 2e5))

    times = np.arange(begin, end, 0.5)
    return [Sample(float(at), rss(at), files(at), 12, 9, 0) for at in times]


def test_a_database_that_grows_with_what_was_there_is_told_from_one_that_does_not() -> None:
    steady = [(closed, 1_000 * closed) for closed in range(100)]
    assert figures.database(steady) == {"bytes": 99_000, "per_round": [1_000.0, 1_000.0]}
    first, second = figures.database([(n, 10 * n * n) for n in range(100)])["per_round"]
    assert second > 2.5 * first


def round_(index: int, model: str = "", aborted: str | None = None) -> figures.Json:
    return {
        "index": index,
        "round_id": {"counter": 10 + index},
        "model": model or str(index),
        "aborted": aborted,
    }


def test_rounds_twice_lost_or_out_of_order_are_seen() -> None:
    good = [round_(0), round_(1, "1", "a kill"), round_(2, "1")]
    assert named_wrongly(good, [10, 11, 12]) == []
    assert named_wrongly(good, [10, 11, 12, 13]) == []  # one is being played
    assert named_wrongly(good, [10, 11, 12, 13, 14]) != []
    assert named_wrongly(good, [10, 11]) != []
    assert named_wrongly([good[0], good[0]], [10]) != []
    assert named_wrongly([good[1], good[0]], [10, 11]) != []
    assert named_wrongly([round_(0, "m"), round_(1, "m")], [10, 11]) == ["a model has two totals"]


def test_a_step_up_for_a_while_is_no_growth() -> None:
    samples = life()
    burst = [replace(s, rss=s.rss + 5 * 10**7) if 250 < s.at < 290 else s for s in samples]
    assert figures.growth(CLOCK, burst) == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize("grows", [0.0, 0.5, 2.0])
def test_growth_is_told_from_noise_and_warming_up(grows: float) -> None:
    assert figures.growth(CLOCK, life(grows=grows)) == pytest.approx(grows, abs=0.1)


def test_of_a_short_life_no_growth_is_told() -> None:
    assert figures.growth(CLOCK, life(0, 350)) is None
    assert figures.growth(CLOCK, life(200, 570)) is not None


def test_a_short_life_stands_where_it_ended_and_a_long_one_where_it_was_highest() -> None:
    found = figures.levels(CLOCK, [life(grows=-3.0), life(0, 100, grows=10.0)])
    assert found["long"] == [pytest.approx(119.3, abs=0.5)]
    assert found["short"] == [pytest.approx(124, abs=0.5)]


def test_a_descriptor_lost_at_every_fault_is_seen() -> None:
    quiet, last = (0.0, 40.0), (560.0, 600.0)
    assert figures.back_to_base(life(), quiet, last) == {"files": [50, 50], "tasks": [12, 12]}
    leaking = life(files=lambda at: 50 + int(at // 60))
    found = figures.back_to_base(leaking, quiet, last)
    assert found is not None
    assert found["files"] == [50, 59]
    assert figures.back_to_base(life(100, 600), quiet, last) is None
    assert figures.back_to_base(life(0, 500), quiet, last) is None


def good() -> figures.Json:
    lives = {"server": [life(0, 100), life(100)], "clients": [life(), life()]}
    return {
        "seed": 0, "clients": 30, "dim": 10_000, "seconds": 600.0,
        "faults": {"client kills": 60, "server kills": 5, "dropped connections": 200},
        "processes": 10, "load": [1.5, 2.0], "probed": 12, "tracebacks": [],
        "rounds": {"with_total": 250, "exact": 250, "others": 9, "names": []},
        "database": {"bytes": 12_000_000, "per_round": [45_000.0, 46_000.0]},
        "growth": {"server": [0.4], "clients": [0.1, 0.9]},
        "levels": {kind: figures.levels(CLOCK, some) for kind, some in lives.items()},
        "base": {
            kind: [figures.back_to_base(one, (100, 130), (560, 600)) for one in some[1:]]
            for kind, some in lives.items()
        },
        "series": figures.series(CLOCK, lives),
        "secrets": {
            "searched": 100, "kinds": {"share": 100}, "bytes": 10**6, "hits": [],
            "planted_found": True,
        },
        "crashed": 3, "cores": 0, "ended": [], "audit": 0,
    }  # fmt: skip


def spoilt() -> Iterator[tuple[str, object, str]]:
    few = {"with_total": 199, "exact": 199, "others": 0, "names": []}
    yield "rounds", few, "199 rounds with a total"
    yield "rounds.names", ["a model has two totals"], "a model has two totals"
    yield "database.per_round", [45e3, 59e3], "the database grows faster and faster"
    yield "tracebacks", ["server.log"], "traceback in server.log"
    yield "probed", 0, "nobody watched the health port"
    yield "rounds.exact", 249, "only 249 totals are exact"
    yield "growth.server", [0.1, 1.0], "server: memory grows by 1.00 MB"
    yield "levels.clients.short", [123.0], "clients: a process that lived short stands at 123.0 MB"
    yield "growth.clients", [], "clients: nobody lived long enough"
    yield "base.server", [], "server: nobody saw both quiet times"
    yield "base.clients", [{"files": [50, 51], "tasks": [9, 9]}], "clients: files do not come back"
    yield "base.clients", [{"files": [50, 50], "tasks": [9, 10]}], "clients: tasks do not come back"
    yield "secrets.hits", ["logs/server.log: share"], "secret found: logs/server.log: share"
    yield "secrets.planted_found", False, "the search for secrets finds nothing"
    yield "secrets.searched", 0, "the search for secrets finds nothing"
    yield "cores", 1, "1 cores were written"
    yield "ended", ["client-004, exit code 1: …"], "ended by itself: client-004, exit code 1"
    yield "audit", 12, "auror audit verify: exit code 12"


def test_a_good_soak_misses_nothing_and_its_page_says_so() -> None:
    assert figures.missed(good()) == []
    text = page.page(good())
    assert text.endswith("Every bound holds.\n")
    assert text.count("\n| ") > 20
    assert "nan" not in text


@pytest.mark.parametrize(("where", "value", "line"), [*spoilt()])
def test_every_missed_bound_is_named(where: str, value: object, line: str) -> None:
    soak = copy.deepcopy(good())
    *folders, name = where.split(".")
    part = soak
    for folder in folders:
        part = part[folder]
    part[name] = value
    (said,) = figures.missed(soak)
    assert said.startswith(line)
    assert f"MISSED: {said}" in page.page(soak).replace("\n", " ")


def test_the_plot_is_the_same_each_time() -> None:
    svg = page.plot(good())
    assert svg == page.plot(good())
    assert "asyncio tasks" in svg
