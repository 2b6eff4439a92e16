from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

from helpers_result import DATA, TASK, result

from auror.experiments.config import RunName
from auror.experiments.result import ExperimentResult
from auror.experiments.runfolder import summary_of, write_run
from auror.report.any_page import report
from auror.report.plots import figures
from auror.report.run_page import write_report


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [
            str(value)
            for name, value in attrs
            if name in ("src", "href", "xlink:href", "data") and not str(value).startswith("#")
        ]


def written(folder: Path, made: ExperimentResult) -> str:
    manifest = write_run(folder, made, TASK, DATA)
    write_report(folder, made, summary_of(made, folder), manifest)
    return (folder / "report.html").read_text()


def test_the_report_loads_nothing_from_elsewhere_and_runs_nothing(tmp_path: Path) -> None:
    text = written(tmp_path, result())
    page = _Links()
    page.feed(text)
    assert [load for load in page.loads if not load.startswith("data:image/png;base64,")] == []
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert not re.search(r"url\((?!#)|@import", text)
    assert text.count("<svg") == 5


def test_the_report_says_who_was_flagged_and_why(tmp_path: Path) -> None:
    text = written(tmp_path, result())
    assert "flagged, round 3" in text
    assert "&lt;reason 5&gt;" in text  # escaped: reasons are data
    assert "too few signatures under the accepted set" in text
    assert "75.0 %" in text  # statistic recovery
    assert "class\n4" in text


def test_the_report_tells_suspects_from_flagged_clients(tmp_path: Path) -> None:
    found = result()
    assert found.defended is not None
    assert found.defended.verdict is not None
    plain = found.defended.verdict
    clients = [{**entry, "flagged": entry["client"] == 3} for entry in plain["clients"]]
    accusing = replace(found.defended, verdict={**plain, "flagged": [3], "clients": clients})
    text = written(tmp_path, result(defended=accusing))
    assert '<td data-label="verdict">suspected</td>' in text
    assert re.search(r"Suspected, not confirmed by enough rounds: <b>3</b>", text)
    assert "&lt;reason 5&gt;; flagged after audited rounds" in text
    assert result(defended=accusing).summary()["suspected"] == [3]


def test_a_report_without_defence_leaves_its_parts_out(tmp_path: Path) -> None:
    found = result()
    only = {RunName.CLEAN: found.outcomes[RunName.CLEAN]}
    text = written(tmp_path, result(outcomes=only, defended=None))
    assert "The verdict" not in text
    assert "What the server learned" not in text
    assert "all honest" in text


def test_a_verdict_of_nobody_is_said_in_words(tmp_path: Path) -> None:
    found = result()
    assert found.defended is not None
    quiet = replace(
        found.defended,
        flagged=(),
        verdict=None,
        suspicion=tuple(replace(s, flagged=()) for s in found.defended.suspicion),
    )
    assert "Nobody was flagged." in written(tmp_path, result(defended=quiet))


def test_figures_are_well_formed_and_repeat_byte_for_byte(tmp_path: Path) -> None:
    first, second = figures(result()), figures(result())
    assert first == second
    assert set(first) == {"accuracy", "attack-success", "suspicion", "scores", "evidence"}
    for svg in first.values():
        root = ElementTree.fromstring(svg)
        assert root.tag.endswith("svg")
        assert root.attrib["aria-label"]


def test_a_run_without_attack_has_no_attack_figure() -> None:
    found = result()
    silent = {
        run: replace(
            outcome,
            history=tuple(
                replace(p, metrics=replace(p.metrics, source_recall=None, attack_success=None))
                for p in outcome.history
            ),
        )
        for run, outcome in found.outcomes.items()
    }
    assert "attack-success" not in figures(result(outcomes=silent))


def test_the_report_names_classes_that_have_names(tmp_path: Path) -> None:
    task = json.dumps({**json.loads(TASK), "classes": [f"sign {i}" for i in range(10)]}).encode()
    write_run(tmp_path, result(), task, DATA)
    report([tmp_path], None, None)
    text = (tmp_path / "report.html").read_text()
    assert re.search(r"class\n4 \(sign 4\) and were labelled \d \(sign \d\)", text)


def test_a_verdict_on_one_class_alone_is_a_page_too(tmp_path: Path) -> None:
    """Of many classes what moves is seen in all that are called otherwise: there is no target."""
    task = json.dumps({**json.loads(TASK), "classes": [f"sign {i}" for i in range(10)]}).encode()
    found = result()
    assert found.defended is not None
    assert found.defended.verdict is not None
    verdict = {**found.defended.verdict, "target": None}
    untold = result(defended=replace(found.defended, verdict=verdict))
    write_run(tmp_path, untold, task, DATA)
    report([tmp_path], None, None)
    text = (tmp_path / "report.html").read_text()
    assert re.search(r"class\n4 \(sign 4\) and were labelled otherwise;", text)
