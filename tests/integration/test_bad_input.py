"""What people get wrong: one clear line with the fix, the documented exit code, no traceback."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import kit
import pytest

from auror.experiments.processes import free_address, programs, wait_until_listening
from auror.wire.certs import create_deployment


@pytest.fixture(scope="module")
def deployments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deployments")
    for name in ("certs", "others"):
        create_deployment(folder / name, 3, ["127.0.0.1"])
    (folder / "broken").mkdir()
    shutil.copytree(folder / "certs" / "clients" / "001", folder / "broken" / "client")
    (folder / "broken" / "client" / "cert.pem").unlink()
    (folder / "typo.toml").write_text("[session]\nronds = 3\n")
    return folder


SERVER = ("--credentials", "certs/server", "--health", "", "--set", "round.colluders=1",
          "--set", "round.group_size=2")  # fmt: skip


@pytest.mark.parametrize(
    ("program", "words", "code", "says"),
    [
        ("auror_server", ["--config", "typo.toml"], 2, "did you mean session.rounds?"),
        ("auror_server", ["--config", "none.toml"], 2, "no configuration file none.toml"),
        ("auror_server", ["--credentials", "nowhere"], 3, "no credentials folder nowhere"),
        ("auror_server", [*SERVER, "--dataset", "mnits"], 2, "mnits"),
        ("auror_server", [*SERVER, "--set", "round.group_size=9"], 2, "group_size = 9"),
        ("auror_server", [*SERVER, "--set", "round.colluders=2"], 2, "colluders = 2"),
        ("auror_server", [*SERVER, "--listen", "7443"], 2, "host:port"),
        ("auror_client", ["--credentials", "broken/client"], 3, "cert.pem is missing"),
        ("auror_client", ["--set", "client.sever=x:1"], 2, "did you mean client.server?"),
        (
            "auror_client",
            ["--credentials", "certs/clients/000", "--dataset", "nmist"],
            2,
            "nmist",
        ),
        (
            "auror_client",
            ["--credentials", "certs/clients/000", "--dataset", "synthetic",
             "--server", "127.0.0.1:9", "--set", "client.give_up_after_s=0.3"],
            5,
            "no server at 127.0.0.1:9",
        ),
    ],
)  # fmt: skip
def test_one_line_and_the_documented_exit_code(
    deployments: Path, program: str, words: list[str], code: int, says: str
) -> None:
    got, said = kit.run(program, *words, cwd=deployments)
    assert says in said
    assert "Traceback" not in said
    assert said.strip().splitlines()[-1].startswith(program.replace("_", "-") + ": ")
    assert got in {code, 4} if "mni" in says or "nmi" in says else got == code


def test_too_few_clients_is_said(deployments: Path) -> None:
    code, said = kit.run(
        "auror_server", *SERVER, "--set", "learning.host=synthetic", "--listen", free_address(),
        "--set", "session.join_timeout_s=0.5", "--run-dir", "few", cwd=deployments,
    )  # fmt: skip
    assert code == 5
    assert "0 of 3 clients connected" in said


def test_a_port_in_use_is_said(deployments: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = kit.run(
            "auror_server", *SERVER, "--set", "learning.host=synthetic", "--listen", address,
            "--run-dir", "busy", cwd=deployments,
        )  # fmt: skip
    assert code == 5
    assert f"cannot listen on {address}" in said
    assert "Traceback" not in said


def test_strangers_are_turned_away(deployments: Path, tmp_path: Path) -> None:
    """Another CA on either side, another identity's name, and the same identity twice."""
    address = free_address()
    mixed = tmp_path / "mixed"
    shutil.copytree(deployments / "others" / "clients" / "000", mixed)
    shutil.copy(deployments / "certs" / "ca.pem", mixed / "ca.pem")
    words = ("--server", address, "--dataset", "synthetic", "--state", str(tmp_path / "state"))
    with programs(tmp_path / "logs") as starter:
        server = starter.server(
            {
                **kit.server_settings(deployments, address),
                "server.run_dir": tmp_path / "run",
                "session.min_clients": 3,
            }
        )
        wait_until_listening(address, server)
        code, said = kit.run(
            "auror_client", "--credentials", "others/clients/000", *words, cwd=deployments
        )
        assert code == 3
        assert "cannot trust the server" in said
        code, said = kit.run("auror_client", "--credentials", str(mixed), *words, cwd=deployments)
        assert code == 3
        assert "rejects this client's certificate" in said
        own = {
            "client.server": address,
            "client.credentials": deployments / "certs" / "clients" / "000",
            "client.state": tmp_path / "state",
            "data.dataset": "synthetic",
        }
        first = starter.clients(own, "first")
        kit.wait_for(lambda: "connected" in first.log.read_text(), starter)
        second = starter.clients(own, "second")
        assert first.process.wait(20) == 5
        assert "run each identity only once" in first.last_line()
        assert second.running()
