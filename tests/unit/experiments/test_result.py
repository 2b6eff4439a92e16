from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
from helpers_result import result

from auror.deployment.model_file import model_sha256
from auror.experiments.config import RunName
from auror.ids import ClientId

PUBLISHED = {
    "clients",
    "malicious",
    "flagged",
    "poisoned_samples",
    "tpr",
    "fpr",
    "rounds",
    "rounds_total",
    "seconds",
    "clean",
    "undefended",
    "oracle",
    "defended",
    "privacy",
    "scores",
    "model_sha256",
}


def test_the_summary_has_the_published_keys_and_is_json() -> None:
    summary = json.loads(json.dumps(result().summary(), allow_nan=False))
    assert set(summary) >= PUBLISHED
    assert set(summary["clean"]) == {"accuracy", "source_recall", "attack_success"}
    assert summary["poisoned_samples"] == {"1": 2, "5": 14}
    assert summary["rounds"] == 2
    assert summary["rounds_total"] == 4


def test_only_those_who_changed_three_labels_count_as_poisoners() -> None:
    assert result().rates() == (1.0, 0.0)  # client 1 changed two and need not be found
    assert result(poisoned={ClientId(1): 3, ClientId(5): 14}).rates() == (0.5, 0.0)
    assert result(poisoned={ClientId(1): 2, ClientId(5): 2}).rates() == (None, 0.0)


def test_a_flag_on_an_honest_client_is_a_false_positive() -> None:
    found = result()
    assert found.defended is not None
    wrong = replace(found.defended, flagged=(ClientId(0), ClientId(5)))
    assert result(defended=wrong).rates() == (1.0, 0.25)


def test_runs_not_made_are_null() -> None:
    found = result()
    only = {RunName.CLEAN: found.outcomes[RunName.CLEAN]}
    summary = result(outcomes=only, defended=None).summary()
    for name in ("undefended", "oracle", "defended", "privacy", "flagged", "tpr", "fpr", "scores"):
        assert summary[name] is None
    assert summary["clean"] is not None
    assert summary["rounds_total"] == 2


def test_the_model_hash_is_of_little_endian_float32() -> None:
    model = np.array([1.0, -2.5], dtype=np.float32)
    assert model_sha256(model) == model_sha256(model.astype(">f4"))
    assert model_sha256(model) != model_sha256(model + 1)
