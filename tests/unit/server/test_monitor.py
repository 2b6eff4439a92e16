"""What monitors read: every metric is documented and drawn, and says what a session did."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from auror_server.monitor import FRESH_S, Monitor
from auror_server.standing import STARTING, Activity, SessionEnding
from prometheus_client.parser import text_string_to_metric_families
from stage import Stage

from auror.deployment.orders import Orders
from auror.deployment.run_reader import RunReader
from auror.errors import AbortReason, DropReason, Refusal
from auror.ids import ClientId
from auror.round.record import Mark, MarkKind
from auror.round.record_json import record_from_json

C = ClientId
ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
BOARD = json.loads((ROOT / "deploy" / "grafana" / "auror.json").read_text(encoding="utf-8"))
_WORDS = {
    "sum", "by", "le", "rate", "increase", "time", "histogram_quantile", "label_values", "instance",
}  # fmt: skip
"""Of the query language, and what Prometheus itself adds."""


def samples(monitor: Monitor) -> dict[str, dict[tuple[str, ...], float]]:
    """Name of a sample → values of its labels → its value."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(monitor.text().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def labels(monitor: Monitor) -> dict[str, set[str]]:
    """Name of a sample → names of its labels."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(monitor.text().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def played(folder: Path, rounds: int = 2) -> Stage:
    async def scene() -> Stage:
        stage = Stage(folder, rounds=rounds)
        stage.session.obey(Orders(excluded=frozenset([ClientId(2)])))
        for site in stage.sites:
            site.connect()
        assert await stage.run() is SessionEnding.FINISHED
        return stage

    return asyncio.run(scene())


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return played(tmp_path_factory.mktemp("run"))


def full(stage: Stage) -> Monitor:
    """With a sample of everything that only some runs have."""
    monitor, record = Monitor(), record_from_json(stage.rounds[-1])
    monitor.standing = lambda: {**STARTING, "refused": {"malformed": 1}}
    monitor.policy = lambda: stage.house.policy
    monitor.expires("certificate", 2e9)
    measured = {"seconds": 1.0, "phases": {}, "bytes_up": 0, "bytes_down": 0}
    monitor.concluded(stage.campaign, record, measured, {"accuracy": 0.9})
    return monitor


def test_rounds_are_counted_as_they_were(stage: Stage) -> None:
    found = samples(stage.monitor)
    assert found["auror_rounds_total"]["total",] == 2
    assert sum(found["auror_rounds_total"].values()) == 2
    assert found["auror_round_seconds_count"][()] == 2
    for phase in ("advertise", "upload", "unmask"):
        assert found["auror_phase_seconds_count"][phase,] == 2
    assert found["auror_phase_seconds_count"]["localise",] == 0
    up = sum(line["bytes_up"] for line in RunReader(stage.folder).timings())
    assert found["auror_round_bytes_total"]["up",] == up > 0
    opened = [record_from_json(line).opened for line in stage.rounds]
    entries = sum(len(group.total) for groups in opened for group in groups)
    assert found["auror_opened_statistics_bits_total"][()] == 64 * entries > 0
    assert found["auror_opened_groups_total"][()] == sum(map(len, opened))
    assert found["auror_accepted_clients"][()] == 6
    assert found["auror_training_rounds"] == {("done",): 2, ("failed",): 0, ("planned",): 2}
    budget = stage.house.policy.budget
    left = found["auror_budget_left"]
    assert left["attempts",] == budget.max_openings - 2
    assert left["totals",] == budget.max_totals - 2
    assert left["trainings",] == stage.house.policy.eras - 1
    states = found["auror_clients"]
    assert (states["members",], states["excluded_by_hand",], states["flagged",]) == (7, 1, 0)
    assert found["auror_policy_version"][()] == 1
    assert found["auror_expires_timestamp_seconds"]["policy",] == stage.house.policy.expires


def test_what_went_wrong_is_counted_by_reason(stage: Stage) -> None:
    monitor, record = Monitor(), record_from_json(stage.rounds[0])
    sad = replace(
        record,
        aborted=AbortReason.BINDING_FAILED,
        dropped={C(1): DropReason.SILENT, C(2): DropReason.REFUSED},
        withdrawn={C(2): Refusal.DEVICE_FAILED},
        marks=(Mark(MarkKind.FAULT, (C(4),)),),
        flagged=(C(5),),
    )
    measured = {"seconds": 4.0, "phases": {"upload": {"seconds": 3.5}}, "bytes_up": 5,
                "bytes_down": 7}  # fmt: skip
    monitor.concluded(stage.campaign, sad, measured, {"accuracy": 0.5, "recall": None})
    found = samples(monitor)
    assert found["auror_rounds_total"]["binding_failed",] == 1
    assert found["auror_rounds_total"]["total",] == 0
    assert found["auror_client_drops_total"]["silent",] == 1
    assert sum(found["auror_client_drops_total"].values()) == 1  # a withdrawal is none
    assert found["auror_client_withdrawals_total"]["device_failed",] == 1
    assert found["auror_marks_total"]["fault",] == 1
    assert found["auror_flags_total"][()] == 1
    assert found["auror_phase_seconds_sum"]["upload",] == 3.5
    assert found["auror_round_bytes_total"]["down",] == 7
    assert found["auror_test_metric"]["accuracy",] == 0.5
    assert found["auror_test_metric"]["recall",] != found["auror_test_metric"]["recall",]  # NaN


def test_the_moment_is_of_now_and_refusals_survive_the_next_session(stage: Stage) -> None:
    monitor = Monitor()
    now = {
        "activity": "playing a round", "phase": "upload", "phase_s": 7.0, "deadline_s": 53.0,
        "waiting_for": [1, 2], "connected": [0, 1, 2], "by_hand": [], "stopping": True,
        "refused": {"malformed": 3},
    }  # fmt: skip
    monitor.standing = lambda: now
    found = samples(monitor)
    assert found["auror_activity"]["playing",] == 1
    assert sum(found["auror_activity"].values()) == 1
    assert found["auror_phase"]["upload",] == 1
    assert (found["auror_phase_elapsed_seconds"][()], found["auror_deadline_seconds"][()]) == (
        7,
        53,
    )
    assert (found["auror_clients"]["waited_for",], found["auror_stopping"][()]) == (2, 1)
    now = {**now, "refused": {"malformed": 4}}
    assert samples(monitor)["auror_refusals_total"]["malformed",] == 3  # made a moment ago
    monitor._made = -FRESH_S
    assert samples(monitor)["auror_refusals_total"]["malformed",] == 4
    now = {**now, "refused": {"malformed": 2}}  # of the next training's session
    monitor._made = -FRESH_S
    assert samples(monitor)["auror_refusals_total"]["malformed",] == 6
    monitor.idle()
    monitor._made = -FRESH_S
    assert samples(monitor)["auror_activity"][Activity.IDLE.name.lower(),] == 1


def test_no_client_is_named(stage: Stage) -> None:
    assert "client" not in {name for names in labels(full(stage)).values() for name in names}


def test_every_metric_is_documented_and_none_that_is_not_there(stage: Stage) -> None:
    there = {
        sample.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
        for sample in samples(full(stage))
    }
    rows = re.findall(r"^\| `((?:auror|process)_\w+)` \|([^|]*)\|", PAGE, re.M)
    assert {name for name, _ in rows} == there
    known = labels(full(stage))
    for name, given in rows:
        has = known.get(name, known.get(f"{name}_count", set()))
        assert set(re.findall(r"`(\w+)`", given)) == has, name


def queries(panels: list[dict[str, Any]]) -> Iterator[str]:
    for panel in panels:
        yield from queries(panel.get("panels", []))
        yield from (target["expr"] for target in panel.get("targets", []))


def unknown(query: str, known: dict[str, set[str]]) -> set[str]:
    """Names in ``query`` that no server says: metrics, labels of selectors, and those summed by."""
    bare = re.sub(r'"[^"]*"', '""', query)
    wrong = set()
    for name, inside in re.findall(r"(\w+)\{([^}]*)\}", bare):
        wrong |= {name} - known.keys()
        wrong |= set(re.findall(r"(\w+)\s*[=!]", inside)) - known.get(name, set()) - {"instance"}
    outside = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    everything = {label for names in known.values() for label in names}
    words = set(re.findall(r"[A-Za-z_]\w*", outside))
    return wrong | (words - known.keys() - everything - _WORDS)


def test_the_dashboard_asks_for_what_there_is(stage: Stage) -> None:
    known = labels(full(stage))
    found = list(queries(BOARD["panels"]))
    assert len(found) > 20
    assert {query: bad for query in found if (bad := unknown(query, known))} == {}
    for variable in BOARD["templating"]["list"]:
        if variable["type"] == "query":
            assert not unknown(variable["query"]["query"], known)
    # everything of a server's own is drawn, but for what others say better
    drawn = {name for query in found for name in known if re.search(rf"\b{name}\b", query)}
    own = {name for name in known if name.startswith("auror_") and not name.endswith("_bucket")}
    assert own - drawn == {
        "auror_build_info", "auror_phase", "auror_phase_elapsed_seconds", "auror_deadline_seconds",
        "auror_stopping", "auror_policy_version", "auror_era", "auror_round_seconds_sum",
        "auror_round_seconds_count",
    }  # fmt: skip


def test_a_query_of_what_is_not_there_is_seen(stage: Stage) -> None:
    known = labels(stage.monitor)
    assert unknown('rate(auror_roundz_total{instance="x"}[5m])', known) == {"auror_roundz_total"}
    assert unknown('auror_clients{stage="members"}', known) == {"stage"}
    assert unknown("sum by (colour) (auror_clients)", known) == {"colour"}
    assert unknown("summe(auror_clients)", known) == {"summe"}


def test_the_dashboard_is_one_that_grafana_loads() -> None:
    """What its import asks for: an id, a schema, panels with places that do not overlap."""
    assert (BOARD["uid"], BOARD["title"]) == ("auror", "Auror")
    assert BOARD["schemaVersion"] >= 36
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert panel["type"] in {"stat", "timeseries"}
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
