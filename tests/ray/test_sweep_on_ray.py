"""A sweep on a Ray cluster of two nodes: the rows of one machine, bit for bit, and a worker that
dies costs its cell only. ``make test-ray`` installs what this needs."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from ray import cloudpickle
from ray.cluster_utils import Cluster

from auror.cli import main
from auror.experiments.engine import Engine
from auror.experiments.sweep import read_table

MANIFEST = """
[base]
dataset = "digits"
clients = 6
malicious = 1
attack = "flip:4:9"
rounds = 2
colluders = 1
group_size = 3

[grid]
seed = "1-4"
"""


@pytest.fixture(scope="module")
def address(cluster: Cluster) -> str:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import tests
    return str(cluster.address)


def sweep(folder: Path, *words: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "manifest.toml").write_text(MANIFEST)
    out = str(folder / "out")
    done = CliRunner().invoke(main, ["sweep", str(folder / "manifest.toml"), "--out", out, *words])
    assert done.exit_code == 0, done.output
    return done.output


def test_a_cluster_computes_the_rows_of_one_machine(address: str, tmp_path: Path) -> None:
    ray = ("--engine", "ray", "--address", address)
    assert "Ray cluster of 4 cores" in sweep(tmp_path / "ray", *ray, "--check")
    sweep(tmp_path / "ray", *ray)
    sweep(tmp_path / "here", "--workers", "1")
    there, here = (
        [{**row, "seconds": None} for row in read_table(tmp_path / kind / "out")]
        for kind in ("ray", "here")
    )
    assert there == here
    assert len(list((tmp_path / "ray" / "out" / "cells").iterdir())) == 4
    assert "4 of them there already" in sweep(tmp_path / "ray", *ray)


def where(seconds: float) -> tuple[str, int]:
    import ray

    time.sleep(seconds)
    return ray.get_runtime_context().get_node_id(), os.getpid()


def test_both_nodes_work(address: str) -> None:
    found = list(Engine("ray", None, address).computed(where, [1.0] * 6, lambda *_: ("lost", 0)))
    assert len({node for node, _pid in found}) == 2


def dies(number: int) -> str:
    if number == 1:
        os._exit(1)
    return f"done {number}"


def test_a_worker_that_dies_costs_its_cell_only(address: str) -> None:
    found = Engine("ray", 1, address).computed(dies, [0, 1, 2], lambda cell, why: f"{cell}: {why}")
    lost, *done = sorted(found)
    assert done == ["done 0", "done 2"]
    assert lost.startswith("1: ")
    assert "died" in lost


def test_no_cluster_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "manifest.toml").write_text(MANIFEST)
    words = ["sweep", str(tmp_path / "manifest.toml"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(main, [*words, "--engine", "ray", "--address", "127.0.0.1:9"])
    assert done.exit_code == 5
    assert "no Ray cluster answers at 127.0.0.1:9" in done.stderr.splitlines()[-1]
