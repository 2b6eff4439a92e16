"""What people get wrong: one clear line with the fix, the documented exit code, no traceback."""

from __future__ import annotations

import shutil
import socket
from dataclasses import replace
from pathlib import Path

import grpc
import kit
import numpy as np
import pytest

from auror.crypto.signing import SigningKey
from auror.deployment.certs import create_deployment
from auror.deployment.credentials import load_policy
from auror.deployment.policy_file import policy_json
from auror.programs.enrol import Enrolment, terms_of
from auror.programs.processes import free_address, programs, wait_until_listening
from auror.wire.service import PATH


@pytest.fixture(scope="module")
def deployments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deployments")
    kit.enrol(folder, 3)
    kit.enrol(folder / "others", 3)
    shutil.copytree(folder / "certs" / "server", folder / "expired")
    policy = replace(load_policy(folder / "expired"), expires=1)
    key = SigningKey.from_pem((folder / "certs" / "operator" / "operator.key").read_bytes())
    (folder / "expired" / "policy.json").write_bytes(policy_json(policy.signed(key)))
    shutil.copytree(folder / "certs" / "server", folder / "spoilt")
    (folder / "spoilt" / "policy.json").write_text("{}")
    (folder / "broken").mkdir()
    shutil.copytree(folder / "certs" / "clients" / "001", folder / "broken" / "client")
    (folder / "broken" / "client" / "cert.pem").unlink()
    save = np.random.default_rng(1).integers(0, 256, (40, 1, 8, 8)).astype(np.uint8)
    np.savez(folder / "own.npz", x=save, y=np.arange(40) % 4)
    terms = terms_of(Enrolment(clients=3, data=folder / "own.npz", clean_per_class=5))
    create_deployment(folder / "own" / "certs", 3, ["127.0.0.1"], terms)
    (folder / "text.npz").write_text("x,y\n1,2\n")
    (folder / "used" / ("0" * 32)).mkdir(parents=True)
    (folder / "typo.toml").write_text("[session]\nronds = 3\n")
    return folder


OWN = ("--credentials", "own/certs/clients/000", "--state", "own-state")
SERVER = ("--credentials", "certs/server", "--health", "")


@pytest.mark.parametrize(
    ("program", "words", "code", "says"),
    [
        ("auror_server", ["--config", "typo.toml"], 2, "did you mean session.rounds?"),
        ("auror_server", ["--config", "none.toml"], 2, "no configuration file none.toml"),
        ("auror_server", ["--credentials", "nowhere"], 3, "no credentials folder nowhere"),
        ("auror_server", ["--credentials", "expired"], 3, "expired on 1970-01-01"),
        ("auror_server", ["--credentials", "spoilt"], 3, "policy.json: not a policy"),
        ("auror_server", [*SERVER, "--rounds", "600"], 2, "the policy allows 550 steps"),
        ("auror_server", [*SERVER, "--set", "round.group_size=9"], 2, "auror certs --group-size"),
        ("auror_server", [*SERVER, "--set", "learning.epochs=9"], 2, "in the signed policy"),
        (
            "auror_client",
            ["--credentials", "certs/clients/000", "--dataset", "synthetic", "--state", "used"],
            2,
            "belongs to deployment",
        ),
        (
            "auror_client",
            ["--credentials", "certs/clients/000", "--dataset", "synthetic", "--set",
             "rules.min_group=1"],
            2,
            "rules.min_group = 1 has no effect: the operator's policy says 2",
        ),
        ("auror_server", [*SERVER, "--listen", "7443"], 2, "host:port"),
        ("auror_client", ["--credentials", "broken/client"], 3, "cert.pem is missing"),
        ("auror_client", ["--set", "client.sever=x:1"], 2, "did you mean client.server?"),
        (
            "auror_client",
            ["--credentials", "certs/clients/000", "--dataset", "nmist"],
            2,
            "nmist",
        ),
        ("auror_client", [*OWN, "--data", "none.npz"], 4,
         "data.path = none.npz: cannot be read"),
        ("auror_client", [*OWN, "--data", "text.npz"], 4,
         "data.path = text.npz: not an npz file"),
        ("auror_client", ["--data", "own.npz", "--dataset", "mnist5k"], 2, "contradict each other"),
    ],
)  # fmt: skip
def test_one_line_and_the_documented_exit_code(
    deployments: Path, program: str, words: list[str], code: int, says: str
) -> None:
    got, said = kit.invoke(program, *words, cwd=deployments)
    assert says in said
    assert "Traceback" not in said
    assert said.strip().splitlines()[-1].startswith(program.replace("_", "-") + ": ")
    assert got in {code, 4} if "mni" in says or "nmi" in says else got == code


@pytest.mark.parametrize(
    ("program", "words", "code", "says"),
    [
        ("auror_server", ["--credentials", "nowhere"], 3, "no credentials folder nowhere"),
        (
            "auror_client",
            ["--credentials", "certs/clients/000", "--dataset", "synthetic",
             "--server", "127.0.0.1:9", "--set", "client.give_up_after_s=0.3"],
            5,
            "no server at 127.0.0.1:9",
        ),
    ],
)  # fmt: skip
def test_a_process_ends_with_that_line_and_code(
    deployments: Path, program: str, words: list[str], code: int, says: str
) -> None:
    got, said = kit.run(program, *words, cwd=deployments)
    assert got == code
    assert says in said
    assert "Traceback" not in said
    assert said.strip().splitlines()[-1].startswith(program.replace("_", "-") + ": ")


def test_too_few_clients_is_said(deployments: Path) -> None:
    code, said = kit.run(
        "auror_server", *SERVER, "--listen", free_address(),
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
            "auror_server", *SERVER, "--listen", address,
            "--run-dir", "busy", cwd=deployments,
        )  # fmt: skip
    assert code == 5
    assert f"cannot listen on {address}" in said
    assert "Traceback" not in said


def refused_by_server(address: str, credentials: Path) -> bool:
    """Whether the server breaks off the handshake of a stream with these credentials."""
    ca, key, certificate = (credentials / name for name in ("ca.pem", "key.pem", "cert.pem"))
    channel = grpc.secure_channel(
        address,
        grpc.ssl_channel_credentials(ca.read_bytes(), key.read_bytes(), certificate.read_bytes()),
    )
    with channel:
        stream = channel.stream_stream(PATH)(iter([b"not a frame"]), timeout=20)
        with pytest.raises(grpc.RpcError) as caught:
            next(stream)
        return bool(caught.value.code() is grpc.StatusCode.UNAVAILABLE)


def test_strangers_are_turned_away(deployments: Path, tmp_path: Path) -> None:
    """Another CA on either side, another identity's name, and the same identity twice."""
    address = free_address()
    mixed = tmp_path / "mixed"
    shutil.copytree(deployments / "others" / "certs" / "clients" / "000", mixed)
    shutil.copy(deployments / "certs" / "operator" / "ca.pem", mixed / "ca.pem")
    words = ("--server", address, "--dataset", "synthetic", "--state", str(tmp_path / "others"))
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
            "auror_client", "--credentials", "others/certs/clients/000", *words, cwd=deployments
        )
        assert code == 3
        assert "cannot trust the server" in said
        code, said = kit.run("auror_client", "--credentials", str(mixed), *words, cwd=deployments)
        assert code == 3
        assert "not issued by the CA" in said  # the client sees it itself, before it connects
        assert refused_by_server(address, mixed)
        assert not refused_by_server(address, deployments / "certs" / "clients" / "002")
        own = {
            "client.server": address,
            "client.credentials": deployments / "certs" / "clients" / "000",
            "client.state": tmp_path / "state",
            "data.dataset": "synthetic",
        }
        first = starter.clients(own, "first")
        kit.wait_for(lambda: "connected" in first.log.read_text(), starter)
        third = starter.clients(own, "third")
        assert third.process.wait(kit.PATIENCE) == 2
        assert "another process runs client 0" in third.last_line()
        second = starter.clients({**own, "client.state": tmp_path / "copy"}, "second")
        assert first.process.wait(kit.PATIENCE) == 5
        assert "run each identity only once" in first.last_line()
        assert second.running()
