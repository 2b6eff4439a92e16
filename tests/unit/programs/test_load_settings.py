"""What a load test can be asked for, and what is refused before anything is started."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from auror.cli import main
from auror.deployment.certs import create_deployment
from auror.errors import ConfigError, CredentialsError, UnavailableError
from auror.programs.load_remote import RemoteReport, RemoteTest, run_remote, silence_of
from auror.programs.load_swarm import faults_of, files_of, most_clients, server_files
from auror.programs.loadtest import LoadTest
from auror.programs.processes import free_address


def test_attackers_are_the_last_clients_and_need_their_classes() -> None:
    assert list(LoadTest(clients=10, attackers=3).attacking) == [7, 8, 9]
    assert not LoadTest(clients=10).attacking
    with pytest.raises(ConfigError, match="attackers = 1 relabel class 4 as 9, and there are 5"):
        LoadTest(clients=10, attackers=1, classes=5)
    with pytest.raises(ConfigError, match="attackers = 6 of 10 clients: no more than half"):
        LoadTest(clients=10, attackers=6)


def test_a_model_that_holds_no_layer_is_refused() -> None:
    with pytest.raises(ConfigError, match="dim = 20: 10 classes need 30 entries at least; raise"):
        LoadTest(clients=10, dim=20)
    assert LoadTest(clients=10, dim=20, classes=0).terms().task == b'{"synthetic":20}'


def test_faults_that_are_not_wanted_are_not_set() -> None:
    assert faults_of(LoadTest(dropout=0.0)) == {}
    assert faults_of(LoadTest(dropout=0.1, delay="2", churn=0.2)) == {
        "faults.dropout": 0.1,
        "faults.delay": "2",
        "faults.churn": 0.2,
    }
    with pytest.raises(ConfigError, match="bandwidth = 'slow': choose"):
        LoadTest(bandwidth="slow")


@pytest.mark.parametrize("text", ["0", "0.05", "uniform:0:1", "exponential:0", "lognormal:0:1"])
def test_links_that_no_client_could_live_on_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"bandwidth = .* of numbers from 0\.1 on"):
        LoadTest(bandwidth=text)
    assert LoadTest(delay=text)
    assert LoadTest(bandwidth="lognormal:0.1:0")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"dim": 10**12}, "dim = 1000000000000: choose 1 … 20,000,000"),
        ({"classes": 1}, "classes = 1: choose 2 or more, or 0 for numbers only"),
    ],
)
def test_what_clients_would_refuse_is_refused_before_anything_starts(
    asked: dict[str, int], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        LoadTest(**asked)  # type: ignore[arg-type]


def test_open_files_are_counted_per_process() -> None:
    assert files_of(10, 2) == 15
    assert files_of(11, 2) == 18
    assert most_clients(94, 2) == 10
    assert most_clients(94, 1) == 10
    assert most_clients(3000, 1) == 978
    assert server_files(978) <= 3000 < server_files(979)
    assert most_clients(20, 2) == 0


def test_the_clients_of_a_deployment(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="holds no client's credentials"):
        RemoteTest(server="a:1", certs=tmp_path).numbers()
    for name in ("000", "001", "007"):
        (tmp_path / "clients" / name).mkdir(parents=True)
    assert RemoteTest(server="a:1", certs=tmp_path).numbers() == [0, 1, 7]
    assert RemoteTest(server="a:1", certs=tmp_path, clients=2).numbers() == [0, 1]
    with pytest.raises(ConfigError, match=r"clients = 4: .* has 3"):
        RemoteTest(server="a:1", certs=tmp_path, clients=4).numbers()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--server", "a:1"], "--certs is missing: --server and --certs go together"),
        (["--certs", "d"], "--server is missing: --server and --certs go together"),
        (["--server", "a:1", "--certs", "d", "--dim", "9"], "--dim has no effect with --server"),
        (["--hold", "3", "--rounds", "2"], "--rounds has no effect with --hold"),
        (["--dataset", "digits"], "--dataset has no effect without --server"),
        (["--address", "a:1"], "--address a:1 has no effect without --engine ray: leave it out"),
        (["--host", "a"], "--host a has no effect without --engine ray: leave it out"),
        (["--engine", "ray", "--host", "::1"], "--host ::1: give a name, or an IPv4 address"),
        (["--engine", "ray", "--host", "a:1"], 'leave out the port: "a"'),
        (["--engine", "dask"], "'dask' is not one of"),
        (["--engine", "ray", "--hold", "3"], "--engine has no effect with --hold"),
        (
            ["--server", "a:1", "--certs", "d", "--malformed", "0.1"],
            "--malformed 0.1: the server would exclude real members for good",
        ),
        (["--engine", "ray", "--server", "a:1", "--certs", "d"], "--engine has no effect with"),
    ],
)
def test_an_option_without_effect_is_an_error(words: list[str], said: str) -> None:
    done = CliRunner().invoke(main, ["loadtest", *words])
    assert done.exit_code == 2
    assert said in done.output


def test_a_server_that_is_not_there_is_said_before_anything_starts(tmp_path: Path) -> None:
    certs, address = tmp_path / "certs", free_address()
    create_deployment(certs, 6, ["127.0.0.1"], LoadTest(clients=6, group_size=2).terms())
    with pytest.raises(UnavailableError, match=f"nobody answers at {address}: start auror-server"):
        run_remote(RemoteTest(server=address, certs=certs), lambda _: pytest.fail("it started"))
    assert not (certs / "loadtest" / "logs").exists()


def test_a_server_that_falls_silent_meanwhile_is_said_in_the_lines_of_progress() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert silence_of(address) == ""
    assert silence_of(address) == f"; {address}: no answer"


@pytest.mark.parametrize(
    ("totals", "endings", "code"),
    [
        (9, {"0": 2}, 0),
        (9, {"0": 1, "7": 1}, 0),
        (9, {"6": 2}, 1),
        (0, {"0": 2}, 1),
        (0, {"3": 2}, 3),
        (0, {"2": 1, "3": 1}, 1),
    ],
)
def test_what_a_test_elsewhere_ends_with(
    totals: int, endings: dict[str, int], code: int, tmp_path: Path
) -> None:
    test = RemoteTest(server="a:1", certs=tmp_path)
    report = RemoteReport(test, 6, 1.0, 9, totals, endings, {}, 1.0, 1, {})
    assert report.exit_code == code
