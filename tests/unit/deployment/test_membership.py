"""Sites with keys of their own: request, approval, bundle; and every file that was changed."""

from __future__ import annotations

import json
import shutil
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from auror.deployment import bundle as bundles
from auror.deployment.bundle import finish, operator_fingerprint, parse_bundle
from auror.deployment.canonical import canonical_json
from auror.deployment.certs import create_deployment
from auror.deployment.credentials import (
    End,
    check_tls,
    client_folder,
    load_client,
    load_policy,
    load_server,
    load_tls,
)
from auror.deployment.join_request import (
    make_request,
    make_server_request,
    parse_request,
    read_request,
)
from auror.deployment.locks import Lock
from auror.deployment.membership import approve, reinstate, renew, revoke, rows
from auror.deployment.policy_versions import next_policy
from auror.deployment.server_folder import finish_server
from auror.deployment.server_key import approve_server
from auror.errors import AuthenticationFailed, ConfigError, CredentialsError
from auror.ids import ClientId
from auror.params import RoundParams
from auror.programs.enrol import synthetic_terms
from auror.round.policy_chain import check_follows

TERMS = synthetic_terms(7, RoundParams(group_size=2, colluders=0), 3)


class Consortium:
    """An operator's folder, and sites that each have one of their own."""

    def __init__(self, home: Path) -> None:
        self.home, self.operator = home, home / "operator-machine"
        create_deployment(self.operator, 4, ["127.0.0.1"], TERMS, enrol_later=True)

    def site(self, name: str) -> Path:
        return self.home / name

    def asks(self, name: str) -> Path:
        make_request(self.site(name), name)
        return self.site(name) / "request.json"

    def serves(self) -> None:
        """The host ``server`` makes a key, is approved, and puts what it gets beside it."""
        host = self.site("server")
        make_server_request(host)
        approve_server(self.operator, host / "request.json", 90)
        finish_server(host, self.operator / "server")

    def bundle(self, client: int) -> Path:
        return client_folder(self.operator, client) / "bundle.json"

    def founded(self, *names: str) -> None:
        approve(self.operator, [self.asks(name) for name in names], 90)
        for client, name in enumerate(names):
            finish(self.site(name), self.bundle(client))
        self.serves()


NAMES = ("Anna", "Bert", "Carl", "Dora")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("consortium")
    Consortium(home).founded(*NAMES)
    return home


@pytest.fixture
def made(kept: Path, tmp_path: Path) -> Consortium:
    shutil.copytree(kept, tmp_path / "consortium")
    found = Consortium.__new__(Consortium)
    found.home, found.operator = tmp_path / "consortium", tmp_path / "consortium/operator-machine"
    return found


def nowhere(folder: Path, secrets: list[str]) -> None:
    """No file below ``folder`` has a line of ``secrets``."""
    assert secrets
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_text(errors="replace")
            assert not any(secret in text for secret in secrets), path


def test_keys_never_leave_the_folder_that_they_are_made_in(made: Consortium) -> None:
    for client, name in enumerate(NAMES):
        home = made.site(name)
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        secrets = []
        for key in ("key.pem", "identity.key"):
            assert stat.S_IMODE((home / key).stat().st_mode) == 0o600
            secrets += (home / key).read_text().splitlines()[1:-1]
        own = load_client(home)
        check_tls(home, own.tls, End.CLIENT, time.time())
        assert own.client == client
        nowhere(made.operator, secrets)
    nowhere(made.operator, (made.site("server") / "key.pem").read_text().splitlines()[1:-1])
    names = {path.name for path in client_folder(made.operator, 0).iterdir()}
    assert names == {"request.json", "cert.pem", "bundle.json", "policy.json"}
    server = load_server(made.site("server"))
    check_tls(made.site("server"), server.tls, End.SERVER, time.time())
    assert server.policy == load_client(made.site("Anna")).policy
    assert server.policy.version == 1
    for entry in server.policy.members.values():
        assert entry.since == 1


def test_before_anybody_is_approved_there_is_no_policy(tmp_path: Path) -> None:
    new = Consortium(tmp_path)
    assert not (new.operator / "server" / "policy.json").exists()
    with pytest.raises(CredentialsError, match=r"has no members yet: approve .* `auror approve"):
        next_policy(new.operator, None)
    with pytest.raises(ConfigError, match=r"policy has 1 member"):
        approve(new.operator, [new.asks("Anna")], 90)
    (new.operator / "operator" / "draft.json").write_bytes(b"{}")
    with pytest.raises(CredentialsError, match=r"draft\.json is damaged"):
        approve(new.operator, [new.site("Anna") / "request.json"], 90)


def test_one_joins_one_leaves_and_comes_back(made: Consortium) -> None:
    first = load_policy(made.operator / "operator")
    second, (eve,) = approve(made.operator, [made.asks("Eve")], 30, "fl.example:9000")
    assert (eve.client, eve.name) == (4, "Eve")
    assert eve.request == read_request(made.site("Eve") / "request.json").fingerprint
    found, policy = finish(made.site("Eve"), Path(eve.bundle))
    assert (found.server, found.client, policy) == ("fl.example:9000", 4, second)
    third = revoke(made.operator, [ClientId(1)])
    assert sorted(third.members) == [0, 2, 3, 4]
    fourth, (bert,) = reinstate(made.operator, [ClientId(1)])
    assert (bert.name, fourth.members[ClientId(1)].since) == ("Bert", 4)
    finish(made.site("Bert"), Path(bert.bundle))
    assert load_client(made.site("Bert")).policy == fourth
    assert load_policy(made.operator / "server") == fourth
    check_follows(first, fourth)
    shown, table = rows(made.operator)
    assert shown == fourth
    assert [(row.client, row.name, row.state, row.since) for row in table] == [
        (0, "Anna", "member", 1),
        (1, "Bert", "member", 4),
        (2, "Carl", "member", 1),
        (3, "Dora", "member", 1),
        (4, "Eve", "member", 2),
    ]
    revoke(made.operator, [ClientId(4)])
    assert rows(made.operator)[1][4].state == "left"


def test_the_number_of_the_last_who_left_is_not_given_again(made: Consortium) -> None:
    revoke(made.operator, [ClientId(3)])
    _, (eve,) = approve(made.operator, [made.asks("Eve")], 30)
    assert eve.client == 4


def test_renewed_certificates_are_for_the_same_keys(made: Consortium) -> None:
    before = load_tls(made.site("Anna"))
    served = load_tls(made.site("server"))
    policy, (anna,) = renew(made.operator, [ClientId(0)], 800, server_too=True)
    assert policy.version == 2
    assert policy.expires - time.time() > 799 * 86400
    # whoever has not copied anything yet is a member still
    assert load_policy(made.operator / "server") == policy
    assert policy.members[ClientId(0)].tls_key == before.key_digest()
    finish(made.site("Anna"), Path(anna.bundle))
    after = load_tls(made.site("Anna"))
    assert after.key == before.key
    assert after.certificate != before.certificate
    until = check_tls(made.site("Anna"), after, End.CLIENT, time.time())
    assert (until - x509.load_pem_x509_certificate(before.certificate).not_valid_after_utc).days > 7
    for name in ("cert.pem", "policy.json"):  # as the command says
        shutil.copy(made.operator / "server" / name, made.site("server"))
    renewed = load_server(made.site("server")).tls
    assert renewed.key_digest() == served.key_digest()
    names = [x509.load_pem_x509_certificate(one.certificate) for one in (served, renewed)]
    kind = x509.SubjectAlternativeName
    one, two = (each.extensions.get_extension_for_class(kind).value for each in names)
    assert one == two
    shorter, _ = renew(made.operator, [ClientId(1)], 5)
    assert shorter.expires == policy.expires  # a policy is not cut short by a certificate
    with pytest.raises(ConfigError, match="client 9 is no member"):
        renew(made.operator, [ClientId(9)], 5)
    with pytest.raises(ConfigError, match="days = 0: choose 1"):
        renew(made.operator, [ClientId(1)], 0)


def test_who_asks_twice_is_told_to_be_reinstated(made: Consortium) -> None:
    revoke(made.operator, [ClientId(1)])
    with pytest.raises(ConfigError, match=r"that of client 1, who left: .* reinstate"):
        approve(made.operator, [made.site("Bert") / "request.json"], 90)
    with pytest.raises(ConfigError, match="that of client 0: one site is enrolled once"):
        approve(made.operator, [made.site("Anna") / "request.json"], 90)
    path = made.asks("Eve")
    with pytest.raises(ConfigError, match="that of another newcomer"):
        approve(made.operator, [path, path], 90)
    assert load_policy(made.operator / "operator").version == 2


def test_versions_are_signed_one_after_the_other(made: Consortium) -> None:
    with (
        Lock(made.operator / "operator" / "operator.lock", "DIR", "busy"),
        pytest.raises(ConfigError, match="another process changes"),
    ):
        revoke(made.operator, [ClientId(1)])


# What was changed on its way ---------------------------------------------------------------------


def changed(path: Path, **values: Any) -> None:
    content = json.loads(path.read_bytes())
    path.write_bytes(canonical_json({**content, **values}))


@pytest.mark.parametrize("field", ["name", "identity", "tls_key", "identity_signature",
                                   "tls_signature"])  # fmt: skip
def test_a_request_is_whole_or_refused(made: Consortium, tmp_path: Path, field: str) -> None:
    path, other = made.asks("Eve"), tmp_path / "other"
    make_request(other, "Mallory")
    theirs = json.loads((other / "request.json").read_bytes())
    changed(path, **{field: theirs[field]})
    with pytest.raises(CredentialsError, match="is no request, or was changed") as error:
        approve(made.operator, [path], 90)
    assert "\n" not in str(error.value)
    assert load_policy(made.operator / "operator").version == 1


def test_a_key_that_somebody_else_has_cannot_be_asked_with(made: Consortium) -> None:
    """Anna's public keys, signed by Mallory's: one of both signatures is missing each time."""
    make_request(made.home / "mallory", "Mallory")
    mine = json.loads((made.home / "mallory" / "request.json").read_bytes())
    hers = json.loads((made.site("Anna") / "request.json").read_bytes())
    for field in ("identity", "tls_key"):
        with pytest.raises((AuthenticationFailed, ValueError)):
            parse_request(canonical_json({**mine, field: hers[field]}))


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"name": 1}'], ids=range(6)
)
def test_files_that_are_nothing(made: Consortium, tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(raw)
    with pytest.raises(CredentialsError, match=r"is no (request|file that `auror enrol` made)"):
        read_request(path)
    with pytest.raises(CredentialsError, match="is no bundle"):
        finish(made.site("Anna"), path)
    with pytest.raises(CredentialsError, match="cannot read"):
        read_request(tmp_path / "absent")


@pytest.mark.parametrize("field", ["ca", "certificate", "client", "policy", "server", "operator"])
def test_a_bundle_is_whole_or_refused(made: Consortium, tmp_path: Path, field: str) -> None:
    """Every field, taken from a bundle of another deployment."""
    other = Consortium(tmp_path / "other")
    other.founded(*NAMES)
    path = made.bundle(1)
    theirs = json.loads(other.bundle(2).read_bytes())
    theirs["server"] = "evil.example:7443"
    changed(path, **{field: theirs[field]})
    before = {one.name: one.read_bytes() for one in made.site("Bert").iterdir()}
    with pytest.raises(CredentialsError, match="is no bundle, or was changed") as error:
        finish(made.site("Bert"), path)
    assert "\n" not in str(error.value)
    assert {one.name: one.read_bytes() for one in made.site("Bert").iterdir()} == before


def test_another_sites_bundle(made: Consortium) -> None:
    with pytest.raises(CredentialsError, match=r"does not fit the keys in .*another site's\?"):
        finish(made.site("Anna"), made.bundle(1))
    with pytest.raises(CredentialsError, match="name the folder that `auror enrol` made"):
        finish(made.home / "nowhere", made.bundle(1))


def test_another_operators_bundle(made: Consortium, tmp_path: Path) -> None:
    """A man in the middle signs what he likes with a key of his own."""
    evil = Consortium(tmp_path / "evil")
    requests = [made.site(name) / "request.json" for name in NAMES]
    approve(evil.operator, requests, 90)
    with pytest.raises(CredentialsError, match=r"is another operator's than .*operator\.pub"):
        finish(made.site("Anna"), evil.bundle(0))
    make_request(made.site("Eve"), "Eve")
    approve(evil.operator, [made.site("Eve") / "request.json"], 90)
    right = operator_fingerprint(parse_bundle(made.bundle(0).read_bytes()).operator)
    with pytest.raises(CredentialsError, match=r"is signed by the operator .*, not by"):
        finish(made.site("Eve"), evil.bundle(4), right)
    assert not (made.site("Eve") / "policy.json").exists()
    spaced = " ".join(right[i : i + 4] for i in range(0, 64, 4)).upper()
    finish(made.site("Anna"), made.bundle(0), spaced)


def test_an_older_bundle_and_one_that_expired(
    made: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = made.home / "old.json"
    shutil.copy(made.bundle(0), old)
    _, (anna,) = renew(made.operator, [ClientId(0)], 90)
    finish(made.site("Anna"), Path(anna.bundle))
    with pytest.raises(CredentialsError, match="version 1 of the policy is older than version 2"):
        finish(made.site("Anna"), old)
    late = time.time() + 86400 * 91
    monkeypatch.setattr(bundles.time, "time", lambda: late)
    with pytest.raises(CredentialsError, match=r"cert\.pem expired on .* `auror roster renew`"):
        finish(made.site("Anna"), Path(anna.bundle))


def test_a_ca_key_that_is_not_the_cas(made: Consortium, tmp_path: Path) -> None:
    other = Consortium(tmp_path / "other")
    shutil.copy(other.operator / "operator" / "ca.key", made.operator / "operator" / "ca.key")
    with pytest.raises(CredentialsError, match=r"ca\.key is missing or does not fit ca\.pem"):
        renew(made.operator, [ClientId(0)], 90)


@pytest.mark.parametrize("name", ["", " Anna", "a" * 65, "a\nb", "\u3164", "An\u115fna", "A\ufe0f"])
def test_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="printable characters"):
        make_request(tmp_path / "site", name)
    assert not (tmp_path / "site").exists()


def test_keys_are_never_overwritten(made: Consortium) -> None:
    with pytest.raises(CredentialsError, match="keys are never overwritten"):
        make_request(made.site("Anna"), "Anna")
