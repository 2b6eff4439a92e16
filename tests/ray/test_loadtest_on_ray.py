"""A load test whose clients are actors on two nodes: every total is compared, and what dies costs
its own clients. ``make test-ray`` installs what this needs."""

from __future__ import annotations

import json
from collections.abc import Callable

import psutil
import pytest
from click.testing import CliRunner
from ray.cluster_utils import Cluster

from auror.cli import main
from auror.errors import ConfigError, UnavailableError
from auror.programs.load_report import LoadReport
from auror.programs.loadtest import LoadTest, run_loadtest

CLIENTS = 24


def play(
    cluster: Cluster, after_round: Callable[[], object] = lambda: None, **changes: object
) -> tuple[LoadReport, list[str]]:
    """Three rounds; ``after_round`` happens once, after the first."""
    said: list[str] = []

    def say(line: str) -> None:
        if line.startswith("round 1 of 3 done"):
            after_round()
        said.append(line)

    given = {"clients": CLIENTS, "dim": 3000, "group_size": 2, "dropout": 0.0, **changes}
    test = LoadTest(engine="ray", address=cluster.address, **given)  # type: ignore[arg-type]
    return run_loadtest(test, say), said


def hosts() -> list[psutil.Process]:
    """The workers that hold an actor."""
    found = psutil.process_iter(["cmdline"])
    return [one for one in found if (one.info["cmdline"] or [""])[0].startswith("ray::ClientHost")]


def test_the_options_and_the_rows_of_a_test_on_two_nodes(cluster: Cluster) -> None:
    ray = ("--engine", "ray", "--address", cluster.address, "--format", "json", "--count-wire")
    words = ("--clients", str(CLIENTS), "--dim", "3000", "--rounds", "2", "--group-size", "2")
    checked = CliRunner().invoke(main, ["loadtest", *words, *ray, "--check"])
    assert checked.exit_code == 0, checked.output
    assert "4 actors on a Ray cluster of 4 cores" in checked.stdout
    done = CliRunner().invoke(main, ["loadtest", *words, *ray])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["exact"]
    assert report["uncompared"] == 0
    assert report["test"]["workers"] == 4
    assert report["test"]["host"] != "127.0.0.1"
    assert report["machine"]["machines"] == 1  # two nodes of it
    assert report["upload_expansion"] > 1
    assert len(report["moments"][-1]["swarm_cpu"]) == 4
    assert all(cpu > 0 for cpu in report["moments"][-1]["swarm_cpu"])
    assert report["swarm_peak_rss_bytes"] > 10**8
    assert not hosts()


def test_an_actor_that_dies_costs_its_clients(cluster: Cluster) -> None:
    died: list[psutil.Process] = []

    def kill() -> None:
        victim = hosts()[0]
        died.extend(victim.children())
        victim.kill()

    report, said = play(cluster, kill)
    (line,) = [line for line in said if line.startswith("lost ")]
    assert ", 6 clients: " in line
    assert line.endswith("; 18 are left")
    assert report.lost == (line.removeprefix("lost ").removesuffix("; 18 are left"),)
    assert report.rounds_finished == 3
    assert report.exact
    assert len(died) == 1
    assert not died[0].is_running()  # the process of clients went with its actor


def test_more_actors_than_cores_are_refused(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match="workers = 5: the cluster has 4 cores"):
        play(cluster, workers=5)


def test_nodes_that_do_not_reach_the_server_say_so(cluster: Cluster) -> None:
    with pytest.raises(UnavailableError, match=r"does not reach the server at 198\.51\.100\.9:"):
        play(cluster, host="198.51.100.9")


def test_too_few_clients_after_a_node_died_end_the_test(cluster: Cluster) -> None:
    node = next(iter(cluster.worker_nodes))
    with pytest.raises(UnavailableError, match="12 clients are left, and a round needs 16: lost"):
        play(cluster, lambda: cluster.remove_node(node))
