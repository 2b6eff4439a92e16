"""The paper's claims as rows: one recording for both readers, one training for equal cohorts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auror.bench.defence import full, paper_claims
from auror.bench.defence.cells import Cell, recorded
from auror.bench.defence.full import decoded_view, published_view, recorded_in_full, without
from auror.bench.defence.paper_claims import Claim, Under, claims, summarise
from auror.bench.defence.rows import Bench
from auror.ids import ClientId
from auror.training.detectors import OUTPUT_LAYER

SMALL = Cell("digits", 15, 4, 3, 6, 6, pairs=("4:9",))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


def test_one_recording_reads_as_either_plan_alone(cache: Path) -> None:
    made = recorded_in_full(SMALL, cache, 1)
    for seen, alone in (
        (decoded_view(made), recorded(SMALL, cache, 1)),
        (published_view(made), recorded(SMALL, cache, 1, OUTPUT_LAYER)),
    ):
        assert np.array_equal(seen.statistics, alone.statistics)
        assert seen.metrics == alone.metrics


def test_nobody_gone_is_the_recorded_training_and_honest_cohorts_are_trained_once(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aims = ["flip:4:9", "flip:1:7"]
    made = recorded_in_full(SMALL, cache, 1)
    assert without([], SMALL, aims, cache, 1)["flip:4:9"] == pytest.approx(dict(made.metrics))
    one = without([ClientId(c) for c in made.malicious], SMALL, aims, cache, 1)
    assert one["flip:4:9"]["accuracy"] == one["flip:1:7"]["accuracy"]
    assert one["flip:4:9"]["source_recall"] != made.metrics["source_recall"]
    monkeypatch.setattr(full, "configured", lambda *_: pytest.fail("trained twice"))
    other = replace(SMALL, pairs=("1:7",))
    assert without([ClientId(c) for c in made.malicious], other, aims, cache, 1) == one
    with pytest.raises(BaseException, match="trained twice"):  # its attackers are still there
        without([ClientId(made.malicious[0])], other, aims, cache, 1)


def test_a_claim_has_its_row_without_defence_on_sums_and_as_published(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Claim(replace(SMALL, malicious=0, rounds=14, recorded=14), ("4:9",))
    monkeypatch.setattr(paper_claims, "claims", lambda _bench: [small])
    bench = Bench(cache, [1], True, lambda _line: None)
    rows = paper_claims.run(bench)
    assert [row["under"] for row in rows] == [under.value for under in Under]
    assert {row["reason"] for row in rows} == {None}
    assert [row["group_size"] for row in rows] == [3, 3, 1]
    (line,) = summarise(rows)
    assert line["attack"] == "flip:4:9"
    assert line["accuracy, no attack"] > 0.5
    assert line["runs published"] == 1
    assert line["tpr, sums"] is not None


def test_digits_are_the_full_set_where_it_is(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [1], False, print, tmp_path)
    assert [c.cell.dataset for c in claims(bench)] == ["mnist5k", "gtsrb"]
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    assert [c.cell.dataset for c in claims(bench)] == ["mnist", "gtsrb"]
    assert claims(bench)[0].cell.data_dir == tmp_path
