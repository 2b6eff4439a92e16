"""A fingerprint tells data apart, counts them, and holds none of them."""

from __future__ import annotations

import dataclasses

import numpy as np

from auror.learn.datasets import load_dataset
from auror.learn.fingerprint import fingerprint


def test_equal_data_have_equal_fingerprints_and_one_changed_sample_another() -> None:
    data = load_dataset("digits", seed=1)
    found = fingerprint(data)
    assert found == fingerprint(load_dataset("digits", seed=1))
    assert found["splits"].keys() == {"train", "test", "clean"}
    test = found["splits"]["test"]
    assert test["samples"] == len(data.test_y) == sum(test["per_class"].values())
    x = data.test_x.copy()
    x[7, 0, 3, 3] += 1e-3
    other = fingerprint(dataclasses.replace(data, test_x=x))["splits"]
    assert other["test"]["sha256"] != test["sha256"]
    assert other["train"] == found["splits"]["train"]


def test_targets_that_are_numbers_are_hashed_and_not_counted_by_class() -> None:
    data = load_dataset("digits", seed=1)
    y = data.test_y.astype(np.float32)
    split = fingerprint(dataclasses.replace(data, test_y=y))["splits"]["test"]  # type: ignore[arg-type]
    assert "per_class" not in split
    assert split["samples"] == len(y)
