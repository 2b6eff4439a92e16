"""Credentials: complete folders, private files, and a roster nobody else can write."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest
from cryptography import x509

from auror.errors import ConfigError, CredentialsError
from auror.ids import ClientId
from auror.wire.certs import create_deployment
from auror.wire.credentials import client_folder, load_client, load_server


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deployment")
    create_deployment(folder, 4, ["localhost", "127.0.0.1"])
    return folder


def test_every_party_loads_its_folder(made: Path) -> None:
    server = load_server(made / "server")
    assert sorted(server.roster.entries) == [0, 1, 2, 3]
    for i in range(4):
        client = load_client(client_folder(made, i))
        assert client.client == i
        assert client.roster == server.roster
        assert server.roster.verify_key(ClientId(i)) == client.identity.verify_key
        assert server.roster.entries[ClientId(i)].certificate == client.tls.fingerprint()


def test_private_files_are_private(made: Path) -> None:
    private = [path for path in made.rglob("*") if path.suffix == ".key" or path.name == "key.pem"]
    assert len(private) == 2 + 1 + 2 * 4
    for path in private:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_server_certificate_names_its_hosts(made: Path) -> None:
    certificate = x509.load_pem_x509_certificate((made / "server" / "cert.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_nothing_is_overwritten(made: Path) -> None:
    with pytest.raises(CredentialsError, match="never overwritten"):
        create_deployment(made, 4, ["localhost"])


def test_numbers_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--clients 1"):
        create_deployment(tmp_path / "new", 1, ["localhost"])
    with pytest.raises(ConfigError, match="--server"):
        create_deployment(tmp_path / "new", 3, [])


@pytest.mark.parametrize(
    "name", ["ca.pem", "cert.pem", "key.pem", "identity.key", "roster.json", "operator.pub"]
)
def test_a_missing_or_broken_file_is_named(made: Path, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "client"
    shutil.copytree(client_folder(made, 1), copy)
    (copy / name).write_text("not that")
    with pytest.raises(CredentialsError, match=name):
        load_client(copy)
    (copy / name).unlink()
    with pytest.raises(CredentialsError, match=f"{name} is missing"):
        load_client(copy)


def test_a_roster_of_somebody_else_is_refused(made: Path, tmp_path: Path) -> None:
    copy = tmp_path / "client"
    shutil.copytree(client_folder(made, 1), copy)
    roster = json.loads((copy / "roster.json").read_text())
    roster["clients"].pop()
    (copy / "roster.json").write_text(json.dumps(roster))
    with pytest.raises(CredentialsError, match="not signed by the operator"):
        load_client(copy)


def test_another_clients_identity_is_refused(made: Path, tmp_path: Path) -> None:
    copy = tmp_path / "client"
    shutil.copytree(client_folder(made, 1), copy)
    shutil.copy(client_folder(made, 2) / "identity.key", copy / "identity.key")
    with pytest.raises(CredentialsError, match="not the identity of client 1"):
        load_client(copy)


def test_secrets_are_not_printed(made: Path) -> None:
    client = load_client(client_folder(made, 0))
    assert "PRIVATE" not in repr(client)
