"""The server's own key: its request, its certificate for the operator's names, its folder."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from auror.crypto.tags import Tag
from auror.deployment import join_request, server_folder
from auror.deployment.bundle import operator_fingerprint
from auror.deployment.canonical import canonical_json
from auror.deployment.certs import create_deployment
from auror.deployment.credentials import (
    End,
    check_tls,
    client_folder,
    load_policy,
    load_server,
    load_tls,
    operator_key,
)
from auror.deployment.join_request import (
    make_request,
    make_server_request,
    read_request,
    read_server_request,
)
from auror.deployment.membership import approve, renew, revoke
from auror.deployment.server_folder import finish_server
from auror.deployment.server_key import approve_server
from auror.errors import ConfigError, CredentialsError
from auror.ids import ClientId
from auror.params import RoundParams
from auror.programs.enrol import synthetic_terms

TERMS = synthetic_terms(7, RoundParams(group_size=2, colluders=0), 3)
HOSTS = ["fl.example.org", "192.0.2.7"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``op``, the operator's folder with four members; ``host``, the server's, not yet finished."""
    home = tmp_path_factory.mktemp("own")
    create_deployment(home / "op", 4, HOSTS, TERMS, enrol_later=True)
    make_server_request(home / "host")
    approve_server(home / "op", home / "host" / "request.json", 90)
    for name in "abcd":
        make_request(home / name, name)
    approve(home / "op", [home / name / "request.json" for name in "abcd"], 90)
    return home


@pytest.fixture
def home(kept: Path, tmp_path: Path) -> Path:
    return shutil.copytree(kept, tmp_path / "home")


def certificate(home: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((home / "op" / "server" / "cert.pem").read_bytes())


def names(one: x509.Certificate) -> list[str]:
    found = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [*found.get_values_for_type(x509.DNSName),
            *map(str, found.get_values_for_type(x509.IPAddress))]  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_deployment_without_its_members_holds_no_servers_key_either(tmp_path: Path) -> None:
    create_deployment(tmp_path, 4, HOSTS, TERMS, enrol_later=True)
    made = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert made == {
        "operator/ca.key", "operator/operator.key",  # of the operator itself, no others
        "operator/ca.pem", "operator/operator.pub", "operator/draft.json", "operator/hosts",
        "server/ca.pem", "server/operator.pub", "server/models/era-0.safetensors",
    }  # fmt: skip


def test_the_servers_host_comes_to_serve_with_a_key_that_it_made(home: Path) -> None:
    sent = contents(home / "op" / "server")
    assert sorted(sent) == [
        "ca.pem", "cert.pem", "models/era-0.safetensors", "operator.pub", "policy.json"
    ]  # fmt: skip
    assert not any(b"PRIVATE KEY" in content for content in sent.values())
    shutil.copytree(home / "op" / "server", home / "sent")
    told = operator_fingerprint(operator_key(home / "op" / "operator"))
    policy, _ = finish_server(home / "host", home / "sent", told)
    served = load_server(home / "host")
    check_tls(home / "host", served.tls, End.SERVER, time.time())
    assert served.policy == policy == load_policy(home / "op" / "operator")
    assert names(certificate(home)) == HOSTS
    assert (home / "host" / "key.pem").stat().st_mode & 0o777 == 0o600


def test_a_request_cannot_choose_names(home: Path) -> None:
    request = home / "host" / "request.json"
    wished = {**json.loads(request.read_bytes()), "hosts": "evil.example"}
    request.write_bytes(canonical_json(wished))
    with pytest.raises(CredentialsError, match="is no server's request, or was changed"):
        approve_server(home / "op", request, 90)


def test_the_operator_may_change_the_names_of_the_next_certificate(home: Path) -> None:
    (home / "op" / "operator" / "hosts").write_text("new.example.org\n")
    renew(home / "op", [], 90, server_too=True)
    assert names(certificate(home)) == ["new.example.org"]
    (home / "op" / "operator" / "hosts").write_text("https://x\n")
    with pytest.raises(ConfigError, match="leave out the scheme"):
        renew(home / "op", [], 90, server_too=True)
    (home / "op" / "operator" / "hosts").write_text("\n")
    with pytest.raises(CredentialsError, match="names no host"):
        renew(home / "op", [], 90, server_too=True)
    (home / "op" / "operator" / "hosts").unlink()
    with pytest.raises(CredentialsError, match="is missing or no text"):
        renew(home / "op", [], 90, server_too=True)


def test_a_renewed_certificate_is_for_the_key_that_the_server_keeps(home: Path) -> None:
    finish_server(home / "host", home / "op" / "server")
    before = load_tls(home / "host")
    policy, _ = renew(home / "op", [], 800, server_too=True)
    finish_server(home / "host", home / "op" / "server")
    after = load_server(home / "host")
    assert after.policy == policy
    assert after.tls.key == before.key
    assert after.tls.certificate != before.certificate
    # the same request once more is a renewal too
    approve_server(home / "op", home / "host" / "request.json", 30)
    finish_server(home / "host", home / "op" / "server")


def test_nobody_is_renewed_who_was_not_approved(tmp_path: Path) -> None:
    create_deployment(tmp_path / "op", 2, HOSTS, TERMS, enrol_later=True)
    for name in "ab":
        make_request(tmp_path / name, name)
    approve(tmp_path / "op", [tmp_path / name / "request.json" for name in "ab"], 90)
    with pytest.raises(CredentialsError, match=r"approve .* --server-request REQUEST"):
        renew(tmp_path / "op", [], 90, server_too=True)


# Who else might ask ------------------------------------------------------------------------------


def test_a_second_server_is_named_and_refused_unless_it_replaces_the_first(home: Path) -> None:
    make_server_request(home / "second")
    request, before = home / "second" / "request.json", contents(home / "op")
    with pytest.raises(ConfigError, match=r"has another key than that of .* --replace-server"):
        approve_server(home / "op", request, 90)
    assert contents(home / "op").keys() - before.keys() <= {"operator/operator.lock"}
    assert certificate(home).public_bytes(serialization.Encoding.PEM) == before["server/cert.pem"]
    made = approve_server(home / "op", request, 30, replace=True)
    assert made.before is not None
    assert made.until < made.before  # that of the key before serves on, and it is said
    finish_server(home / "second", home / "op" / "server")
    load_server(home / "second")
    with pytest.raises(CredentialsError, match=r"does not fit the key in .* another server's\?"):
        finish_server(home / "host", home / "op" / "server")
    with pytest.raises(ConfigError, match=r"has no other key than that of .* is enough"):
        approve_server(home / "op", request, 30, replace=True)


def test_a_key_that_the_operator_made_is_replaced_and_does_not_travel(tmp_path: Path) -> None:
    create_deployment(tmp_path / "op", 4, HOSTS, TERMS)
    assert (tmp_path / "op" / "server" / "key.pem").exists()
    make_server_request(tmp_path / "host")
    approve_server(tmp_path / "op", tmp_path / "host" / "request.json", 90, replace=True)
    assert not (tmp_path / "op" / "server" / "key.pem").exists()
    finish_server(tmp_path / "host", tmp_path / "op" / "server")
    load_server(tmp_path / "host")


def test_a_site_is_not_made_the_server_by_mistake(home: Path) -> None:
    """A site that sends a server's request among those of members."""
    make_server_request(home / "mallory")
    with pytest.raises(ConfigError, match=r"asks to be the server, not a member: .* --server-req"):
        approve(home / "op", [home / "mallory" / "request.json"], 90)
    make_request(home / "eve", "Eve")
    with pytest.raises(ConfigError, match="asks to be a member, not the server"):
        approve_server(home / "op", home / "eve" / "request.json", 90, replace=True)


def as_server(site: Path, path: Path) -> Path:
    """A request to be the server, made with the TLS key of ``site``."""
    own: Any = serialization.load_pem_private_key((site / "key.pem").read_bytes(), password=None)
    der = own.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signature = join_request._signed_with(own, Tag.SERVER_REQUEST, der)
    path.write_bytes(canonical_json({"tls_key": der.hex(), "tls_signature": signature.hex()}))
    return path


@pytest.mark.parametrize("whose", ["member", "who left"])
def test_no_clients_key_is_the_servers(home: Path, whose: str) -> None:
    if whose == "who left":
        make_request(home / "eve", "Eve")
        approve(home / "op", [home / "eve" / "request.json"], 90)
        revoke(home / "op", [ClientId(0)])
    request, before = as_server(home / "a", home / "asked.json"), contents(home / "op" / "server")
    with pytest.raises(ConfigError, match="asks with the key of client 0"):
        approve_server(home / "op", request, 90, replace=True)
    assert contents(home / "op" / "server") == before


def test_the_servers_key_is_no_clients(home: Path) -> None:
    make_request(home / "eve", "Eve")
    approve_server(home / "op", as_server(home / "eve", home / "asked.json"), 90, replace=True)
    with pytest.raises(ConfigError, match="asks with the server's key"):
        approve(home / "op", [home / "eve" / "request.json"], 90)
    assert load_policy(home / "op" / "operator").version == 1


# What was changed on its way ---------------------------------------------------------------------


def test_a_servers_request_is_whole_or_refused(home: Path) -> None:
    make_server_request(home / "other")
    mine, theirs = (json.loads((home / n / "request.json").read_bytes()) for n in ("host", "other"))
    path = home / "changed.json"
    for field in mine:
        path.write_bytes(canonical_json({**mine, field: theirs[field]}))
        with pytest.raises(CredentialsError, match="is no server's request, or was changed"):
            read_server_request(path)
    for raw in (b"", b"[]", b"{}", b"\xff", b'{"tls_key": 1}'):
        path.write_bytes(raw)
        with pytest.raises(CredentialsError, match="is no server's request"):
            read_server_request(path)


def test_no_members_request_is_turned_into_a_servers(home: Path) -> None:
    """The TLS key of a site signed its request; not that it wants to be the server."""
    hers = json.loads((home / "a" / "request.json").read_bytes())
    part = {name: hers[name] for name in ("tls_key", "tls_signature")}
    (home / "part.json").write_bytes(canonical_json(part))
    with pytest.raises(CredentialsError, match="the TLS key did not sign it"):
        read_server_request(home / "part.json")
    assert read_request(home / "a" / "request.json").name == "a"


@pytest.mark.parametrize(
    "name", ["ca.pem", "cert.pem", "operator.pub", "policy.json", "models/era-0.safetensors"]
)
@pytest.mark.parametrize("how", ["of another deployment", "missing"])
def test_a_servers_folder_is_whole_or_refused(home: Path, name: str, how: str) -> None:
    sent, other = home / "op" / "server", home / "other"
    if how == "missing":
        (sent / name).unlink()
    else:
        terms = synthetic_terms(9, RoundParams(group_size=2, colluders=0), 3)
        create_deployment(other, 4, HOSTS, terms)
        shutil.copy(other / "server" / name, sent / name)
    before = contents(home / "host")
    with pytest.raises(CredentialsError) as error:
        finish_server(home / "host", sent)
    assert "\n" not in str(error.value)
    assert contents(home / "host") == before


def test_another_operators_folder(home: Path) -> None:
    """Whoever sits between operator and server makes a deployment of its own for the request."""
    create_deployment(home / "evil", 4, HOSTS, TERMS)
    request = home / "host" / "request.json"
    approve_server(home / "evil", request, 90, replace=True)
    right = operator_fingerprint(operator_key(home / "op" / "operator"))
    with pytest.raises(CredentialsError, match=r"is signed by the operator .*, not by"):
        finish_server(home / "host", home / "evil" / "server", right)
    finish_server(home / "host", home / "op" / "server", right)
    with pytest.raises(CredentialsError, match="is another operator's than"):
        finish_server(home / "host", home / "evil" / "server")


def test_an_older_folder_and_one_that_expired(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(home / "op" / "server", home / "old")
    renew(home / "op", [], 90, server_too=True)
    finish_server(home / "host", home / "op" / "server")
    with pytest.raises(CredentialsError, match="version 1 of the policy is older than version 2"):
        finish_server(home / "host", home / "old")
    late = time.time() + 86400 * 91
    monkeypatch.setattr(server_folder.time, "time", lambda: late)
    with pytest.raises(CredentialsError, match=r"cert\.pem expired on .* `auror roster renew`"):
        finish_server(home / "host", home / "op" / "server")


def test_a_folder_from_before_the_first_members(tmp_path: Path) -> None:
    create_deployment(tmp_path / "op", 4, HOSTS, TERMS, enrol_later=True)
    make_server_request(tmp_path / "host")
    approve_server(tmp_path / "op", tmp_path / "host" / "request.json", 90)
    with pytest.raises(CredentialsError, match="the operator approves the first members"):
        finish_server(tmp_path / "host", tmp_path / "op" / "server")


def test_what_was_sent_does_not_serve_without_the_key(home: Path) -> None:
    with pytest.raises(CredentialsError, match=r"auror enrol KEYS --finish \S+server`, and start"):
        load_tls(home / "op" / "server")
    with pytest.raises(CredentialsError, match=r"auror enrol \S+host --finish BUNDLE"):
        load_tls(home / "host")


def test_a_clients_certificate_is_not_the_servers(home: Path) -> None:
    shutil.copy(client_folder(home / "op", 1) / "cert.pem", home / "op" / "server" / "cert.pem")
    make_server_request(home / "second")
    with pytest.raises(CredentialsError, match="not the server's certificate of this deployment"):
        approve_server(home / "op", home / "second" / "request.json", 90, replace=True)
