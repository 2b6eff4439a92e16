"""Credentials: complete folders, private files, and a policy nobody else can write."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from cryptography import x509

from auror.deployment.certs import create_deployment
from auror.deployment.credentials import (
    check_expiry,
    client_folder,
    load_client,
    load_policy,
    load_server,
)
from auror.deployment.membership import revoke
from auror.deployment.model_file import model_bytes
from auror.deployment.policy_versions import next_policy, operator_policy
from auror.errors import ConfigError, CredentialsError, DataError
from auror.ids import ClientId
from auror.params import RoundParams
from auror.programs.enrol import Enrolment, further_models, synthetic_terms, terms_of
from auror.round.description import model_digest

TERMS = synthetic_terms(7, RoundParams(group_size=2, colluders=0), 3)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deployment")
    create_deployment(folder, 4, ["localhost", "127.0.0.1"], TERMS)
    return folder


def test_every_party_loads_its_folder(made: Path) -> None:
    server = load_server(made / "server")
    policy = server.policy
    assert sorted(policy.members) == [0, 1, 2, 3]
    assert [model_digest(model) for model in server.first_models] == list(policy.first_models)
    for i in range(4):
        client = load_client(client_folder(made, i))
        assert client.client == i
        assert client.policy == policy
        assert policy.verify_key(ClientId(i)) == client.identity.verify_key
        assert policy.members[ClientId(i)].tls_key == client.tls.key_digest()


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
        create_deployment(made, 4, ["localhost"], TERMS)


def test_numbers_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="clients = 1: choose 2"):
        create_deployment(tmp_path / "new", 1, ["localhost"], TERMS)
    with pytest.raises(ConfigError, match="no server host"):
        create_deployment(tmp_path / "new", 3, [], TERMS)


@pytest.mark.parametrize(
    "name", ["ca.pem", "cert.pem", "key.pem", "identity.key", "policy.json", "operator.pub"]
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


BROKEN = {
    "not signed by the operator": lambda whole: whole["members"].pop(),
    "not signed": lambda whole: whole["budget"].update(max_openings=10**6),
    "choose 1 or more": lambda whole: whole["params"].update(group_size=0),
    "group_size = 9, but the policy has 4": lambda whole: whole["params"].update(group_size=9),
    "not a policy": lambda whole: whole.update(more=1),
    "(?<!\\d)not a policy": lambda whole: whole.pop("task"),
    "not a policy;": lambda whole: whole["params"].update(group_size="2"),
}


@pytest.mark.parametrize("words", BROKEN)
@pytest.mark.parametrize("who", ["server", "clients/001"])
def test_a_policy_of_somebody_else_is_refused(
    made: Path, tmp_path: Path, words: str, who: str
) -> None:
    copy = tmp_path / "party"
    shutil.copytree(made / who, copy)
    whole = json.loads((copy / "policy.json").read_text())
    BROKEN[words](whole)
    text = json.dumps(whole, sort_keys=True, separators=(",", ":")) + "\n"
    (copy / "policy.json").write_text(text)
    with pytest.raises(CredentialsError, match=words) as error:
        load_server(copy) if who == "server" else load_client(copy)
    assert error.value.exit_code == 3
    assert "\n" not in str(error.value)
    assert "policy.json" in str(error.value)


def test_a_policy_that_is_not_canonical_is_refused(made: Path, tmp_path: Path) -> None:
    copy = tmp_path / "client"
    shutil.copytree(client_folder(made, 1), copy)
    path = copy / "policy.json"
    path.write_text(json.dumps(json.loads(path.read_text())))
    with pytest.raises(CredentialsError, match="not a policy"):
        load_client(copy)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "is missing"),
        (b"half", "not a model"),
        (safetensors.numpy.save({"model": np.ones(7, np.float32)}), "first model of era 0"),
        (safetensors.numpy.save({"other": np.zeros(7, np.float32)}), "not a model"),
    ],
)
def test_first_models_are_those_of_the_policy(
    made: Path, tmp_path: Path, content: bytes | None, words: str
) -> None:
    copy = tmp_path / "server"
    shutil.copytree(made / "server", copy)
    path = copy / "models" / "era-0.safetensors"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(CredentialsError, match=f"era-0.*{words}"):
        load_server(copy)


def test_keys_that_only_enrolling_needs_lie_apart(made: Path) -> None:
    names = {
        path.parent.name for path in made.rglob("*") if path.name in ("ca.key", "operator.key")
    }
    assert names == {"operator"}


def test_the_next_version_reaches_those_who_stay(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    shutil.copytree(made, folder)
    after = revoke(folder, {ClientId(2)})
    assert load_server(folder / "server").policy == after
    assert load_client(client_folder(folder, 3)).policy == after
    assert load_client(client_folder(folder, 2)).policy.version == 1
    shutil.copy(folder / "server" / "policy.json", client_folder(folder, 2))
    with pytest.raises(CredentialsError, match=r"client 2 was revoked .* no member in version 2"):
        load_client(client_folder(folder, 2))
    again = next_policy(folder, 30)
    assert (again.version, again.predecessors[-1]) == (3, after.digest())
    assert again.expires < after.expires
    assert again.release_model is after.release_model is False  # as load tests have it
    opened = next_policy(folder, None, release_model=True)
    assert next_policy(folder, None).release_model is opened.release_model is True
    for without, words in (
        ({2}, "client 2 is no member"),
        ({0, 1}, "would be left, and the policy needs 2"),
    ):
        with pytest.raises(ConfigError, match=words):
            revoke(folder, {ClientId(c) for c in without})
    with pytest.raises(ConfigError, match="days = 0: choose 1"):
        next_policy(folder, 0)


def test_a_next_version_that_cannot_be_written_is_named(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "certs"
    shutil.copytree(made, folder)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CredentialsError, match=r"operator/policy\.json: No space left"):
        next_policy(folder, None)
    assert load_policy(folder / "operator").version == 1


def test_the_next_version_needs_the_operators_own_key(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    shutil.copytree(made, folder)
    key = folder / "operator" / "operator.key"
    shutil.copy(client_folder(made, 0) / "identity.key", key)
    with pytest.raises(CredentialsError, match="another operator's"):
        next_policy(folder, None)
    key.unlink()
    with pytest.raises(CredentialsError, match="missing or not a key"):
        next_policy(folder, None)


def test_an_expired_policy_says_when_and_what_to_do(made: Path) -> None:
    policy = load_server(made / "server").policy
    check_expiry(policy, policy.expires - 1)
    with pytest.raises(
        CredentialsError, match=r"expired on 20\d\d-.* clock says 20\d\d-.* `auror policy next DIR"
    ):
        check_expiry(policy, policy.expires)


def test_enrolment_defaults_leave_no_client_among_colluders_only() -> None:
    for clients in range(2, 40):
        params = Enrolment(clients=clients).params()
        assert params.group_size <= clients
        assert params.colluders <= max(0, params.group_size - 2)
        assert params.colluders + 2 <= clients
    assert Enrolment(clients=6).params() == RoundParams(group_size=3, colluders=1)
    assert Enrolment(clients=30).params() == RoundParams(group_size=5, colluders=3)


def test_another_clients_identity_is_refused(made: Path, tmp_path: Path) -> None:
    copy = tmp_path / "client"
    shutil.copytree(client_folder(made, 1), copy)
    shutil.copy(client_folder(made, 2) / "identity.key", copy / "identity.key")
    with pytest.raises(CredentialsError, match="not the identity of client 1"):
        load_client(copy)


def test_secrets_are_not_printed(made: Path) -> None:
    client = load_client(client_folder(made, 0))
    assert "PRIVATE" not in repr(client)


def test_further_trainings_are_signed_with_their_models_and_a_larger_budget(tmp_path: Path) -> None:
    create_deployment(tmp_path, 4, ["localhost"], TERMS)
    before = operator_policy(tmp_path)
    for added, trainings in ((2, 3), (1, 4)):
        models = further_models(operator_policy(tmp_path), added, 0)
        after = next_policy(tmp_path, None, further=models)
        assert after.eras == trainings
        server = load_server(tmp_path / "server")
        digests = [model_digest(model) for model in server.first_models]
        assert digests == list(after.first_models)
        assert len(set(digests)) == trainings
        assert after.budget.max_totals >= trainings * before.budget.max_totals
        assert after.budget.max_steps == before.budget.max_steps
    assert after.first_models[:1] == before.first_models


def test_a_further_training_may_begin_with_a_model(tmp_path: Path) -> None:
    terms = terms_of(Enrolment(clients=3, dataset="digits"))
    policy = create_deployment(tmp_path / "certs", 3, ["localhost"], terms)
    dim = terms.first_models[0].size
    model = np.arange(dim, dtype=np.float32) / dim
    (tmp_path / "model.safetensors").write_bytes(model_bytes(terms.task, model))
    (tmp_path / "other.safetensors").write_bytes(
        (tmp_path / "certs" / "server" / "models" / "era-0.safetensors").read_bytes()
    )
    fresh = further_models(policy, 2, Enrolment.seed)
    assert not any(np.array_equal(fresh[0], one) for one in (*terms.first_models, fresh[1]))
    found = further_models(policy, 2, Enrolment.seed, first=tmp_path / "model.safetensors")
    assert np.array_equal(found[0], model)
    assert np.array_equal(found[1], fresh[1])
    with pytest.raises(DataError, match="is not a model of a run folder"):
        further_models(policy, 1, 0, first=tmp_path / "other.safetensors")
